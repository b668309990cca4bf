"""A plugin of pytest's that tells what a run took, and what of it was imagetest's own: `-p own_time`.

Its own is all the time, waiting and pauses included, in which neither Packer runs nor a machine is up, be it booting;
and of the time in which one of them is, the processor time of pytest's process. A machine is up from when its driver
is asked for it, because what an engine does for that cannot be told from the guest, until it is to be removed.
"""

from __future__ import annotations

import functools
import os
import resource
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from imagetest.execute import process
from imagetest.pipeline.boot import Fleet
from imagetest.ports import Booted


class Clock:
    """Adds up what is imagetest's own."""

    def __init__(self) -> None:
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        self.began = ticks / os.sysconf("SC_CLK_TCK")
        self._lock = threading.Lock()
        self._others = 0
        self._wall, self._used = self.began, 0.0
        self.alone = self.beside = 0.0

    @contextmanager
    def others(self) -> Iterator[None]:
        """Count somebody else's work until the end of the context."""
        self.count(1)
        try:
            yield
        finally:
            self.count(-1)

    def count(self, more: int) -> None:
        """Note that so many more are at work from now on, besides imagetest."""
        with self._lock:
            usage = resource.getrusage(resource.RUSAGE_SELF)
            wall, used = time.clock_gettime(time.CLOCK_BOOTTIME), usage.ru_utime + usage.ru_stime
            if self._others:
                self.beside += used - self._used
            else:
                self.alone += wall - self._wall
            self._wall, self._used = wall, used
            self._others += more

    @property
    def whole(self) -> float:
        """Return the seconds since this process started."""
        return self._wall - self.began


CLOCK = Clock()
_UP: set[str] = set()


def _while(act: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(act)
    def timed(*args: Any, **kwargs: Any) -> Any:
        with CLOCK.others():
            return act(*args, **kwargs)

    return timed


def _booting(act: Callable[..., Booted]) -> Callable[..., Booted]:
    """Count a machine from now until `_down`, or until its boot fails."""

    @functools.wraps(act)
    def timed(fleet: Fleet, *args: Any) -> Booted:
        with CLOCK.others():
            booted = act(fleet, *args)
            CLOCK.count(1)
            _UP.add(booted.instance.id)
        return booted

    return timed


def _down(act: Callable[[Fleet, str], None]) -> Callable[[Fleet, str], None]:
    @functools.wraps(act)
    def timed(fleet: Fleet, resource: str) -> None:
        if resource in _UP:
            _UP.discard(resource)
            CLOCK.count(-1)
        act(fleet, resource)

    return timed


def pytest_configure() -> None:
    """Watch the two doors by which others come to work."""
    process.stream = _while(process.stream)
    Fleet._start = _booting(Fleet._start)  # type: ignore[method-assign]  # noqa: SLF001 - a measurement
    Fleet.destroy = _down(Fleet.destroy)  # type: ignore[assignment, method-assign]


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """Print it once everything is removed and every report is written."""
    CLOCK.count(0)
    own = CLOCK.alone + CLOCK.beside
    sys.stdout.write(
        f"the whole run {CLOCK.whole:.1f} s; neither Packer nor a machine was there for {CLOCK.alone:.1f} s of it, and "
        f"imagetest used {CLOCK.beside:.1f} s of processor time beside them: {own / CLOCK.whole:.3f} of it is its own\n"
    )
