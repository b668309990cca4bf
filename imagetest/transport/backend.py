"""The testinfra backend that speaks to instances: one connection, one shell, every command recorded."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import paramiko
from testinfra.backend import base

from imagetest.errors import MachineLostError
from imagetest.model.instance import Address
from imagetest.transport import connection
from imagetest.transport.recorder import Recorder
from imagetest.transport.shell import Answer, CommandTimeoutError, Shell

NAME = "imagetest"
"""Hosts are written `imagetest://NAME`, with the name of an image under test."""

COMMAND_SECONDS = 120.0
"""How long a command of a check may run when the configuration does not say."""


class Switchboard:
    """Knows where each image under test answers, and where commands are recorded."""

    def __init__(
        self, *, addresses: Callable[[str], Address], recorder: Recorder, on_lost: Callable[[str], None]
    ) -> None:
        self.addresses = addresses
        self.recorder = recorder
        self.on_lost = on_lost
        self.timeout = COMMAND_SECONDS
        self._lines: dict[str, Line] = {}

    def line(self, name: str, machine: str = "") -> Line:
        """Return the line to a machine; it connects when the first command runs."""
        if name not in self._lines:
            self._lines[name] = Line(self, name, machine)
        return self._lines[name]

    def hang_up(self) -> None:
        """Close every connection."""
        for line in self._lines.values():
            line.close()
        self._lines = {}


class Line:
    """A connection to one machine that is opened on demand and never repeats a command by itself."""

    def __init__(self, switchboard: Switchboard, name: str, machine: str) -> None:
        self._switchboard = switchboard
        self._name = name
        self._machine = machine
        self._transport: paramiko.Transport | None = None
        self._shell: Shell | None = None
        self._lost: str = ""

    def run(self, command: str) -> Answer:
        """Run a command and record it.

        Raises MachineLostError when the machine does not answer, at once from then on, and CommandTimeoutError.
        """
        if self._lost:
            raise MachineLostError(self._lost)
        started, clock = time.time(), time.monotonic()
        answer: Answer | None = None
        try:
            answer = self._open().run(command, timeout=self._switchboard.timeout)
        except CommandTimeoutError:
            self._shell = None
            raise
        except MachineLostError as error:
            self._lost = f"{self._name!r} was lost: {error}"
            self._switchboard.on_lost(self._lost)
            raise
        finally:
            self._switchboard.recorder.record(
                command, answer, started=started, seconds=time.monotonic() - clock, machine=self._machine
            )
        return answer

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()
        self._transport = self._shell = None

    def _open(self) -> Shell:
        if self._transport is None:
            self._transport = connection.connect(self._switchboard.addresses(self._name))
        if self._shell is None:
            self._shell = Shell(self._transport)
        return self._shell


class Backend(base.BaseBackend):
    """What testinfra's modules call."""

    NAME = NAME
    switchboard: Switchboard | None = None
    """Set for the whole process, because testinfra makes backends from a class path and a string."""

    def __init__(self, hostspec: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(hostspec, *args, **kwargs)
        self.name = hostspec

    def run(self, command: str, *args: str, **_kwargs: Any) -> base.CommandResult:
        """Run a command on the instance."""
        if self.switchboard is None:
            raise MachineLostError(f"no instance of {self.name!r} was booted")
        text = self.get_command(command, *args)
        name, _, machine = self.name.partition("+")
        answer = self.switchboard.line(self.name, "at rest" if machine else "").run(text)
        return self.result(answer.exit_code, self.encode(text), answer.stdout, answer.stderr)
