"""Who runs this: what records, reports and tags name."""

from __future__ import annotations

import getpass
import socket

from imagetest.model.text import legible


def operator() -> str:
    """Return who runs this, and on which machine."""
    return legible(f"{_user()}@{socket.gethostname()}")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no account with this number, as in many CI containers
        return "unknown"
