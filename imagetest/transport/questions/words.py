"""A shell command as its words, where nothing in it is left to the shell to decide."""

from __future__ import annotations

import re

_WORD = r"""(?:[\w@%+=:,./?*^-]|'[^']*'|"[^"$`\\]*")+"""
_TOKEN = re.compile(rf"2>&1(?=[ \t]|\Z)|\||{_WORD}")
_COMMAND = re.compile(rf"[ \t]*(?:(?:2>&1|\||{_WORD})(?:[ \t]+|\Z))+\Z")
_QUOTED = re.compile(r"""'([^']*)'|"([^"]*)\"""")
_GLOB = re.compile(r"[?*]")

PIPE, JOINED = "|", "2>&1"

Pipeline = list[list[str]]
"""The words of each command of a pipeline."""


def pipeline(text: str) -> Pipeline | None:
    """Return the words of each command; None where the shell would have more to do than to split and to unquote.

    That is so of every expansion but that of file names in an absolute path, every redirection but `2>&1` at the end,
    and every operator but the pipe.
    """
    if not _COMMAND.match(text):
        return None
    tokens = _TOKEN.findall(text)
    if tokens[-1] == JOINED:
        tokens.pop()
    commands: Pipeline = [[]]
    for token in tokens:
        if token == PIPE:
            commands.append([])
        elif token == JOINED or not _is_settled(token):
            return None
        else:
            commands[-1].append(_QUOTED.sub(_inner, token))
    return commands if all(commands) else None


def _is_settled(token: str) -> bool:
    """Say whether a word stays what it is, or becomes the names of files, which then cannot pass for options."""
    return token.startswith("/") or not _GLOB.search(_QUOTED.sub("", token))


def _inner(quoted: re.Match[str]) -> str:
    return quoted[1] if quoted[1] is not None else quoted[2]
