"""Real machines for the collectors: containers with systemd and OpenSSH, asked over SSH, changed behind its back."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
import paramiko

from imagetest.config.wiring import collectors
from imagetest.drivers.docker import DockerDriver
from imagetest.model.plan import BootPlan, Scope
from imagetest.model.snapshot import Snapshot
from imagetest.pipeline.snapshot import take
from imagetest.testing.contracts import ignore, make_access
from imagetest.transport import connection
from imagetest.transport.shell import Shell


class Machine:
    """A machine that was booted."""

    def __init__(self, container: Any, transport: paramiko.Transport, brought: str) -> None:
        self.container = container
        self.transport = transport
        self._brought = brought

    def run(self, script: str) -> str:
        """Run a script as root, not over SSH."""
        done = self.container.exec_run(["/bin/sh", "-c", script])
        assert done.exit_code == 0, f"{script}: {done.output.decode(errors='replace')}"
        return str(done.output.decode(errors="replace"))

    def snapshot(self, *only: str, sudo: bool = False, timeout: float = 60, **scope: Any) -> Snapshot:
        """Take a snapshot over SSH."""
        shell = Shell(self.transport)
        asked = Scope(**({"only": only, "brought": (self._brought,)} | scope))
        try:
            return take(shell, collectors(), subject="web", scope=asked, sudo=sudo, timeout=timeout)
        finally:
            shell.close()


@contextmanager
def booted(driver: DockerDriver, image: str, folder: Path, **plan: Any) -> Iterator[Machine]:
    """Boot an image until the end of the context."""
    resource = f"imagetest-test-{secrets.token_hex(4)}"
    engine = docker.from_env()
    access = make_access(folder / resource)
    asked = BootPlan(**({"timeout": 30.0} | plan))
    try:
        up = driver.boot(driver.identify(image, name="web"), asked, resource=resource, access=access, progress=ignore)
        transport = up.transport or connection.connect(up.instance.address)
        yield Machine(engine.containers.get(resource), transport, access.user.public)
        transport.close()
        up.close()
    finally:
        driver.destroy(resource)
        engine.close()
