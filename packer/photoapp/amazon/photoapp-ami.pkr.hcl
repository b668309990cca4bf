# The gallery as an AMI, by the same steps as the container in photoapp.pkr.hcl and the disk in machines.pkr.hcl. Laid beside those two
# it is a third source of their template; it stands apart because current Packer refuses a folder that names a plugin it does not have,
# and the two need none of AWS's. scripts/platforms --aws does that; README.md tells the rest.

variable "region" {
  type        = string
  default     = "us-east-1"
  description = "Where it is baked, and the AMI is."
}

variable "instance_type" {
  type        = string
  default     = "t3.micro"
  description = "What it is baked on."
}

source "amazon-ebs" "photoapp" {
  region        = var.region
  instance_type = var.instance_type
  ssh_username  = "admin"
  ami_name      = "photoapp ${var.version} {{timestamp}}"

  source_ami_filter {
    filters = {
      name                = "debian-12-amd64-*"
      root-device-type    = "ebs"
      virtualization-type = "hvm"
    }
    owners      = ["136693071363"] # Debian's
    most_recent = true
  }

  tags = {
    Base = "{{ .SourceAMI }}"
  }
}

build {
  sources = ["source.amazon-ebs.photoapp"]

  provisioner "file" {
    source      = "${path.root}/files"
    destination = "/tmp"
  }

  provisioner "shell" {
    execute_command  = "{{ .Vars }} sudo -E /bin/sh '{{ .Path }}'" # nobody logs in as root there
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
