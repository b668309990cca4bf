# A disk for virtual machines, baked on the one that scripts/base-disk makes: see README.md.

variable "base_disk" {
  type = string
}

variable "output" {
  type        = string
  default     = "output-vm"
  description = "A folder that is not there yet: nothing is baked over a disk."
}

variable "key_file" {
  type        = string
  description = "The private key that Packer logs in with; nothing of it stays on the disk."
}

variable "key_credential" {
  type        = string
  description = "The public one in base64, which systemd takes from the firmware's tables."
}

source "qemu" "vm" {
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
  shutdown_command       = "systemctl poweroff"
}

build {
  sources = ["source.qemu.vm"]

  provisioner "shell" {
    inline = ["set -e", "echo 'served by a machine' >/srv/greeting"]
  }

  # What lets somebody in, or makes two machines the same, must not ship.
  provisioner "shell" {
    inline = [
      "rm -rf /root/.ssh /etc/ssh/ssh_host_*",
      ": >/etc/machine-id",
      "rm -f /var/lib/systemd/random-seed /var/lib/systemd/credential.secret",
      "sync"
    ]
  }
}
