"""What was asked ahead of time, and whose answers are on their way while the first checks run already."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from imagetest.transport.questions.ahead import Errand
from imagetest.transport.questions.memory import Memory
from imagetest.transport.shell import Answer

QUIET_SECONDS = 10.0
"""After which nobody waits any longer for what was asked ahead, if no answer came: whoever needs one asks again."""


class UnderWay:
    """Waits for an answer when somebody needs it, and for all before anything changes the machine."""

    def __init__(self, errands: Sequence[Errand], memory: Memory) -> None:
        self._errands = errands
        self._memory = memory
        self._era = memory.era
        self._asked = time.time()
        self._errand_of = {text: number for number, one in enumerate(errands) for text in one.questions}
        self._answers: list[Answer | None] = [None] * len(errands)
        self._heard = [threading.Event() for _ in errands]
        self._taking = threading.Lock()
        self._last = time.monotonic()
        self.thread: threading.Thread | None = None
        """What asks: while it does, others have to ask over shells of their own."""

    def hear(self, number: int, answer: Answer | None) -> None:
        """Take an answer, from whichever thread; None when there will be none."""
        self._answers[number] = answer
        self._last = time.monotonic()
        self._heard[number].set()

    def await_one(self, question: str) -> None:
        """Wait for the answer to a question, if it was asked and answers still come."""
        number = self._errand_of.get(question)
        if number is not None:
            self._take(number)

    def await_all(self) -> None:
        """Wait for all answers, and until the shells are free; one that hangs keeps nobody but its own shell.

        What it says after a change is not believed, and others ask over shells of their own until it ends.
        """
        for number in range(len(self._errands)):
            self._take(number)
        if self.thread is not None:
            self.thread.join(self._patience())

    def _take(self, number: int) -> None:
        while not self._heard[number].wait(self._patience()):
            if not self._patience():
                return
        with self._taking:
            answer = self._answers[number]
            if answer is None or self._era != self._memory.era:
                return
            self._answers[number] = None  # it may be large, and is the memory's now
            self._memory.expect(self._errands[number].answers(answer), self._asked)

    def _patience(self) -> float:
        """Return how many seconds are left until too long nothing was heard."""
        return max(0.0, self._last + QUIET_SECONDS - time.monotonic())
