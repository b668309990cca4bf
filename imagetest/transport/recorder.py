"""Record every command that a check runs, and every comparison that it makes, as evidence."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from imagetest.model.drift import Drift
from imagetest.model.finding import Command, Output
from imagetest.model.instance import Boot
from imagetest.transport.shell import Answer

CAP = 16 * 1024
"""Characters of one stream that are kept; the digest is always of the whole."""


@dataclass(slots=True)
class Evidence:
    """What was recorded, by kind."""

    commands: list[Command] = field(default_factory=list)
    drifts: list[Drift] = field(default_factory=list)
    boots: list[Boot] = field(default_factory=list)


class Recorder:
    """Collects evidence until somebody takes it."""

    def __init__(self, redact: Callable[[str], str]) -> None:
        self._redact = redact
        self._main = Evidence()
        self._thread = threading.local()

    @property
    def _evidence(self) -> Evidence:
        """Return where this thread records."""
        apart: Evidence | None = getattr(self._thread, "apart", None)
        return self._main if apart is None else apart

    @contextmanager
    def apart(self) -> Iterator[Evidence]:
        """Have this thread record apart from the others: what it does is not what the running check does."""
        self._thread.apart = Evidence()
        try:
            yield self._thread.apart
        finally:
            self._thread.apart = None

    def add(self, evidence: Evidence) -> None:
        """Add what another thread recorded apart."""
        here = self._evidence
        here.commands += evidence.commands
        here.drifts += evidence.drifts
        here.boots += evidence.boots

    def record(
        self,
        command: str,
        answer: Answer | None,
        *,
        started: float,
        seconds: float,
        machine: str = "",
        remembered: bool = False,
    ) -> None:
        """Add a command; `started` is a POSIX time, and no answer means that none came."""
        self._evidence.commands.append(
            Command(
                command=self._redact(command.encode("utf-8", "backslashreplace").decode()),
                exit_code=None if answer is None else answer.exit_code,
                stdout=self._output(b"" if answer is None else answer.stdout),
                stderr=self._output(b"" if answer is None else answer.stderr),
                started=datetime.fromtimestamp(started, UTC),
                seconds=round(seconds, 6),
                machine=machine,
                remembered=remembered,
            )
        )

    def compared(self, drift: Drift) -> None:
        """Add the outcome of a comparison of two states."""
        self._evidence.drifts.append(drift)

    def take_drifts(self) -> tuple[Drift, ...]:
        """Return what was compared since the last call."""
        taken, self._main.drifts = tuple(self._main.drifts), []
        return taken

    def booted(self, boot: Boot) -> None:
        """Add how an instance of the check's own came up."""
        self._evidence.boots.append(boot)

    def take_boots(self) -> tuple[Boot, ...]:
        """Return what was booted since the last call."""
        taken, self._main.boots = tuple(self._main.boots), []
        return taken

    def take(self) -> tuple[Command, ...]:
        """Return what was recorded since the last call."""
        taken, self._main.commands = tuple(self._main.commands), []
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
