"""One shell on the other side that runs command after command: a fraction of the cost of a channel for each."""

from __future__ import annotations

import os
import re
import threading
import time
from dataclasses import dataclass

import paramiko

from imagetest.errors import MachineLostError
from imagetest.execute.interrupts import interrupts

CHUNK = 65536

INTERRUPTIBLE_SECONDS = 0.1
"""How long an interrupt may wait for this module to come to a safe place."""

AS_ROOT = "exec /bin/sh -c 'test $(id -u) = 0 && exec /bin/sh; exec sudo -n /bin/sh'"
"""Becomes root's shell, whatever the login shell is; root itself needs no sudo."""

LAST_WORDS_SECONDS = 0.5
"""A server may tell a shell's exit code before the last that the shell said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a command left: its exit code and the bytes of its two streams."""

    exit_code: int
    stdout: bytes
    stderr: bytes


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

    def __init__(self, transport: paramiko.Transport, *, timeout: float = 30, sudo: bool = False) -> None:
        """Start the shell; a banner that a login shell prints is thrown away.

        With `sudo` it runs as root, where sudo asks for no password.
        Raises MachineLostError when no shell answers within `timeout` seconds.
        """
        self._mark = os.urandom(16).hex()
        try:
            with interrupts.held():
                self._channel = transport.open_session(timeout=timeout)
                self._news = _News(self._channel)
                self._channel.exec_command(AS_ROOT if sudo else "exec /bin/sh")
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise MachineLostError(f"no shell could be started: {error}") from error
        try:
            self.run(":", timeout=timeout)
        except CommandTimeoutError as error:
            raise MachineLostError(f"/bin/sh did not answer within {timeout:g} seconds") from error

    def run(self, command: str | bytes, *, timeout: float, limit: int | None = None) -> Answer:
        """Run a command to its end.

        Raises CommandTimeoutError after `timeout` seconds and TooMuchOutputError when it says more than `limit` bytes,
        after either of which this shell is of no more use, and MachineLostError when the connection ends.
        """
        try:
            with interrupts.held():
                self._channel.settimeout(timeout)
                self._send(self._framed(command))
                return self._answer(time.monotonic() + timeout, limit)
        except TooMuchOutputError:
            self.close()
            raise
        except TimeoutError as error:
            self.close()
            raise CommandTimeoutError(f"no answer within {timeout:g} seconds") from error
        except _EndedError as error:
            raise MachineLostError(str(error)) from error
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise MachineLostError(f"the SSH connection broke: {str(error) or 'it was closed'}") from error

    def close(self) -> None:
        """Close the channel.

        OpenSSH ends nothing then: a command that still runs goes on until it is done, or writes to what is closed.
        """
        self._channel.close()

    def _framed(self, command: str | bytes) -> bytes:
        raw = command if isinstance(command, bytes) else command.encode("utf-8", "surrogateescape")
        quoted = raw.replace(b"'", b"'\"'\"'")
        head = f"printf '%s\\n' {self._mark}; printf '%s\\n' {self._mark} >&2; /bin/sh -c '"
        tail = (
            f"' </dev/null; set -- $?; printf '\\n%s %d\\n' {self._mark} $1; printf '\\n%s %d\\n' {self._mark} $1 >&2\n"
        )
        return head.encode() + quoted + tail.encode()

    def _send(self, data: bytes) -> None:
        try:
            self._channel.sendall(data)
        except TimeoutError:
            raise
        except OSError:
            return  # it ended before it heard us: what it said instead is still to be read

    def _answer(self, deadline: float, limit: int | None) -> Answer:
        """Read both streams as they come: one left unread would fill the window that they share, and stop the other."""
        out, err = _Stream(self._mark), _Stream(self._mark)
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

    def __init__(self, mark: str) -> None:
        self._begin = f"{mark}\n".encode()
        self._end = re.compile(rb"\n%s (\d+)\n" % mark.encode())
        self._longest_end = len(mark) + 6
        self._data = bytearray()
        self._length = 0
        self.exit_code: int | None = None

    def add(self, chunk: bytes) -> None:
        """Add what came, and look for the end in what is new, so that a large output costs its size once."""
        seen = max(0, len(self._data) - self._longest_end)
        self._data += chunk
        if self.exit_code is None and (end := self._end.search(self._data, seen)):
            self.exit_code, self._length = int(end[1]), end.start()

    @property
    def size(self) -> int:
        """Return how many bytes came."""
        return len(self._data)

    def content(self) -> bytes:
        """Return what stands between the marks."""
        return bytes(memoryview(self._data)[self._data.index(self._begin) + len(self._begin) : self._length])

    def refusal(self) -> str:
        """Return what was said instead of starting the command, such as a login shell's farewell."""
        return "" if self._begin in self._data else self._data.decode(errors="replace").strip()
