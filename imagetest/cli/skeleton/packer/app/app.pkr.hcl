# An image with one small service. It is configured when it boots, from APP_GREETING, and never while it is baked.

variable "base_image" {
  type    = string
  default = "debian:bookworm-slim"
}

variable "pull" {
  type    = bool
  default = true
}

source "docker" "app" {
  image       = var.base_image
  pull        = var.pull
  commit      = true
  run_command = ["-d", "-i", "-t", "--", "{{.Image}}", "/bin/sh"]
  changes     = ["CMD [\"/usr/local/bin/app\"]"]
}

build {
  sources = ["source.docker.app"]

  provisioner "file" {
    source      = "${path.root}/app"
    destination = "/usr/local/bin/app"
  }

  provisioner "shell" {
    inline = [
      "chown root:root /usr/local/bin/app",
      "chmod 0755 /usr/local/bin/app",
      "rm -rf /var/lib/apt/lists/* /var/log/*.log /tmp/*",
    ]
  }
}
