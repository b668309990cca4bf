"""Interrupt what a promoter asks of the world at one point."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import docker
import pytest


@dataclass
class Countdown:
    """Interrupts once a number of steps were taken."""

    left: int = -1

    def step(self) -> None:
        self.left -= 1
        if self.left == -1:
            raise KeyboardInterrupt


@contextmanager
def requests_broken(at: int) -> Iterator[None]:
    """Interrupt a request to the Docker engine."""
    countdown, send = Countdown(at + 1), docker.APIClient.send

    def sending(self: docker.APIClient, *args: Any, **options: Any) -> Any:
        countdown.step()
        return send(self, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(docker.APIClient, "send", sending)
        yield


class Files:
    """Interrupts what is done to files below a folder; by an audit hook, of which one is enough for a process."""

    EVENTS = frozenset({"open", "os.rename", "os.symlink", "os.remove", "os.mkdir", "os.listdir", "os.scandir"})

    def __init__(self) -> None:
        self._folder = ""
        self._countdown = Countdown()
        sys.addaudithook(self._hear)

    @contextmanager
    def broken(self, folder: str, at: int) -> Iterator[None]:
        self._folder, self._countdown = folder, Countdown(at + 1)
        try:
            yield
        finally:
            self._folder = ""

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        if self._folder and event in self.EVENTS and any(str(one).startswith(self._folder) for one in args):
            self._countdown.step()


FILES = Files()
