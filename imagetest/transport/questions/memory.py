"""What is known of one machine, and when an answer that is known already will do."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path

from imagetest.transport.shell import Answer

PATIENCE_SECONDS = 0.2
"""A check that has been at it for longer, besides asking, may have waited for something: it is told what is now."""


LONG_SECONDS = 1.0
"""After a wait of that length nobody is told any more what was asked before it, not even in the checks to come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """An answer, and when the machine gave it."""

    answer: Answer
    asked: float
    """POSIX time."""


class Touched:
    """The machines on which something ran that may have changed them, in this process or one that shares the folder.

    From then on whatever it left running may change the machine at any time: nothing is known any more, to the end.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """Share the marks with every process that is given the same `folder`."""
        self._here: set[str] = set()
        self._folder = folder

    def mark(self, name: str) -> None:
        """Mark a machine, before the first command that may change it is sent."""
        if name in self._here:
            return
        self._here.add(name)
        if self._folder is not None:
            self._file(self._folder, name).touch(mode=0o600)

    def __contains__(self, name: str) -> bool:
        """Say whether a machine is marked."""
        if name not in self._here and self._folder is not None and self._file(self._folder, name).exists():
            self._here.add(name)
        return name in self._here

    @staticmethod
    def _file(folder: Path, name: str) -> Path:
        return folder / f"touched.{name}"


class Clock:
    """Counts the checks, and how long the running one has been busy with other things than asking."""

    def __init__(self) -> None:
        self.check = 0
        """The number of the running check."""
        self._began = time.monotonic()
        self._asking = 0.0
        self._waits = 0

    def begin(self) -> None:
        """Note that another check begins."""
        self._waits = self.waits
        self.check += 1
        self._began, self._asking = time.monotonic(), 0.0

    def asked(self, seconds: float) -> None:
        """Note that the check waited for an answer; what its other threads wait for keeps it from nothing."""
        if threading.current_thread() is threading.main_thread():
            self._asking += seconds

    @property
    def waited(self) -> bool:
        """Say whether the check has taken its time, and perhaps wants to see a change."""
        return self._elsewhere > PATIENCE_SECONDS

    @property
    def waits(self) -> int:
        """Return how many checks took so much time that whatever was asked before is of another day."""
        return self._waits + (self._elsewhere > LONG_SECONDS)

    @property
    def _elsewhere(self) -> float:
        return time.monotonic() - self._began - self._asking


class Memory:
    """The answers of one machine in one state."""

    def __init__(self, name: str, *, touched: Touched, clock: Clock) -> None:
        self._name = name
        self._touched = touched
        self._clock = clock
        self._known: dict[str, Known] = {}
        self._seen: dict[str, int] = {}
        """By question, the number of the check that saw its answer last."""
        self._waits = clock.waits
        self._surprises = 0

    @property
    def era(self) -> tuple[int, int]:
        """Return how many long waits there were, and surprises: what was asked before one is not told after it."""
        return self._clock.waits, self._surprises

    @property
    def holds(self) -> bool:
        """Say whether an answer that is known may be told: nothing ran yet that may have changed the machine."""
        if self._waits != self._clock.waits:
            self._waits = self._clock.waits
            self._known.clear()
        if self._name not in self._touched:
            return True
        self._known.clear()
        return False

    def recall(self, question: str) -> Known | None:
        """Return what is known, unless the check asks again or took its time: then it waits for a change."""
        if not self.holds or self._clock.waited:
            return None
        known = self._known.get(question)
        if known is None or self._seen.get(question) == self._clock.check:
            return None
        self._seen[question] = self._clock.check
        return known

    def learn(self, question: str, answer: Answer, asked: float) -> None:
        """Remember an answer; one that differs from what was known means that nothing else that was known is sure."""
        if not self.holds:
            return
        self._seen[question] = self._clock.check
        before = self._known.get(question)
        if before is not None and before.answer != answer:
            self._known.clear()
            self._surprises += 1
        self._known[question] = Known(answer=answer, asked=asked)

    def expect(self, answers: dict[str, Answer], asked: float) -> None:
        """Remember what was asked ahead of time; what is known already stays."""
        if self.holds:
            for question, answer in answers.items():
                self._known.setdefault(question, Known(answer=answer, asked=asked))

    def change(self) -> None:
        """Forget everything, before a command that may change the machine is sent."""
        self._touched.mark(self._name)
        self._known.clear()
