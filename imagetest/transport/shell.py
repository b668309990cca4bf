"""One shell on the other side that runs command after command: a fraction of the cost of a channel for each."""

from __future__ import annotations

import os
import select
import time
from dataclasses import dataclass

import paramiko

from imagetest.errors import MachineLostError

CHUNK = 65536


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a command left: its exit code and the bytes of its two streams."""

    exit_code: int
    stdout: bytes
    stderr: bytes


class CommandTimeoutError(Exception):
    """A command ran for longer than it may."""


class Shell:
    """A POSIX shell over one SSH channel.

    Each command runs in a child `sh -c` of its own with an empty standard input, so that none can change the shell, and
    both streams end with a marker that no output can forge, so that the answer is binary safe.
    """

    def __init__(self, transport: paramiko.Transport, *, timeout: float = 30) -> None:
        """Start the shell; a banner that a login shell prints is thrown away.

        Raises MachineLostError when no shell answers within `timeout` seconds.
        """
        self._marker = os.urandom(16).hex()
        self._end = f"\n{self._marker} ".encode()
        self._end_of_errors = f"\n{self._marker}\n".encode()
        try:
            self._channel = transport.open_session(timeout=timeout)
            self._channel.exec_command("exec /bin/sh")
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise MachineLostError(f"no shell could be started: {error}") from error
        try:
            self.run(":", timeout=timeout)
        except CommandTimeoutError as error:
            raise MachineLostError(f"/bin/sh did not answer within {timeout:.0f} seconds") from error

    def run(self, command: str | bytes, *, timeout: float) -> Answer:
        """Run a command to its end.

        Raises CommandTimeoutError after `timeout` seconds, after which this shell is of no more use, and
        MachineLostError when the connection ends.
        """
        try:
            self._channel.settimeout(timeout)
            self._channel.sendall(self._framed(command))
            return self._answer(time.monotonic() + timeout)
        except TimeoutError as error:
            self.close()
            raise CommandTimeoutError(f"no answer within {timeout:.0f} seconds") from error
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise MachineLostError(f"the SSH connection broke: {str(error) or 'it was closed'}") from error

    def close(self) -> None:
        """Close the channel; the server ends what still runs in it."""
        self._channel.close()

    def _framed(self, command: str | bytes) -> bytes:
        raw = command if isinstance(command, bytes) else command.encode("utf-8", "surrogateescape")
        quoted = b"'" + raw.replace(b"'", b"'\"'\"'") + b"'"
        tail = f" </dev/null; printf '\\n%s %d\\n' {self._marker} $?; printf '\\n%s\\n' {self._marker} >&2\n"
        return b"/bin/sh -c " + quoted + tail.encode()

    def _answer(self, deadline: float) -> Answer:
        """Read both streams as they come: one left unread would fill the window that they share, and stop the other."""
        out, err = bytearray(), bytearray()
        code: int | None = None
        while code is None or not err.endswith(self._end_of_errors):
            self._wait(deadline)
            if self._channel.recv_ready():
                seen = max(0, len(out) - len(self._end))
                out += self._channel.recv(CHUNK)
                code = self._exit_code(out, seen)
            if self._channel.recv_stderr_ready():
                err += self._channel.recv_stderr(CHUNK)
        return Answer(
            exit_code=code,
            stdout=bytes(out[: out.rindex(self._end)]),
            stderr=bytes(err[: -len(self._end_of_errors)]),
        )

    def _exit_code(self, out: bytearray, seen: int) -> int | None:
        """Find the marker in what is new, so that a large output costs its size once."""
        at = out.find(self._end, max(0, seen - 16))
        return int(out[at + len(self._end) :]) if at >= 0 and out.endswith(b"\n") else None

    def _wait(self, deadline: float) -> None:
        if self._channel.recv_ready() or self._channel.recv_stderr_ready():
            return
        if self._channel.closed or self._channel.exit_status_ready() or self._channel.eof_received:
            raise EOFError("the shell ended")
        ready = select.poll()
        ready.register(self._channel.fileno(), select.POLLIN)
        if not ready.poll(max(1, (deadline - time.monotonic()) * 1000)) and time.monotonic() >= deadline:
            raise TimeoutError
