"""Interrupts that cannot cut a piece of work in half."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

REPEAT_SECONDS = 1.0
"""A second interrupt within this time says nothing new, and would only break off what the first one began."""


class Interrupts:
    """Turns SIGINT, SIGTERM and SIGHUP into KeyboardInterrupt, and holds it back inside `held`.

    A resource that is made while an interrupt arrives would otherwise be lost between the request and the answer, and
    one that is being removed would stay; and a lock that a library has just taken would never be given back.
    """

    def __init__(self) -> None:
        self._depth = 0
        self._pending = False
        self._came = False
        self._final = False
        self._last = -REPEAT_SECONDS
        self._before: dict[signal.Signals, Any] = {}

    def install(self) -> None:
        """Handle the signals from now on."""
        if not self._before:
            nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            wanted = [number for number in SIGNALS if not (nohup and number is signal.SIGHUP)]
            self._before = {number: signal.signal(number, self._handle) for number in wanted}

    @property
    def pending(self) -> bool:
        """Say whether an interrupt is being held back."""
        return self._pending

    @property
    def came(self) -> bool:
        """Say whether one arrived at any time, held back or not."""
        return self._came

    def hold(self) -> None:
        """Hold interrupts back until `restore`: what comes now must be brought to its end."""
        self._depth += 1
        self._final = True

    def checkpoint(self) -> None:
        """Raise an interrupt that is held back, from within `held`, where breaking off harms nothing."""
        if self._pending and not self._final and threading.current_thread() is threading.main_thread():
            raise KeyboardInterrupt

    def restore(self) -> None:
        """Put back the handlers that were there before, and forget what was held back."""
        self._depth, self._pending, self._came, self._final = 0, False, False, False
        self._last = -REPEAT_SECONDS
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def retire(self, *, ending: bool = False) -> None:
        """Put the handlers back; in a process that is ending, as after an interrupt, ignore what comes now instead."""
        ending = ending or self._came
        self.restore()
        for number in SIGNALS if ending else ():
            signal.signal(number, signal.SIG_IGN)  # a handler of Python's would not outlive the interpreter's own end

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold interrupts back; one that arrived meanwhile is raised at the end of the outermost context."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            self._raise_pending()

    def _raise_pending(self) -> None:
        if self._pending and not self._depth:
            self._pending = False
            raise KeyboardInterrupt

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        self._came = True
        now = time.monotonic()
        if self._depth:
            self._pending = True
        elif now - self._last > REPEAT_SECONDS:
            self._last = now
            raise KeyboardInterrupt


interrupts = Interrupts()
"""The one instance, because a process has one table of signal handlers."""
