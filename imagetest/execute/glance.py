"""Ask the Docker engine of this machine without the client library, which takes longer to load than to answer.

Only where the engine listens on its Unix socket, as it does unless somebody says otherwise; for all else, and for every
answer that is none, the caller asks through `engine`, which knows contexts, TLS and what to tell a user.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
from pathlib import Path
from typing import Any

SOCKET = Path("/var/run/docker.sock")

SECONDS = 5.0
"""How long the engine may think about it before the library asks again."""


def read(path: str) -> dict[str, Any] | None:
    """Return what the engine says at a path of its API, such as `/containers/NAME/json`; None when it cannot be had."""
    if _is_elsewhere():
        return None
    asked = _Asked("localhost", timeout=SECONDS)
    try:
        asked.request("GET", path)
        answer = asked.getresponse()
        found = json.loads(answer.read())
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        asked.close()
    return found if answer.status == http.client.OK and isinstance(found, dict) else None


def _is_elsewhere() -> bool:
    """Say whether the `docker` command of this user may talk to another engine than this machine's own."""
    if any(os.environ.get(name) for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG")):
        return True
    try:
        return "currentContext" in (Path.home() / ".docker" / "config.json").read_text()
    except FileNotFoundError:
        return False
    except (OSError, RuntimeError, ValueError):
        return True


class _Asked(http.client.HTTPConnection):
    """A connection over the Unix socket."""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(SOCKET))
