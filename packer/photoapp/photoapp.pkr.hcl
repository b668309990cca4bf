# A small photo gallery on Debian, with systemd as PID 1. The JSON twin is photoapp.json; README.md tells the rest.

variable "base_image" {
  type        = string
  default     = "debian:bookworm-slim"
  description = "What to bake from; pin it by digest (debian@sha256:...) for a bake that can be repeated."
}

variable "pull" {
  type        = bool
  default     = true
  description = "Whether to pull the base image first; false for one that is only on this machine."
}

variable "version" {
  type        = string
  default     = "0"
  description = "Version of the image, kept in a label."
}

variable "apt_settings" {
  type        = string
  default     = ""
  description = "APT settings that hold during the bake only, such as a proxy (see scripts/apt-settings)."
}

variable "breakage" {
  type        = string
  default     = "none"
  description = "For the demo: permits-root-login, leaves-a-private-key or does-not-serve spoils the image; none does not."

  validation {
    condition     = contains(["none", "permits-root-login", "leaves-a-private-key", "does-not-serve"], var.breakage)
    error_message = "The breakage is none, permits-root-login, leaves-a-private-key or does-not-serve."
  }
}

source "docker" "photoapp" {
  image  = var.base_image
  pull   = var.pull
  commit = true

  # Packer's own run_command would leave /bin/sh behind as the image's entry point, and its own container_dir an empty
  # /packer-files that cannot be removed while it is mounted.
  run_command   = ["-d", "-i", "-t", "--", "{{.Image}}", "/bin/sh"]
  container_dir = "/mnt"

  changes = [
    "ENTRYPOINT []",
    "CMD [\"/sbin/init\"]",
    "ENV container=docker",
    "EXPOSE 22 8080",
    "LABEL org.opencontainers.image.title=photoapp org.opencontainers.image.version=${var.version}",
  ]
}

build {
  sources = ["source.docker.photoapp"]

  provisioner "file" {
    source      = "${path.root}/files"
    destination = "/tmp"
  }

  provisioner "shell" {
    environment_vars = ["APT_SETTINGS=${var.apt_settings}", "BREAKAGE=${var.breakage}"]
    scripts = [
      "${path.root}/provision/install.sh",
      "${path.root}/provision/harden.sh",
      "${path.root}/provision/spoil.sh",
      "${path.root}/provision/clean.sh",
    ]
  }
}
