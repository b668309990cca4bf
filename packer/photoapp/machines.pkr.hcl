# The gallery as a virtual machine, by the same steps as the container in photoapp.pkr.hcl beside this: `packer build` of the
# whole folder bakes both, from one base (scripts/base-disk, and scripts/base-disk --container). README.md tells the rest.

variable "base_disk" {
  type        = string
  default     = ""
  description = "A Debian disk that boots by itself; scripts/base-disk makes one."
}

variable "output" {
  type        = string
  default     = "output-photoapp"
  description = "A folder that is not there yet: nothing is baked over a disk."
}

variable "key_file" {
  type        = string
  default     = ""
  description = "The private key that Packer logs in with; nothing of it stays on the disk."
}

variable "key_credential" {
  type        = string
  default     = ""
  description = "The public one in base64, which systemd takes from the firmware's tables."
}

source "qemu" "photoapp" {
  disk_image       = true
  iso_url          = var.base_disk
  iso_checksum     = "none" # a file of this machine: imagetest knows it by its content
  skip_compaction  = true
  skip_resize_disk = true
  disk_size        = "2048M"
  format           = "qcow2"
  disk_interface   = "virtio"
  disk_cache       = "unsafe"
  net_device       = "virtio-net"
  accelerator      = "tcg"
  cpus             = 2
  memory           = 512
  headless         = true
  output_directory = var.output
  vm_name          = "disk.qcow2"
  qemuargs = [
    # Packer's own forwarding listens on every interface.
    ["-netdev", "user,id=user.0,hostfwd=tcp:127.0.0.1:{{ .SSHHostPort }}-:22"],
    ["-cpu", "Nehalem"],
    ["-smbios", "type=11,value=io.systemd.credential.binary:ssh.authorized_keys.root=${var.key_credential}"]
  ]
  boot_wait              = "1s"
  ssh_username           = "root"
  ssh_private_key_file   = var.key_file
  ssh_timeout            = "10m"
  ssh_handshake_attempts = 1000
  # Services that stop at leisure would leave the journal and the seed of the random numbers behind.
  shutdown_command = "journalctl --relinquish-var; rm -rf /var/log/journal/* /var/lib/systemd/random-seed; sync; systemctl poweroff --force"
}

build {
  sources = ["source.qemu.photoapp"]

  provisioner "file" {
    source      = "${path.root}/files"
    destination = "/tmp"
  }

  provisioner "shell" {
    environment_vars = ["APT_SETTINGS=${var.apt_settings}", "BREAKAGE=${var.breakage}"]
    scripts = [
      "${path.root}/provision/install.sh",
      "${path.root}/provision/harden.sh",
      "${path.root}/provision/account.sh",
      "${path.root}/provision/spoil.sh",
      "${path.root}/provision/clean.sh",
    ]
  }
}
