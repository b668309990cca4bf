"""One shell on the other side that runs command after command: a fraction of the cost of a channel for each."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import paramiko

from imagetest.errors import MachineLostError
from imagetest.execute.interrupts import interrupts
from imagetest.transport.ending import end

CHUNK = 65536

INTERRUPTIBLE_SECONDS = 0.1
"""How long an interrupt may wait for this module to come to a safe place."""

PLAIN = "exec /bin/sh"
"""Starts a shell, whatever the login shell is."""

AS_ROOT = "exec /bin/sh -c 'test $(id -u) = 0 && exec /bin/sh; exec sudo -n /bin/sh'"
"""Becomes root's shell, whatever the login shell is; root itself needs no sudo."""

SEND_LIMIT = 256 * 1024
"""Characters of commands that are sent before the answer to the first of them is read."""

FRAME = 300
"""Characters, about, that stand around a command."""

LAST_WORDS_SECONDS = 0.5
"""A server may tell a shell's exit code before the last that the shell said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a command left: its exit code and the bytes of its two streams."""

    exit_code: int
    stdout: bytes
    stderr: bytes


class NoSessionError(MachineLostError):
    """The SSH server opens no more sessions on this connection (`MaxSessions`)."""


class CommandTimeoutError(Exception):
    """A command ran for longer than it may."""


class TooMuchOutputError(Exception):
    """A command said more than its caller would hold."""


class Shell:
    """A POSIX shell over one SSH channel.

    Each command runs in a child `sh -c` of its own with an empty standard input, so that none can change the shell, and
    on both streams its output stands between two marks that no output can forge, so that the answer is binary safe, and
    what an earlier command left running may go on writing.
    """

    def __init__(
        self, transport: paramiko.Transport, *, timeout: float = 30, start: str = PLAIN, alone: bool = False
    ) -> None:
        """Start the shell by the command `start`; a banner that a login shell prints is thrown away.

        With `alone` the connection is its own, and closed with it.

        Raises NoSessionError when the server opens no more sessions, and MachineLostError when no shell answers within
        `timeout` seconds.
        """
        self._transport = transport
        self._start = start
        self._alone = alone
        self._secret = os.urandom(16).hex()
        self._commands = 0
        self._read_on = (b"", b"")
        """What came behind the last answer: the beginning of the next."""
        try:
            with interrupts.held():
                self._channel = transport.open_session(timeout=timeout)
                self._news = _News(self._channel)
                self._channel.exec_command(start)
        except paramiko.ChannelException as error:
            raise NoSessionError(f"the SSH server opens no more sessions: {error}") from error
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise MachineLostError(f"no shell could be started: {error}") from error
        self._pid = 0
        try:
            self._pid = int(self.run("echo $PPID", timeout=timeout).stdout)
        except CommandTimeoutError as error:
            raise MachineLostError(f"/bin/sh did not answer within {timeout:g} seconds") from error
        except ValueError as error:
            self.close()
            raise MachineLostError("what answers is no POSIX shell") from error

    def run(self, command: str | bytes, *, timeout: float, limit: int | None = None) -> Answer:
        """Run a command to its end.

        Raises CommandTimeoutError after `timeout` seconds and TooMuchOutputError when it says more than `limit` bytes,
        after either of which the command is ended where it runs and this shell is of no more use, and MachineLostError
        when the connection ends.
        """
        return next(self._ask([command], timeout, limit))

    def run_all(self, commands: Sequence[str], *, timeout: float, limit: int | None = None) -> Iterator[Answer]:
        """Run commands one after the other, without waiting for an answer before the next is sent.

        Raises what `run` raises; what was answered before that was given.
        """
        for some in _portions(commands):
            yield from self._ask(some, timeout, limit)

    def _ask(self, commands: Sequence[str | bytes], timeout: float, limit: int | None) -> Iterator[Answer]:
        """Send commands, and give their answers as they come; each may take `timeout` seconds."""
        marks = [self._next_mark() for _ in commands]
        try:
            with interrupts.held():
                self._channel.settimeout(timeout)
                self._send(b"".join(map(_framed, commands, marks)))
            for mark in marks:
                with interrupts.held():
                    answer = self._answer(mark, time.monotonic() + timeout, limit)
                yield answer
        except TooMuchOutputError as error:
            raise TooMuchOutputError(f"{error}{self._give_up()}") from error
        except TimeoutError as error:
            raise CommandTimeoutError(f"no answer within {timeout:g} seconds{self._give_up()}") from error
        except _EndedError as error:
            raise MachineLostError(str(error)) from error
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise MachineLostError(f"the SSH connection broke: {str(error) or 'it was closed'}") from error

    def close(self) -> None:
        """Close the channel.

        OpenSSH ends nothing then: a command that still runs goes on until it is done, or writes to what is closed.
        """
        with suppress(EOFError, OSError, paramiko.SSHException):  # the connection may be gone by now
            self._channel.close()
        if self._alone:
            self._transport.close()

    @property
    def closed(self) -> bool:
        """Say whether it is of no more use."""
        return bool(self._channel.closed or self._channel.eof_received)

    def _give_up(self) -> str:
        """End what runs, and say what is to be said of it; the shell's own channel may be the only one it gets."""
        with suppress(EOFError, OSError, paramiko.SSHException):
            self._channel.close()
        with interrupts.held():
            ended = bool(self._pid) and end(self._transport, self._pid, start=self._start)
        self.close()
        return "" if ended else ", and it may still run there"

    def _next_mark(self) -> str:
        """Return what will stand around one command's output, and no other's."""
        self._commands += 1
        return f"{self._secret}{self._commands:08x}"

    def _send(self, data: bytes) -> None:
        try:
            self._channel.sendall(data)
        except TimeoutError:
            raise
        except OSError:
            return  # it ended before it heard us: what it said instead is still to be read

    def _answer(self, mark: str, deadline: float, limit: int | None) -> Answer:
        """Read both streams as they come: one left unread would fill the window that they share, and stop the other."""
        out, err = _Stream(mark, self._read_on[0]), _Stream(mark, self._read_on[1])
        while out.exit_code is None or err.exit_code is None:
            if not self._wait(deadline):
                said = " ".join((err.refusal() or out.refusal()).split())[-300:]
                raise _EndedError(f"the shell ended: {said}" if said else "the shell ended")
            if self._channel.recv_ready():
                out.add(self._channel.recv(CHUNK))
            if self._channel.recv_stderr_ready():
                err.add(self._channel.recv_stderr(CHUNK))
            if limit is not None and out.size + err.size > limit:
                raise TooMuchOutputError(f"more than {limit} bytes of output")
        self._read_on = (out.rest(), err.rest())
        return Answer(exit_code=out.exit_code, stdout=out.content(), stderr=err.content())

    def _wait(self, deadline: float) -> bool:
        """Wait until there is something to read; say whether there ever will be."""
        interrupts.checkpoint()
        if time.monotonic() >= deadline:
            raise TimeoutError
        self._news.clear()  # before the look, so that what comes after it is not missed
        if self._channel.recv_ready() or self._channel.recv_stderr_ready():
            return True
        if self._channel.closed or self._channel.eof_received:
            return self._channel.recv_ready() or self._channel.recv_stderr_ready()
        ended = self._channel.exit_status_ready()
        until = min(deadline, time.monotonic() + LAST_WORDS_SECONDS) if ended else deadline
        while not self._news.wait(max(0.001, min(until - time.monotonic(), INTERRUPTIBLE_SECONDS))):
            interrupts.checkpoint()
            if time.monotonic() >= until:
                if ended:
                    return False
                raise TimeoutError
        return True


