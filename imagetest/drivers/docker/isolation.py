"""Cut a container off from everything outside of it, and see what it tries to reach all the same."""

from __future__ import annotations

import os
import select
import sys
import time
from pathlib import Path
from typing import Any

import docker
import msgspec

from imagetest.drivers import watcher
from imagetest.errors import EngineError, MachineLostError, ProcessError
from imagetest.execute import engine, process
from imagetest.model.image import Image
from imagetest.model.instance import Attempt
from imagetest.transport.shell import CommandTimeoutError, Shell

HOLDER = "-net"
"""What follows an instance's name in that of the container which holds its network."""

MARK = "IMAGETEST_HOLDER"

NOBODY = "192.0.2.53"
"""The name server that it is told: one that is nobody's (RFC 5737), outside, so that its questions are seen."""

PATIENCE_SECONDS = 10.0

SETTLE_SECONDS = 0.05
"""What was sent just before is on its way to the watcher."""

COUNTERS = "cat /proc/net/snmp /proc/net/snmp6"


class Watcher:
    """The program that sees what goes out of one network."""

    def __init__(self, child: process.Child) -> None:
        self._child = child

    @classmethod
    def start(cls, pid: int, mark: str) -> Watcher:
        """Have it watch the network of a process. Raises ProcessError when it cannot."""
        if os.geteuid():
            raise ProcessError("only root can look into a container's network")
        program = str(Path(watcher.__file__))
        argv = [sys.executable, "-I", program, str(pid), mark]
        started = cls(process.piped(*argv, cwd=Path("/"), env={}))
        said = started._line()
        if said != "ready":
            started.close()
            raise ProcessError(said or "nothing watches it")
        return started

    def attempts(self) -> tuple[Attempt, ...]:
        """Return what was tried until now. Raises ProcessError when nobody watched."""
        time.sleep(SETTLE_SECONDS)
        try:
            assert self._child.stdin is not None  # noqa: S101 - told to the type checker
            self._child.stdin.write(b"\n")
            self._child.stdin.flush()
            return msgspec.json.decode(self._line(), type=tuple[Attempt, ...])
        except (OSError, msgspec.MsgspecError) as error:
            raise ProcessError("the program that watched its network ended") from error

    def close(self) -> None:
        """End it."""
        self._child.kill()
        self._child.wait()
        for stream in (self._child.stdin, self._child.stdout, self._child.stderr):
            if stream is not None:
                stream.close()

    def _line(self) -> str:
        assert self._child.stdout is not None  # noqa: S101 - told to the type checker
        ready, _, _ = select.select([self._child.stdout], [], [], PATIENCE_SECONDS)
        return self._child.stdout.readline().decode(errors="replace").strip() if ready else ""


class Isolation:
    """The networks of instances that are cut off, and who watches each."""

    def __init__(self) -> None:
        self._watchers: dict[str, Watcher] = {}
        self._unwatched: dict[str, str] = {}

    def settings(self, client: docker.APIClient, image: Image, resource: str, hostname: str) -> dict[str, Any]:
        """Make a network from which nothing is reached, and return the engine's settings for a container in it."""
        try:
            self._watchers[resource] = _hold(client, image, resource, hostname)
        except ProcessError as reason:
            self._unwatched[resource] = str(reason)
            remove(client, resource)
            return {"network_mode": "none"}
        return {"network_mode": f"container:{resource}{HOLDER}"}

    def found(self, resource: str, shell: Shell) -> tuple[tuple[Attempt, ...], tuple[str, ...]]:
        """Return what an instance tried to reach until now, and what an auditor should know of that."""
        cut = "nothing outside could be reached"
        try:
            if resource in self._watchers:
                return self._watchers[resource].attempts(), (cut,)
            reason = self._unwatched[resource]
        except ProcessError as error:
            reason = str(error)
        return (), (f"{cut}; what it tried could not be listed: {reason}; {_unrouted(shell)}",)

    def forget(self, resource: str) -> None:
        """End the watch over an instance that is gone."""
        self._unwatched.pop(resource, None)
        if (one := self._watchers.pop(resource, None)) is not None:
            one.close()

    def close(self) -> None:
        """End every watch."""
        for resource in list(self._watchers):
            self.forget(resource)


def remove(client: docker.APIClient, resource: str) -> None:
    """Remove what holds an instance's network; nothing may."""
    try:
        with engine.translated(f"remove container {resource + HOLDER!r}"):
            client.remove_container(resource + HOLDER, force=True, v=True)
    except EngineError as error:
        if not isinstance(error.__cause__, engine.NotFound) and "already in progress" not in str(error):
            raise


def _hold(client: docker.APIClient, image: Image, resource: str, hostname: str) -> Watcher:
    mark = f"{MARK}={resource}"
    with engine.translated(f"cut {resource!r} off"):
        client.create_container(
            image.reference, [], name=resource + HOLDER, hostname=hostname, entrypoint=["/bin/sh"], stdin_open=True,
            user="0", environment=[mark], healthcheck={"test": ["NONE"]}, labels={engine.LABEL: resource},
            host_config=client.create_host_config(network_mode="none", dns=[NOBODY]),
        )  # fmt: skip
        client.start(resource + HOLDER)
        pid = int(client.inspect_container(resource + HOLDER)["State"]["Pid"])
    return Watcher.start(pid, mark)


def _unrouted(shell: Shell) -> str:
    """Say how many packets found no way out, as the kernel counts them (RFC 4293, ipIfStatsOutNoRoutes)."""
    try:
        lines = shell.run(COUNTERS, timeout=10).stdout.decode(errors="replace").splitlines()
    except (CommandTimeoutError, MachineLostError):
        lines = []
    rows = [line.split() for line in lines if line.startswith("Ip:")]
    counted = dict(zip(*rows[:2], strict=False)).get("OutNoRoutes", "") if len(rows) > 1 else ""
    sixth = next((line.split()[1] for line in lines if line.startswith("Ip6OutNoRoutes")), "0")
    return f"{int(counted) + int(sixth)} packets found no way out" if counted.isdigit() else "nor was it counted"
