"""Record every command that a check runs, and every comparison that it makes, as evidence."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime

from imagetest.model.drift import Drift
from imagetest.model.finding import Command, Output
from imagetest.model.instance import Boot
from imagetest.transport.shell import Answer

CAP = 16 * 1024
"""Characters of one stream that are kept; the digest is always of the whole."""


class Recorder:
    """Collects commands until somebody takes them."""

    def __init__(self, redact: Callable[[str], str]) -> None:
        self._redact = redact
        self._commands: list[Command] = []
        self._drifts: list[Drift] = []
        self._boots: list[Boot] = []

    def record(self, command: str, answer: Answer | None, *, started: float, seconds: float, machine: str = "") -> None:
        """Add a command; `started` is a POSIX time, and no answer means that none came."""
        self._commands.append(
            Command(
                command=self._redact(command.encode("utf-8", "backslashreplace").decode()),
                exit_code=None if answer is None else answer.exit_code,
                stdout=self._output(b"" if answer is None else answer.stdout),
                stderr=self._output(b"" if answer is None else answer.stderr),
                started=datetime.fromtimestamp(started, UTC),
                seconds=round(seconds, 6),
                machine=machine,
            )
        )

    def compared(self, drift: Drift) -> None:
        """Add the outcome of a comparison of two states."""
        self._drifts.append(drift)

    def take_drifts(self) -> tuple[Drift, ...]:
        """Return what was compared since the last call."""
        taken, self._drifts = tuple(self._drifts), []
        return taken

    def booted(self, boot: Boot) -> None:
        """Add how an instance of the check's own came up."""
        self._boots.append(boot)

    def take_boots(self) -> tuple[Boot, ...]:
        """Return what was booted since the last call."""
        taken, self._boots = tuple(self._boots), []
        return taken

    def take(self) -> tuple[Command, ...]:
        """Return what was recorded since the last call."""
        taken, self._commands = tuple(self._commands), []
        return taken

    def _output(self, data: bytes) -> Output:
        if not data:
            return Output()
        text = data.decode(errors="replace")
        masked = self._redact(text)
        return Output(
            text=masked[:CAP],
            size=len(data),
            sha256=hashlib.sha256(data if masked == text else masked.encode()).hexdigest(),
            truncated=len(masked) > CAP,
        )
