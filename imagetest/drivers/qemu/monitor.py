"""Speak to a running QEMU over its monitor: JSON lines on a socket.

The protocol: https://www.qemu.org/docs/master/interop/qmp-spec.html
"""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path
from typing import Any, Self

from imagetest.errors import EngineError

SOCKET = "monitor.sock"

PATIENCE_SECONDS = 20.0

FORWARD = re.compile(r"^\s*TCP\[HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)\s", re.MULTILINE)
"""A line of the human monitor's `info usernet`."""


class Monitor:
    """A conversation with one QEMU."""

    def __init__(self, folder: Path) -> None:
        """Connect. Raises OSError when nobody listens yet."""
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(PATIENCE_SECONDS)
        try:
            self._socket.connect(str(folder / SOCKET))
            self._lines = self._socket.makefile("rw", encoding="utf-8")
            self._lines.readline()  # its greeting
            self.ask("qmp_capabilities")
        except BaseException:
            self._socket.close()
            raise

    def ask(self, command: str, **arguments: object) -> Any:
        """Return the answer to a command. Raises EngineError when QEMU refuses, or is gone."""
        try:
            self._lines.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
            self._lines.flush()
            while line := self._lines.readline():
                said = json.loads(line)
                if "error" in said:
                    raise EngineError(f"QEMU refuses {command!r}: {said['error'].get('desc')}")
                if "return" in said:
                    return said["return"]
        except (OSError, ValueError) as error:
            raise EngineError(f"QEMU does not answer: {error}") from error
        raise EngineError("QEMU ended")

    def port(self) -> int:
        """Return the port of this machine at which the guest's SSH server can be reached."""
        said = self.ask("human-monitor-command", **{"command-line": "info usernet"})
        found = FORWARD.search(said)
        if found is None:
            raise EngineError(f"QEMU forwards no port: {said.strip()}")
        return int(found[1])

    def close(self) -> None:
        """Hang up."""
        self._lines.close()
        self._socket.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Hang up."""
        self.close()
