# Packer 1.10 and later bring no docker builder: `packer init packer/photoapp/plugins` fetches it once. This stands in a
# folder of its own because Packer 1.6 has the builder built in and takes this block for an error.
packer {
  required_plugins {
    docker = {
      source  = "github.com/hashicorp/docker"
      version = "~> 1.1"
    }
  }
}
