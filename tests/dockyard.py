"""Images to boot, built from lines of a Dockerfile, and gone when the tests are over."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import re
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import docker
from docker.errors import ImageNotFound

LABEL = "imagetest-test"
SCRIPTS = Path(__file__).parents[1] / "scripts"

INSTALL = """
set -e
echo "$1" >/etc/apt/apt.conf.d/99-test
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -qqy --no-install-recommends openssh-server systemd-sysv dbus >/dev/null
rm -rf /etc/apt/apt.conf.d/99-test /etc/ssh/ssh_host_* /var/lib/apt/lists/*
find /var/cache/apt -type f -delete
"""

INSTALLS = "RUN : installs packages;"
"""How a line of a Dockerfile begins that `install` gave."""

SSHD = 'CMD ["/bin/sh", "-c", "mkdir -p /run/sshd && exec /usr/sbin/sshd -D -e"]'
SYSTEMD = 'CMD ["/sbin/init"]'


class Dockyard:
    """Builds images under one label; containers that are booted from them inherit it."""

    def __init__(self, engine: docker.DockerClient) -> None:
        self.engine = engine
        self._owner = f"{LABEL}.session={os.getpid()}-{secrets.token_hex(4)}"
        self._built: dict[str, str] = {}

    @cached_property
    def plain(self) -> str:
        """Return a small Debian: a shell, and neither systemd nor an SSH server."""
        return os.environ.get("PKR_VAR_base_image") or _said_by("base-image")

    @cached_property
    def machine(self) -> str:
        """Return the same with systemd and an SSH server that has no host keys.

        It takes longest to make, so that it stays, as the image does that scripts/base-image makes; another INSTALL
        makes another.
        """
        base = self.engine.images.get(self.plain).short_id.removeprefix("sha256:")
        tag = f"imagetest/tests-machine:{base}-{hashlib.sha256(INSTALL.encode()).hexdigest()[:8]}"
        try:
            self.engine.images.get(tag)
        except ImageNotFound:
            self._install(tag)
        return tag

    def build(self, *lines: str) -> str:
        """Build an image from lines of a Dockerfile and return its id; `{plain}` and `{machine}` are the two above."""
        text = "\n".join(lines).replace("{plain}", self.plain)
        if "{machine}" in text:
            text = text.replace("{machine}", self.machine)
        if text not in self._built:
            self._keep_installed(text)
            name, _, value = self._owner.partition("=")
            whole = f"{text}\nLABEL {LABEL}=1 {name}={value}\n"
            network = "bridge" if INSTALLS in text else "none"  # one costs each short command a tenth
            image, _ = self.engine.images.build(
                fileobj=io.BytesIO(whole.encode()), rm=True, forcerm=True, network_mode=network
            )
            self._built[text] = str(image.id)
        return self._built[text]

    def containers(self) -> list[str]:
        """Return the names of the containers that there are of these images."""
        found = self.engine.containers.list(all=True, filters={"label": self._owner}, ignore_removed=True)
        return sorted(str(one.name) for one in found)

    def clear(self) -> None:
        """Remove every container and every image."""
        for name in self.containers():
            self.engine.api.remove_container(name, force=True, v=True)
        for image in self.engine.images.list(all=True, filters={"label": self._owner}):
            try:
                self.engine.images.remove(str(image.id), force=True)
            except ImageNotFound:
                continue  # it went with the one above it

    def _keep_installed(self, text: str) -> None:
        """Build and tag what stands above the last installation, so that whoever builds it again finds its layers.

        It stays, as the machine does: to install takes ten times as long as all else that a test's image needs.
        """
        above, installs, rest = text.rpartition(INSTALLS)
        if installs:
            whole = f"{above}{installs}{rest.partition(chr(10))[0]}\n"
            tag = f"imagetest/tests-installed:{hashlib.sha256(whole.encode()).hexdigest()[:12]}"
            self.engine.images.build(fileobj=io.BytesIO(whole.encode()), rm=True, forcerm=True, tag=tag)

    def _install(self, tag: str) -> None:
        container = self.engine.containers.create(
            self.plain,
            ["/bin/sh", "-c", INSTALL, "sh", os.environ.get("PKR_VAR_apt_settings") or _said_by("apt-settings")],
            labels={LABEL: "1"},
        )
        try:
            container.start()
            status = container.wait()["StatusCode"]
            assert status == 0, container.logs().decode()
            repository, _, version = tag.partition(":")
            container.commit(repository, version, changes='CMD ["/bin/bash"]')
        finally:
            container.remove(force=True, v=True)


@contextmanager
def dockyard_of() -> Iterator[Dockyard]:
    """Open a dockyard that is empty again afterwards, however it ends."""
    engine = docker.from_env()
    place = Dockyard(engine)
    try:
        yield place
    finally:
        place.clear()
        engine.close()


def install(*packages: str) -> str:
    """Return a line of a Dockerfile that installs packages and leaves nothing else behind."""
    settings = os.environ.get("PKR_VAR_apt_settings") or _said_by("apt-settings")
    script = (
        f"echo '{settings}' >/etc/apt/apt.conf.d/99-test && apt-get update -qq && DEBIAN_FRONTEND=noninteractive "
        f"apt-get install -qqy --no-install-recommends {' '.join(packages)} >/dev/null && "
        "rm -rf /etc/apt/apt.conf.d/99-test /var/lib/apt/lists/* && find /var/cache/apt -type f -delete"
    )
    return f"{INSTALLS} echo {base64.b64encode(script.encode()).decode()} | base64 --decode | /bin/sh -eu"


def _said_by(script: str) -> str:
    done = subprocess.run([SCRIPTS / script], check=True, capture_output=True, text=True, timeout=500)
    return re.sub(r"\s+$", "", done.stdout)
