source "docker" "app" {
  image  = "debian:bookworm"
  commit = true
}

build {
  sources = ["source.docker.app"]
}
