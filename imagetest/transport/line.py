"""The line to one machine: a connection and its shells, opened on demand, and never a command that runs twice."""

from __future__ import annotations

import shlex
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import paramiko

from imagetest.errors import BootError, MachineLostError
from imagetest.model.instance import Address
from imagetest.model.plan import BootPlan
from imagetest.transport import connection
from imagetest.transport.questions.sudo import peel
from imagetest.transport.shell import (
    AS_ROOT,
    PLAIN,
    Answer,
    CommandTimeoutError,
    NoSessionError,
    Shell,
    TooMuchOutputError,
)

COMMAND_SECONDS = 120.0
"""How long a command of a check may run when nobody says."""

OUTPUT_LIMIT = 64 * 1024 * 1024
"""Bytes that a command of a check may say; one that says more is ended."""

RECONNECT_SECONDS = 5.0
"""How long a server that is busy may take to let us in."""

CHANNELS = 3
"""Shells on one connection at once, of the ten sessions that OpenSSH allows (`MaxSessions`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A machine that can be spoken to."""

    address: Address | None = None
    """None where there is a connection already, which cannot be made again."""
    transport: paramiko.Transport | None = None
    """A connection that is open already."""
    timeout: float = COMMAND_SECONDS
    """Seconds that one command may take."""
    limit: int = OUTPUT_LIMIT
    """Bytes that one command may say."""
    sudo: bool = False
    """Whether commands run as root, by a sudo that asks for no password."""
    remember: bool = True
    """Whether it changes by the checks alone, so that what it said once need not be asked again."""


def reached(
    address: Address, plan: BootPlan, *, transport: paramiko.Transport | None = None, remember: bool = True
) -> Machine:
    """Return the way to an instance that was booted by a plan."""
    return Machine(
        address=address, transport=transport, timeout=plan.command_timeout, sudo=plan.sudo, remember=remember
    )


class LostForGoodError(MachineLostError):
    """The machine does not answer any more."""