def _portions(commands: Sequence[str]) -> Iterator[Sequence[str]]:
    """Divide commands so that what is sent at once fits into the window of an SSH channel, and no side waits."""
    portion: list[str] = []
    length = 0
    for command in commands:
        length += len(command) + FRAME
        if portion and length > SEND_LIMIT:
            yield portion
            portion, length = [], len(command) + FRAME
        portion.append(command)
    if portion:
        yield portion


def _framed(command: str | bytes, mark: str) -> bytes:
    raw = command if isinstance(command, bytes) else command.encode("utf-8", "surrogateescape")
    quoted = raw.replace(b"'", b"'\"'\"'")
    head = f"printf '%s\\n' {mark}; printf '%s\\n' {mark} >&2; /bin/sh -c '"
    tail = f"' </dev/null; set -- $?; printf '\\n%s %d\\n' {mark} $1; printf '\\n%s %d\\n' {mark} $1 >&2\n"
    return head.encode() + quoted + tail.encode()


class _News(threading.Event):
    """Set when something comes on either stream, or a stream ends.

    `Channel.fileno` would say so too, but paramiko may write to that descriptor's number after it was closed, when it
    is another connection's already (seen with 5.1: a timeout under load broke the SSH connection beside it).
    """

    def __init__(self, channel: paramiko.Channel) -> None:
        super().__init__()
        channel.in_buffer.set_event(_Setter(self))
        channel.in_stderr_buffer.set_event(_Setter(self))


class _Setter(threading.Event):
    """What one buffer may do with the event that two share: an empty one does not silence the other."""

    def __init__(self, event: threading.Event) -> None:
        super().__init__()
        self._shared = event

    def set(self) -> None:
        """Say that there is something."""
        self._shared.set()

    def clear(self) -> None:
        """Do nothing: who waits clears it."""


class _EndedError(Exception):
    """The shell is there no more, or never was."""


class _Stream:
    """What comes on one stream, of which the part between the two marks counts."""

    def __init__(self, mark: str, begun: bytes) -> None:
        self._begin = f"{mark}\n".encode()
        self._end = re.compile(rb"\n%s (\d+)\n" % mark.encode())
        self._longest_end = len(mark) + 6
        self._data = bytearray()
        self._length = self._end_of_end = 0
        self.exit_code: int | None = None
        self.add(begun)

    def add(self, chunk: bytes) -> None:
        """Add what came, and look for the end in what is new, so that a large output costs its size once."""
        seen = max(0, len(self._data) - self._longest_end)
        self._data += chunk
        if self.exit_code is None and (end := self._end.search(self._data, seen)):
            self.exit_code, self._length, self._end_of_end = int(end[1]), end.start(), end.end()

    @property
    def size(self) -> int:
        """Return how many bytes came."""
        return len(self._data)

    def content(self) -> bytes:
        """Return what stands between the marks."""
        return bytes(memoryview(self._data)[self._data.index(self._begin) + len(self._begin) : self._length])

    def rest(self) -> bytes:
        """Return what came behind the end."""
        return bytes(self._data[self._end_of_end :])

    def refusal(self) -> str:
        """Return what was said instead of starting the command, such as a login shell's farewell."""
        return "" if self._begin in self._data else self._data.decode(errors="replace").strip()
