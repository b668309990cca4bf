"""The testinfra backend that speaks to instances: one connection, one shell, every command recorded."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
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

REST = "+at-rest"
"""What follows a name when the image before its first boot is meant."""

LIVE = "+on-"
"""What stands between the name of an image and that of a live host that is held against it."""

COMMAND_SECONDS = 120.0
"""How long a command of a check may run when nobody says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A machine that can be spoken to."""

    address: Address | None = None
    """None where there is a connection already, which cannot be made again."""
    transport: paramiko.Transport | None = None
    """A connection that is open already."""
    timeout: float = COMMAND_SECONDS
    """Seconds that one command may take."""
    sudo: bool = False
    """Whether commands run as root, by a sudo that asks for no password."""


class Switchboard:
    """Knows where each image under test answers, and where commands are recorded."""

    def __init__(
        self, *, machine: Callable[[str], Machine], recorder: Recorder, on_lost: Callable[[str, str], None]
    ) -> None:
        self.machine = machine
        self.recorder = recorder
        self.on_lost = on_lost
        self._lines: dict[str, Line] = {}

    def line(self, name: str) -> Line:
        """Return the line to a machine; it connects when the first command runs."""
        if name not in self._lines:
            self._lines[name] = Line(self, name)
        return self._lines[name]

    def hang_up(self, name: str | None = None) -> None:
        """Close every connection, or that to one machine; the next command to it opens another."""
        for one in [*self._lines] if name is None else [name]:
            line = self._lines.pop(one, None)
            if line is not None:
                line.close()


class Line:
    """A connection to one machine that is opened on demand and never repeats a command by itself."""

    def __init__(self, switchboard: Switchboard, name: str) -> None:
        self._switchboard = switchboard
        self._name = name
        self._place = _place(name)
        self._machine: Machine | None = None
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
            shell, machine = self._open()
            started, clock = time.time(), time.monotonic()  # connecting is not what the command costs
            answer = shell.run(command, timeout=machine.timeout)
        except CommandTimeoutError:
            self._shell = None
            raise
        except MachineLostError as error:
            self._lost = f"{self._name!r} was lost: {error}"
            if not self._is_a_checks_own:  # else it is the check's own error, and nobody else's
                self._switchboard.on_lost(self._name.removesuffix(REST), self._lost)
            raise MachineLostError(self._lost) from error
        finally:
            self._switchboard.recorder.record(
                command, answer, started=started, seconds=time.monotonic() - clock, machine=self._place
            )
        return answer

    def shell(self) -> Shell:
        """Return a shell besides the one for commands, of which nothing is recorded; whoever asks closes it.

        Raises MachineLostError when the machine does not answer.
        """
        if self._lost:
            raise MachineLostError(self._lost)
        self._open()
        assert self._machine is not None  # noqa: S101 - told to the type checker
        assert self._transport is not None  # noqa: S101 - told to the type checker
        return Shell(self._transport, sudo=self._machine.sudo)

    @property
    def _is_a_checks_own(self) -> bool:
        return "+" in self._name and REST not in self._name and LIVE not in self._name

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()
        self._transport = self._shell = None

    def _open(self) -> tuple[Shell, Machine]:
        machine = self._machine = self._machine or self._switchboard.machine(self._name)
        if self._transport is None:
            self._transport = machine.transport or _connect(machine)
        if self._shell is None:
            self._shell = Shell(self._transport, sudo=machine.sudo)
        return self._shell, machine


def _connect(machine: Machine) -> paramiko.Transport:
    if machine.address is None:
        raise MachineLostError("the connection is closed")
    return connection.connect(machine.address)


def _place(name: str) -> str:
    """Return what the evidence calls a machine: nothing for the booted instance."""
    _, plus, label = name.partition("+")
    if not plus or LIVE in name:
        return ""
    return label.replace("-", " ")


class Backend(base.BaseBackend):
    """What testinfra's modules call."""

    NAME = NAME
    switchboard: Switchboard | None = None
    """Set for the whole process, because testinfra makes backends from a class path and a string."""

    def run(self, command: str, *args: str, **_kwargs: Any) -> base.CommandResult:
        """Run a command on the instance."""
        if self.switchboard is None:
            raise MachineLostError(f"no instance of {self.hostname!r} was booted")
        text = self.get_command(command, *args)
        answer = self.switchboard.line(self.hostname).run(text)
        return self.result(answer.exit_code, self.encode(text), answer.stdout, answer.stderr)

    def decode(self, data: bytes) -> str:
        """Read output as UTF-8; other bytes survive as surrogates, so that a file's name can be given back."""
        return data.decode("utf-8", "surrogateescape")

    def encode(self, data: str) -> bytes:
        """Write a command as it will be sent."""
        return data.encode("utf-8", "surrogateescape")
