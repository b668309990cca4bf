"""Images to judge: one that passes the baseline, and for each control one that a line of shell has spoiled."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker
from docker.models.images import Image

PACKAGES = "openssh-server,sudo,cron,systemd-sysv,dbus"
COMMAND = 'CMD ["/bin/sh", "-c", "mkdir -p /run/sshd && exec /usr/sbin/sshd -D"]'
SYSTEMD = 'CMD ["/sbin/init"]'
LABEL = "imagetest-test"
OWNER = "imagetest-test.workshop"
HARDEN = Path(__file__).with_name("harden.sh")


@dataclass(frozen=True, slots=True)
class Workshop:
    """Makes images under one name in the local Docker engine, and takes all of them away again."""

    engine: docker.DockerClient
    repository: str

    def make(self, tag: str, script: str, *, base: Image, change: str) -> Image:
        """Run a script in a container of `base` and keep what comes out under `tag`."""
        container = self.engine.containers.create(
            base, ["/bin/sh", "-ec", script], labels={LABEL: "1", OWNER: self.repository}, network_mode="none"
        )
        try:
            container.start()
            status = container.wait()["StatusCode"]
            if status:
                raise RuntimeError(f"{tag}: {script!r} exited with {status}: {container.logs().decode()}")
            return container.commit(self.repository, tag, changes=change)
        finally:
            container.remove(force=True, v=True)

    def make_all(self, scripts: dict[str, tuple[str, Image, str]]) -> dict[str, str]:
        """Make many images, two at a time, and return the digest of each by its tag."""

        def make(tag: str) -> str:
            script, base, change = scripts[tag]
            return str(self.make(tag, script, base=base, change=change).id)

        with ThreadPoolExecutor(2) as pool:
            return dict(zip(scripts, pool.map(make, scripts), strict=True))

    def debian(self, scratch: Path) -> Image:
        """Import a small Debian from this machine's own package sources."""
        root = scratch / "root.tar"
        codename = subprocess.run(
            ["/bin/sh", "-c", ". /etc/os-release; echo $VERSION_CODENAME"], check=True, capture_output=True, text=True
        ).stdout.strip()
        slim = [f"--dpkgopt=path-exclude=/usr/share/{part}/*" for part in ("doc", "locale", "man")]
        subprocess.run(
            ["mmdebstrap", "--variant=minbase", f"--include={PACKAGES}", *slim, codename, root, "-"],
            check=True, input=_sources(codename), text=True, capture_output=True,
        )  # fmt: skip
        self.engine.api.import_image_from_file(
            str(root), repository=self.repository, tag="debian", changes=[f"LABEL {LABEL}=1"]
        )
        return self.engine.images.get(f"{self.repository}:debian")

    def clear(self) -> None:
        """Remove every image of the workshop, and every container that was booted from one."""
        for container in self.engine.containers.list(all=True, filters={"label": f"{OWNER}={self.repository}"}):
            container.remove(force=True, v=True)
        for image in self.engine.images.list(self.repository):
            for tag in image.tags:
                self.engine.images.remove(tag, force=True)


@contextmanager
def workshop(repository: str) -> Iterator[Workshop]:
    """Open a workshop whose images are gone afterwards, however it ends."""
    engine = docker.from_env()
    place = Workshop(engine, repository)
    try:
        yield place
    finally:
        place.clear()
        engine.close()


def _sources(codename: str) -> str:
    """Return the distribution's own entries among this machine's package sources."""
    wanted = "$(CODENAME) deb $(REPO_URI) $(RELEASE) $(COMPONENT)"
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", wanted, "Created-By: Packages", "Origin: Debian"],
        check=True, capture_output=True, text=True,
    ).stdout.splitlines()  # fmt: skip
    entries = [line.split(" ", 1) for line in listed]
    suites = {codename, f"{codename}-updates", f"{codename}-security"}
    return "\n".join(sorted({entry for name, entry in entries if name in suites})) + "\n"
