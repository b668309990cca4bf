"""Hold a machine by its keeper: start it, hear when it ends, let go of it or end it."""

from __future__ import annotations

import os
import select
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from imagetest.drivers.held import keeper
from imagetest.errors import ProcessError
from imagetest.execute import process

START_SECONDS = 20.0

KILLED = -9
"""The exit code of what was killed, as subprocess has it."""

GRACE_SECONDS = 10.0
"""How long a keeper may take to end its machine and to remove the folder."""


class Hold:
    """A machine that lives for as long as this process holds it."""

    def __init__(self, folder: Path, argv: list[str]) -> None:
        """Start a machine. Raises ProcessError when it cannot be."""
        program = str(Path(keeper.__file__))
        self.folder = folder
        self._child = process.piped(
            sys.executable, "-I", "-S", program, str(folder), *argv, cwd=folder, env={"PATH": os.environ["PATH"]}
        )
        self._reading = threading.Lock()
        """Nobody else's file has the number of one that is being read and was closed."""
        self._heard = b""
        self._code: int | None = None
        deadline = time.monotonic() + START_SECONDS
        while b"started\n" not in self._heard:
            if not self._listen(max(0.0, deadline - time.monotonic())):
                said = self._complaint()
                self.end()
                raise ProcessError(f"no keeper could be started for a machine: {said or 'it said nothing'}")

    def ended(self) -> int | None:
        """Return the exit code of a machine that has ended; None for one that runs."""
        while self._code is None and self._listen(0.0):
            pass
        return self._code

    def said(self) -> str:
        """Return what the machine's own program wrote, such as why it did not start."""
        with suppress(OSError):
            return (self.folder / keeper.SAID).read_text(errors="replace").strip()
        return ""

    def let_go(self) -> None:
        """Leave a machine to itself; one that has ended leaves its folder."""
        if self._child.stdin is None or self._child.stdin.closed:
            return
        with suppress(OSError):
            self._child.stdin.write(b"keep\n")
            self._child.stdin.flush()
        if self.ended() is not None:
            self._child.wait()
        else:
            self._child.returncode = 0  # it is meant to outlive this process: nobody is to be warned of that
        self._close()

    def end(self) -> None:
        """End a machine, with its folder; one that was let go of is somebody else's to end.

        Another thread may wait for something of the machine: it hears that it has ended.
        """
        if self._child.stdin is not None:
            with suppress(OSError):
                self._child.stdin.close()
        if not process.waited(self._child, GRACE_SECONDS):
            self._child.kill()  # the kernel kills the machine then
            self._child.wait()
        self._close()
        if self._code is None:
            self._code = KILLED

    def _listen(self, seconds: float) -> bool:
        """Hear more of what the keeper says; say whether there was anything."""
        with self._reading:
            stream = self._child.stdout
            if stream is None or stream.closed or not select.select([stream], [], [], seconds)[0]:
                return False
            said = os.read(stream.fileno(), 4096)
        self._heard += said
        for line in self._heard.splitlines():
            if line.startswith(b"ended "):
                self._code = int(line.split()[1])
        if not said and self._code is None and b"started\n" in self._heard:
            self._code = KILLED  # the keeper was killed, and its machine with it
        return bool(said)

    def _complaint(self) -> str:
        if self._child.poll() is None or self._child.stderr is None:
            return ""
        return self._child.stderr.read().decode(errors="replace").strip()[-300:]

    def _close(self) -> None:
        with self._reading:
            for stream in (self._child.stdin, self._child.stdout, self._child.stderr):
                if stream is not None:
                    with suppress(OSError):
                        stream.close()
