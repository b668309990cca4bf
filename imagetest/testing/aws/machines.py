"""Machines: each a container that is reached at an address of its own, with the image's own SSH server."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import docker

from imagetest.errors import EngineError
from imagetest.execute import cgroups, engine
from imagetest.testing.aws.addresses import SSH_PORT, Addresses
from imagetest.testing.aws.files import link_target
from imagetest.testing.aws.owners import LABEL, remove_container, remove_image

INIT = "/sbin/init"

SSHD = "mkdir -p /run/sshd && exec $(command -v sshd || echo /usr/sbin/sshd) -D -e"
"""What an image boots that has neither systemd nor a command of its own."""

SHELLS = ("sh", "bash", "dash", "ash")

STOP_SECONDS = 5
"""How long a machine may take to stop."""

REBOOT = "SYS_BOOT"
"""Lets a machine end itself by reboot(2), which reaches no further than its own processes (pid_namespaces(7))."""

REPOSITORY = "imagetest-aws"

POLL_ANSWERS = "until systemctl list-units >/dev/null 2>&1; do sleep 0.1; done"

POLL_READY = POLL_ANSWERS + "; systemctl is-system-running --wait"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What a command left."""

    exit_code: int
    stdout: str
    stderr: str


class Yard:
    """The engine's side: makes machines, and images of them."""

    def __init__(self, client: docker.APIClient, runner: docker.APIClient, addresses: Addresses, owner: str) -> None:
        """Use `runner`, a client that waits for ever, for commands."""
        self.client = client
        self.runner = runner
        self.addresses = addresses
        self.owner = owner
        self._inits: dict[str, bool] = {}
        self._lock = threading.Lock()

    def make(self, image: str, name: str) -> Machine:
        """Make a machine that has not started. Raises EngineError when the engine refuses."""
        systemd = self._boots_systemd(image)
        address = self.addresses.take()
        settings: dict[str, Any] = {"port_bindings": {SSH_PORT: (address, SSH_PORT)}}
        options: dict[str, Any] = {}
        if systemd:
            settings |= cgroups.for_systemd(self.client)[0]
            settings["cap_add"] = [*settings.get("cap_add", ()), REBOOT]
            options = {"entrypoint": [INIT], "tty": True, "environment": {"container": "docker"}}
            options["stop_signal"] = "SIGRTMIN+3"
        elif self._is_a_shell(image):
            options = {"entrypoint": ["/bin/sh", "-c", SSHD]}
        try:
            with engine.translated(f"make a machine of {image!r}"):
                made = self.client.create_container(
                    image, [] if options else None, name=f"{REPOSITORY}-{name}", ports=[SSH_PORT],
                    hostname="ip-" + address.replace(".", "-"), labels={LABEL: self.owner},
                    healthcheck={"test": ["NONE"]},
                    host_config=self.client.create_host_config(**settings), **options,
                )  # fmt: skip
        except EngineError:
            self.addresses.give_back(address)
            raise
        return Machine(self, str(made["Id"]), address, systemd=systemd)

    def forget(self, reference: str) -> None:
        """Remove an image; one that a machine runs of is removed in the end."""
        try:
            remove_image(self.client, reference)
        except EngineError as error:
            if "in use" not in str(error) and "being used" not in str(error) and "dependent" not in str(error):
                raise

    def _boots_systemd(self, image: str) -> bool:
        """Say whether an image's init is systemd; found out once, in a container that never starts."""
        with self._lock:
            if image not in self._inits:
                with engine.translated(f"look into {image!r}"):
                    labels = {LABEL: self.owner}
                    probe = str(self.client.create_container(image, [INIT], entrypoint=[], labels=labels)["Id"])
                try:
                    self._inits[image] = "systemd" in link_target(self.client, probe, INIT)
                finally:
                    remove_container(self.client, probe)
            return self._inits[image]

    def _is_a_shell(self, image: str) -> bool:
        """Say whether an image's own command serves nobody."""
        with engine.translated(f"look at {image!r}"):
            config = self.client.inspect_image(image)["Config"]
        command = [*(config.get("Entrypoint") or []), *(config.get("Cmd") or [])]
        return not command or (len(command) == 1 and command[0].rpartition("/")[2] in SHELLS)


class Machine:
    """One container. Every method raises EngineError when the engine refuses."""

    def __init__(self, yard: Yard, container: str, address: str, *, systemd: bool) -> None:
        self._yard = yard
        self._client = yard.client
        self.container = container
        self.address = address
        self._systemd = systemd

    def start(self) -> None:
        """Start it; wait for nothing."""
        with engine.translated("start a machine"):
            self._client.start(self.container)

    def stop(self) -> None:
        """Stop it; it keeps its files."""
        with engine.translated("stop a machine"):
            self._client.stop(self.container, timeout=STOP_SECONDS)

    def remove(self) -> None:
        """Remove it with all that it has."""
        remove_container(self._client, self.container)
        self._yard.addresses.give_back(self.address)

    def ended(self) -> int | None:
        """Return the exit code of one that has stopped by itself; None for one that runs."""
        with engine.translated("look at a machine"):
            state = self._client.inspect_container(self.container)["State"]
        return None if state["Running"] else int(state["ExitCode"])

    def commit(self, name: str) -> str:
        """Make an image of its files and return its reference."""
        with engine.translated("make an image of a machine"):
            self._client.commit(self.container, repository=f"{REPOSITORY}/{name}", tag="latest")
        return f"{REPOSITORY}/{name}:latest"

    def said(self) -> str:
        """Return what it wrote to its console."""
        with engine.translated("read a machine's console"):
            return self._client.logs(self.container).decode(errors="replace")

    def answer(self) -> None:
        """Wait until systemd can be asked; nothing to wait for without it."""
        if self._systemd:
            self.run(["/bin/sh", "-c", POLL_ANSWERS])

    def settle(self) -> None:
        """Wait until systemd has started all that it starts; nothing to wait for without it."""
        if self._systemd:
            self.run(["/bin/sh", "-c", POLL_READY])

    def run(self, argv: list[str], *, directory: str | None = None) -> Ran:
        """Run a command as root, however long it takes."""
        runner = self._yard.runner
        with engine.translated("run a command in a machine"):
            made = runner.exec_create(self.container, argv, workdir=directory)["Id"]
            out, err = runner.exec_start(made, demux=True)
            code = runner.exec_inspect(made)["ExitCode"]
        return Ran(
            exit_code=137 if code is None else int(code),
            stdout=(out or b"").decode(errors="replace"), stderr=(err or b"").decode(errors="replace"),
        )  # fmt: skip
