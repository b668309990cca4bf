"""Live hosts for tests: containers with a real SSH server of their own, and an ssh_config that leads to them."""

from __future__ import annotations

import io
import secrets
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imagetest.execute import keys
from tests.dockyard import Dockyard

START = "mkdir -p /run/sshd && ssh-keygen -qA && exec /usr/sbin/sshd -D -e"
SECONDS = 30.0

LIVE = "imagetest-live"
"""How the name of every live host's container begins."""


@dataclass(frozen=True, slots=True)
class LiveHost:
    """One host: its name in the ssh_config, its container, and its public host key."""

    name: str
    container: Any
    host_key: str

    def run(self, script: str) -> str:
        """Run a script on it as its administrator would, not over SSH."""
        done = self.container.exec_run(["/bin/sh", "-c", script])
        assert done.exit_code == 0, done.output.decode(errors="replace")
        return str(done.output.decode(errors="replace"))

    @property
    def address(self) -> str:
        self.container.reload()
        return str(self.container.attrs["NetworkSettings"]["IPAddress"])


class LiveHosts:
    """Makes hosts, and keeps the ssh_config and the known_hosts of somebody who may log in to them."""

    def __init__(self, dockyard: Dockyard, folder: Path) -> None:
        self._dockyard = dockyard
        self._user = keys.generate()
        self._suffix = secrets.token_hex(3)
        self._made: list[LiveHost] = []
        self.folder = folder
        self.key_file = self._user.write(folder / "id")
        self.known_hosts = folder / "known_hosts"
        self.known_hosts.write_text("")
        self.ssh_config = folder / "ssh_config"
        self.ssh_config.write_text("")

    def start(self, name: str, *lines: str, user: str = "root", behind: LiveHost | None = None) -> LiveHost:
        """Start a host from lines of a Dockerfile; one behind a bastion has a name that only the bastion knows."""
        image = self._dockyard.build(*(lines or ("FROM {machine}",)))
        container = self._dockyard.engine.containers.create(
            image, ["/bin/sh", "-c", START], name=f"{LIVE}-{self._suffix}-{name}", hostname=name,
            ports={} if behind else {"22/tcp": ("127.0.0.1", 0)},
        )  # fmt: skip
        self._made.append(LiveHost(name, container, ""))
        container.start()
        host = LiveHost(name, container, self._host_key(container))
        home = "/root" if user == "root" else f"/home/{user}"
        self._authorize(container, user, home)
        self.trust(host, behind)
        if behind:
            behind.run(f"echo {host.address} {name}.internal >>/etc/hosts")
        self._configure(host, user, behind)
        self._made[-1] = host
        return host

    @property
    def made(self) -> dict[str, LiveHost]:
        """Return the hosts that there are, by name."""
        return {one.name: one for one in self._made}

    def trust(self, host: LiveHost, behind: LiveHost | None = None, *, key: str = "") -> None:
        """Add a host's key to known_hosts."""
        name = f"{host.name}.internal" if behind else f"[127.0.0.1]:{self.port(host)}"
        with self.known_hosts.open("a") as file:
            file.write(f"{name} {key or host.host_key}\n")

    def port(self, host: LiveHost) -> int:
        host.container.reload()
        return int(host.container.attrs["NetworkSettings"]["Ports"]["22/tcp"][0]["HostPort"])

    def close(self) -> None:
        for host in self._made:
            host.container.remove(force=True, v=True)

    def _configure(self, host: LiveHost, user: str, behind: LiveHost | None) -> None:
        place = [f"HostName {host.name}.internal", f"ProxyJump {behind.name}"] if behind else [
            "HostName 127.0.0.1", f"Port {self.port(host)}"
        ]  # fmt: skip
        common = [f"User {user}", f"IdentityFile {self.key_file}", "IdentitiesOnly yes",
                  f"UserKnownHostsFile {self.known_hosts}", "GlobalKnownHostsFile /dev/null"]  # fmt: skip
        with self.ssh_config.open("a") as file:
            file.write("\n  ".join([f"Host {host.name}", *place, *common]) + "\n")

    def _host_key(self, container: Any) -> str:
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            if b"Server listening" in container.logs():  # before it does, a key may be there and not yet written
                done = container.exec_run(["cut", "-d ", "-f1,2", "/etc/ssh/ssh_host_ed25519_key.pub"])
                assert done.exit_code == 0, done.output.decode(errors="replace")
                return str(done.output.decode().strip())
            time.sleep(0.1)
        raise AssertionError(container.logs().decode())

    def _authorize(self, container: Any, user: str, home: str) -> None:
        archive = io.BytesIO()
        content = f"{self._user.public}\n".encode()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            info = tarfile.TarInfo("authorized_keys")
            info.size, info.mode = len(content), 0o600
            tar.addfile(info, io.BytesIO(content))
        container.exec_run(["mkdir", "-p", "-m", "700", f"{home}/.ssh"])
        container.put_archive(f"{home}/.ssh", archive.getvalue())
        container.exec_run(["chown", "-R", f"{user}:", f"{home}/.ssh"])


@contextmanager
def live_hosts(dockyard: Dockyard, folder: Path) -> Iterator[LiveHosts]:
    """Open a place for live hosts that is empty again afterwards."""
    hosts = LiveHosts(dockyard, folder)
    try:
        yield hosts
    finally:
        hosts.close()
