"""The testinfra backend that speaks to instances, through one switchboard that remembers and records."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from testinfra.backend import base

from imagetest.errors import MachineLostError
from imagetest.transport.line import Line, LostForGoodError, Machine
from imagetest.transport.questions.ahead import NOT_ASKED, errands, unless_pipes
from imagetest.transport.questions.looking import Look, look
from imagetest.transport.questions.memory import Clock, Memory, Touched
from imagetest.transport.questions.sudo import innermost
from imagetest.transport.questions.under_way import UnderWay
from imagetest.transport.recorder import Recorder
from imagetest.transport.shell import Answer

NAME = "imagetest"
"""Hosts are written `imagetest://NAME`, with the name of an image under test."""

REST = "+at-rest"
"""What follows a name when the image before its first boot is meant."""

LIVE = "+on-"
"""What stands between the name of an image and that of a live host that is held against it."""


class Switchboard:
    """Knows where each image under test answers, what it said already, and where commands are recorded."""

    def __init__(
        self,
        *,
        machine: Callable[[str], Machine],
        recorder: Recorder,
        on_lost: Callable[[str, str], None],
        touched: Touched | None = None,
        remember: bool = True,
    ) -> None:
        """With `remember` off, every question is asked of the machine itself, each time."""
        self.recorder = recorder
        self.on_lost = on_lost
        self.clock = Clock()
        self.heard: dict[str, dict[str, dict[str, None]]] = defaultdict(lambda: defaultdict(dict))
        """By machine and check, what was asked that only looks, in order: what the next run may ask ahead."""
        self._machine = machine
        self._touched = Touched() if touched is None else touched
        self._lines: dict[str, Line] = {}
        self._memories: dict[str, Memory] = {}
        self._under_way: dict[str, UnderWay] = {}
        self._check = ""
        self._remember = remember

    def begin(self, check: str) -> None:
        """Note that another check begins."""
        self._check = check
        self.clock.begin()

    def line(self, name: str) -> Line:
        """Return the line to a machine; it connects when the first command runs."""
        if name not in self._lines:
            self._lines[name] = Line(name, self._machine)
        return self._lines[name]

    def ask(self, name: str, command: str) -> Answer:
        """Run a command on a machine, or tell what it answered before, and record it.

        Raises MachineLostError when the machine does not answer, CommandTimeoutError and TooMuchOutputError.
        """
        seen, memory = look(innermost(command)), self._memory(name)
        if seen is Look.STATE:
            self.heard[name][self._check][command] = None
            self._await(name, command)
            known = memory.recall(command)
            if known is not None:
                self._record(name, command, known.answer, started=known.asked, remembered=True)
                return known.answer
        else:
            self._await(name)
            if seen is None:
                memory.change()
        answer, asked = self._run(name, command, memory, looks=seen is Look.STATE)
        if seen is Look.STATE and self._remembers(name):
            memory.learn(command, answer, asked)
        return answer

    def expect(self, name: str, questions: Iterable[str]) -> None:
        """Ask a machine ahead of time what it will be asked; what cannot be had so is asked when it is needed.

        The answers come while the first checks run: who needs one that is under way waits for it.
        """
        self.clock.begin()  # a boot before it was nobody's wait
        self._await(name)
        line, memory = self.line(name), self._memory(name)
        began = time.monotonic()
        todo = errands(questions) if memory.holds and self._remembers(name) else []
        if todo:
            under_way = UnderWay(todo, memory)
            with suppress(MachineLostError):  # the first check that asks hears it
                under_way.thread = line.side_by_side([one.command for one in todo], under_way.hear)
                self._under_way[name] = under_way
        self.clock.asked(time.monotonic() - began)

    def hang_up(self, name: str) -> None:
        """Close the connection to a machine that is about to be another, or was; the next command opens another."""
        self._await(name)
        self._memory(name).change()
        line = self._lines.pop(name, None)
        if line is not None:
            line.close()

    def close(self) -> None:
        """Close every connection."""
        for line in self._lines.values():
            line.close()
        self._lines = {}

    def _await(self, name: str, question: str = "") -> None:
        """Wait for the answer to a question that is under way, and without one for all: they are of before."""
        under_way = self._under_way.get(name)
        if under_way is None:
            return
        began = time.monotonic()
        if question:
            under_way.await_one(question)
        else:
            under_way.await_all()
            self._under_way.pop(name, None)
        self.clock.asked(time.monotonic() - began)

    def _remembers(self, name: str) -> bool:
        return self._remember and self.line(name).machine.remember

    def _memory(self, name: str) -> Memory:
        if name not in self._memories:
            self._memories[name] = Memory(name, touched=self._touched, clock=self.clock)
        return self._memories[name]

    def _run(self, name: str, command: str, memory: Memory, *, looks: bool = False) -> tuple[Answer, float]:
        """Run a command; return its answer and the POSIX time at which it began.

        One that only looks changes its machine all the same where it reads from a pipe, or from nobody knows where.
        """
        guarded = unless_pipes(command) if looks else command
        if guarded is None:
            memory.change()
        line = self.line(name)
        if line.lost:
            raise LostForGoodError(line.lost)
        began, answer = time.monotonic(), None
        started, clock = time.time(), began
        connections = line.connections
        try:
            line.open()
            started, clock = time.time(), time.monotonic()  # connecting is not what the command costs
            if connections and line.connections != connections:
                memory.change()
            connections = line.connections
            afresh = not (memory.holds and self._remembers(name))
            answer = line.run(guarded or command, afresh=afresh)
            if guarded not in {None, command} and answer.exit_code == NOT_ASKED:
                memory.change()
                answer = line.run(command, afresh=afresh)
            if line.connections != connections:  # it may have been rebooted
                memory.change()
        except LostForGoodError as error:
            if not _is_a_checks_own(name):  # else it is the check's own error, and nobody else's
                self.on_lost(name.removesuffix(REST), str(error))
            raise
        finally:
            if answer is None:
                memory.change()
            self._record(name, command, answer, started=started, seconds=time.monotonic() - clock)
            self.clock.asked(time.monotonic() - began)
        return answer, started

    def _record(
        self,
        name: str,
        command: str,
        answer: Answer | None,
        *,
        started: float,
        seconds: float = 0,
        remembered: bool = False,
    ) -> None:
        self.recorder.record(
            command, answer, started=started, seconds=seconds, machine=_place(name), remembered=remembered
        )


def _is_a_checks_own(name: str) -> bool:
    return "+" in name and REST not in name and LIVE not in name


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
        answer = self.switchboard.ask(self.hostname, text)
        return self.result(answer.exit_code, self.encode(text), answer.stdout, answer.stderr)

    def decode(self, data: bytes) -> str:
        """Read output as UTF-8; other bytes survive as surrogates, so that a file's name can be given back."""
        return data.decode("utf-8", "surrogateescape")

    def encode(self, data: str) -> bytes:
        """Write a command as it will be sent."""
        return data.encode("utf-8", "surrogateescape")

    def reconnect(self) -> None:
        """Close the connection, for a check that has rebooted its machine; the next command opens another."""
        if self.switchboard is not None:
            self.switchboard.hang_up(self.hostname)
