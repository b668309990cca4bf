# Packer 1.10 and newer brings no docker builder: run `packer init packer/app/plugins` once. Older ones need nothing.
packer {
  required_plugins {
    docker = {
      version = ">= 1.0.9"
      source  = "github.com/hashicorp/docker"
    }
  }
}
