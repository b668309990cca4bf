"""Commands as testinfra wraps them to be run by another user."""

from __future__ import annotations

import shlex

WRAPPER = ["/bin/sh", "-c"]


def peel(text: str) -> tuple[str | None, str]:
    """Return the user for whom `sudo` is asked to run a shell command, and that command; None for none, "" for root.

    Only what reads exactly as testinfra writes it is taken apart.
    """
    if not text.startswith("sudo "):
        return None, text
    try:
        words = shlex.split(text)
    except ValueError:
        return None, text
    user = words[2] if words[1:2] == ["-u"] and len(words) > 2 else ""  # noqa: PLR2004 - the word behind -u
    head = ["sudo", *(["-u", user] if user else []), *WRAPPER]
    if words[:-1] != head or text != wrap(words[-1], user):
        return None, text
    return user, words[-1]


def wrap(inner: str, user: str) -> str:
    """Return a command that runs another one as a user; "" is root."""
    who = f"-u {shlex.quote(user)} " if user else ""
    return f"sudo {who}/bin/sh -c {shlex.quote(inner)}"


def innermost(text: str) -> str:
    """Return what runs in the end, however often it is wrapped."""
    user, inner = peel(text)
    return text if user is None else innermost(inner)
