"""Commands as local processes, as a gateway wants them: on this machine, or where a program in front takes them."""

from __future__ import annotations

import os
import selectors
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from imagetest.execute import process

CHUNK = 32768


class LocalExecutor:
    """Runs commands in one folder and with an environment of their own."""

    def __init__(self, folder: Path, *, before: tuple[str, ...] = (), env: Mapping[str, str] | None = None) -> None:
        """Run them in a folder; `before` is a program that is given the shell to run, such as chroot."""
        self._folder = folder
        self._before = before
        self._env = env or {"PATH": os.defpath, "HOME": str(folder)}

    def start(self, command: str, *, terminal: bool) -> LocalProcess:
        """Start a command under /bin/sh; there are no terminals. Raises OSError."""
        if terminal:
            raise OSError("a local process gets no terminal")
        argv = (*self._before, "/bin/sh", *(("-c", command) if command else ()))
        return LocalProcess(argv, folder=self._folder, env=self._env)


class LocalProcess:
    """A program that runs on this machine, with three pipes."""

    def __init__(self, argv: tuple[str, ...], *, folder: Path, env: Mapping[str, str]) -> None:
        self._child = process.piped(*argv, cwd=folder, env=env)
        self._streams = selectors.DefaultSelector()
        for number, stream in ((1, self._child.stdout), (2, self._child.stderr)):
            assert stream is not None  # noqa: S101 - told to the type checker
            self._streams.register(stream, selectors.EVENT_READ, number)

    def read(self) -> tuple[int, bytes]:
        """Return a stream's number and what came on it; an empty chunk at the end."""
        while self._streams.get_map():
            for key, _ in self._streams.select():
                if data := os.read(key.fd, CHUNK):
                    return key.data, data
                self._streams.unregister(key.fileobj)
        return 1, b""

    def write(self, data: bytes) -> None:
        """Send to its standard input. Raises OSError where nobody reads that any more."""
        if self._child.stdin is None:
            return
        try:
            self._child.stdin.write(data)
            self._child.stdin.flush()
        except ValueError as error:  # another thread has closed it
            raise BrokenPipeError(str(error)) from error

    def close_input(self) -> None:
        """End its standard input."""
        if self._child.stdin is not None:
            self._child.stdin.close()

    def exit_code(self) -> int:
        """Wait for the exit code; 128 and a signal's number where one ended it."""
        code = self._child.wait()
        return code if code >= 0 else 128 - code

    def resize(self, *, rows: int, columns: int) -> None:
        """Do nothing: there is no terminal."""

    def hang_up(self) -> None:
        """End it, and whatever it started."""
        with suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)

    def close(self) -> None:
        """Free the pipes."""
        self.hang_up()
        self._child.wait()
        self._streams.close()
        for stream in (self._child.stdin, self._child.stdout, self._child.stderr):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