class Line:
    """Runs commands on one machine."""

    def __init__(self, name: str, machine: Callable[[str], Machine]) -> None:
        self._name = name
        self._find = machine
        self._machine: Machine | None = None
        self._transport: paramiko.Transport | None = None
        self._shells: dict[str, Shell] = {}
        self._spare: list[Shell] = []
        """Those that answered beside others' commands: what was started in one may run for as long as it is open."""
        self._refused: set[str] = set()
        """Users whom sudo lets nobody become without a question."""
        self._turn, self._opening = threading.Lock(), threading.RLock()
        """A check may ask from several threads: the shells are one's at a time, and nobody connects twice."""
        self.lost = ""
        """Why it does not answer any more; empty while it does."""
        self.connections = 0
        """How often it was connected: it may have been rebooted between two."""

    @property
    def machine(self) -> Machine:
        """Return what is known of the way to it. Raises MachineLostError when there is no such machine."""
        self._machine = self._machine or self._find(self._name)
        return self._machine

    def open(self) -> None:
        """Connect, unless it is connected. Raises LostForGoodError when it does not answer."""
        if self.lost:
            raise LostForGoodError(self.lost)
        try:
            with self._opening:
                self._connect()
                if all(shell.closed for shell in self._shells.values()):
                    self._shell(PLAIN)
        except MachineLostError as error:
            raise self._gone(error) from error

    def run(self, command: str, *, afresh: bool = False) -> Answer:
        """Run a command, where it is for a user of sudo's in a shell that is that user's already.

        With `afresh` that user is become anew: groups, limits and what sudo allows may have changed since.

        While another thread's command runs it does not wait for that, unless the server allows no more sessions.

        Raises LostForGoodError when the machine does not answer any more, MachineLostError when this command was cut
        off and the next one may run again, and CommandTimeoutError and TooMuchOutputError as a shell does.
        """
        self.open()
        if not self._turn.acquire(blocking=False):
            return self._beside(command)
        try:
            return self._run(command, afresh=afresh)
        finally:
            self._turn.release()

    def _beside(self, command: str) -> Answer:
        """Run a command in a shell that nobody else uses, and leave that open: a gateway ends all that it started."""
        try:
            shell = self._free()
        except MachineLostError:  # so nothing was sent yet
            with self._turn:
                return self._run(command, afresh=True)
        try:
            return shell.run(command, timeout=self.machine.timeout, limit=self.machine.limit)
        except MachineLostError as error:
            raise MachineLostError(f"the command was cut off: {error}") from error
        finally:
            if not shell.closed:
                self._spare.append(shell)

    def _run(self, command: str, *, afresh: bool) -> Answer:
        self.open()
        user, inner = peel(command)
        start = PLAIN if user is None else _sudo(user)
        if afresh and start != PLAIN and start in self._shells:
            self._shells.pop(start).close()
        if user is not None and not self._become(start):
            inner, start = command, PLAIN  # sudo itself says why not
        try:
            return self._shell(start).run(inner, timeout=self.machine.timeout, limit=self.machine.limit)
        except MachineLostError as error:
            raise self._cut_off(error) from error

    def side_by_side(self, commands: list[str], hear: Callable[[int, Answer | None], None]) -> threading.Thread:
        """Begin to run commands over several shells at once; `hear` is told the answers, in threads of their own.

        Of a command that came to no end it is told None. The thread that is returned ends when all are told. Raises
        LostForGoodError when the machine does not answer.
        """
        self.open()
        self._turn.acquire()  # given back by the last thread
        try:
            shells = self._several(min(CHANNELS, len(commands)))
            numbered = list(enumerate(commands))
            rows = [numbered[first :: len(shells)] for first in range(len(shells))]
            thread = threading.Thread(target=self._all, args=(shells, rows, hear), name="asking-ahead", daemon=True)
            thread.start()
        except BaseException:
            self._turn.release()
            raise
        return thread

    def _all(
        self,
        shells: list[Shell],
        rows: list[list[tuple[int, str]]],
        hear: Callable[[int, Answer | None], None],
    ) -> None:
        try:
            others = [
                threading.Thread(target=self._each, args=(shell, row, hear), daemon=True)
                for shell, row in zip(shells[1:], rows[1:], strict=True)
            ]
            for one, row in zip(others, rows[1:], strict=True):
                _start(one, row, hear)
            self._each(shells[0], rows[0], hear)
            for one in others:
                if one.ident is not None:
                    one.join()
            for extra in shells[1:]:
                extra.close()
        finally:
            self._turn.release()

    def shell(self) -> Shell:
        """Return a shell besides those for commands; whoever asks closes it.

        Raises MachineLostError when the machine does not answer.
        """
        self.open()
        try:
            return self._another()
        except NoSessionError:
            if self.machine.address is None:
                raise
        transport = connection.connect(self.machine.address)
        try:
            return Shell(transport, start=AS_ROOT if self.machine.sudo else PLAIN, alone=True)
        except MachineLostError:
            transport.close()
            raise

    def _free(self) -> Shell:
        """Return a spare shell, or start one."""
        while True:
            try:
                shell = self._spare.pop()
            except IndexError:
                return self._another()
            if not shell.closed:
                return shell

    def _another(self) -> Shell:
        """Start a shell on the connection that there is."""
        if self._transport is None:
            raise MachineLostError("the connection is closed")
        return Shell(self._transport, start=AS_ROOT if self.machine.sudo else PLAIN)

    def close(self) -> None:
        """Close the connection; the next command opens another."""
        if self._transport is not None:
            self._transport.close()
        self._transport, self._shells, self._spare = None, {}, []

    def _connect(self) -> None:
        if self._transport is not None and self._transport.is_active():
            return
        self._shells, self._spare = {}, []
        self.connections += 1
        if self.machine.transport is not None and self._transport is None:
            self._transport = self.machine.transport
        elif self.machine.address is not None:
            self._transport = _greeted(self.machine.address, first=self.connections == 1)
        else:
            raise MachineLostError("the connection is closed")

    def _shell(self, start: str) -> Shell:
        """Return the shell of a user; where the server allows but one session, the one before it ends."""
        start = AS_ROOT if self.machine.sudo and start == PLAIN else start
        shell = self._shells.get(start)
        if shell is not None and not shell.closed:
            return shell
        assert self._transport is not None  # noqa: S101 - told to the type checker
        try:
            shell = Shell(self._transport, start=start)
        except NoSessionError:
            for other in (*self._shells.values(), *self._spare):
                other.close()
            self._shells, self._spare = {}, []
            shell = _patiently(self._transport, start)
        self._shells[start] = shell
        return shell

    def _become(self, start: str) -> bool:
        """Say whether there is a shell of the user whom sudo is asked for."""
        if start in self._refused:
            return False
        try:
            self._shell(start)
        except MachineLostError:
            self._refused.add(start)
            self.open()
            return False
        return True

    def _several(self, count: int) -> list[Shell]:
        shells = [self._shell(PLAIN)]
        with suppress(MachineLostError):
            while len(shells) < count:
                shells.append(self._another())
        return shells

    def _each(self, shell: Shell, row: list[tuple[int, str]], hear: Callable[[int, Answer | None], None]) -> None:
        left = iter(row)
        try:
            commands = [command for _, command in row]
            for answer in shell.run_all(commands, timeout=self.machine.timeout, limit=self.machine.limit):
                hear(next(left)[0], answer)
        except (MachineLostError, CommandTimeoutError, TooMuchOutputError):
            pass  # who needs an answer that is missing asks again, and hears why
        finally:
            for number, _ in left:
                hear(number, None)

    def _cut_off(self, error: MachineLostError) -> MachineLostError:
        """Say what became of a command whose shell or connection ended under it.

        It may have run, so it does not run again. Whether the machine itself is gone shows at once.
        """
        try:
            with self._opening:
                self._connect()
                self._shell(PLAIN)
        except MachineLostError:
            return self._gone(error)
        return MachineLostError(f"the command was cut off: {error}")

    def _gone(self, error: MachineLostError) -> LostForGoodError:
        self.lost = f"{self._name!r} was lost: {error}"
        return LostForGoodError(self.lost)


def _start(thread: threading.Thread, row: list[tuple[int, str]], hear: Callable[[int, Answer | None], None]) -> None:
    """Start a thread; where the system has no more of them, nobody may wait for what it would have asked."""
    try:
        thread.start()
    except RuntimeError:
        for number, _ in row:
            hear(number, None)


def _sudo(user: str) -> str:
    return f"exec sudo -n -u {shlex.quote(user)} /bin/sh" if user else "exec sudo -n /bin/sh"


def _greeted(address: Address, *, first: bool) -> paramiko.Transport:
    """Connect; the first time with patience for a server that has too many logins under way (`MaxStartups`)."""
    if not first:
        return connection.connect(address)
    try:
        return connection.wait(address, deadline=time.monotonic() + RECONNECT_SECONDS, alive=lambda: None)
    except BootError as error:
        raise MachineLostError(str(error)) from error


def _patiently(transport: paramiko.Transport, start: str) -> Shell:
    """Start a shell as soon as the server has noticed that the one before it was closed."""
    deadline = time.monotonic() + RECONNECT_SECONDS
    while True:
        try:
            return Shell(transport, start=start)
        except NoSessionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
