"""Collect every mistake in a file before saying any of them."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from imagetest.errors import ConfigError

KEY = r"""(?:[\w-]+|"[^"]*"|'[^']*')"""


class Mistakes:
    """The mistakes of one TOML file, each with its place."""

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._lines = text.splitlines()
        self._found: list[tuple[int, str]] = []

    def add(self, place: Iterable[str | int], message: str) -> None:
        """Note a mistake; `place` is the way to it through the tables of the file."""
        keys = list(place)
        line = self._line_of(keys)
        where = f"line {line}: " if line else ""
        named = ".".join(str(part) for part in keys if not isinstance(part, int))
        self._found.append((line, f"{where}{named}: {message}"))

    def raise_if_any(self) -> None:
        """Raise ConfigError with all of them, in the order of the file."""
        if not self._found:
            return
        found = list(dict.fromkeys(text for _, text in sorted(self._found, key=lambda one: one[0])))
        title = f"{self._path}: " + ("1 mistake" if len(found) == 1 else f"{len(found)} mistakes")
        raise ConfigError("\n  ".join([title, *found]), hint="docs/configuration.md describes every setting")

    def _line_of(self, keys: list[str | int]) -> int:
        """Find the line of a key, or of the closest table around it; 0 when there is none.

        A number counts the tables of one name, as in `[[waiver]]`, from 0.
        """
        table: list[str | int] = []
        seen: Counter[str] = Counter()
        best, depth = 0, 0
        for number, line in enumerate(self._lines, start=1):
            header = re.match(r"\s*(\[\[?)\s*([^\]]+?)\s*\]\]?", line)
            assigned = re.match(rf"\s*({KEY}(?:\s*\.\s*{KEY})*)\s*=", line)
            if header:
                table = [*_parts(header[2])]
                if header[1] == "[[":
                    table.append(seen[header[2]])
                    seen[header[2]] += 1
                here = table
            elif assigned:
                here = table + _parts(assigned[1])
            else:
                continue
            shared = min(len(here), len(keys))
            if here[:shared] == keys[:shared] and shared > depth:
                best, depth = number, shared
        return best


def _parts(dotted: str) -> list[str | int]:
    return [part.strip().strip("\"'") for part in re.findall(KEY, dotted)]


def read_toml(path: Path) -> tuple[dict[str, Any], str]:
    """Return the tables of a TOML file and its text.

    Raises ConfigError, with the place, when it cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
        return tomllib.loads(text), text
    except FileNotFoundError as error:
        raise ConfigError(
            f"there is no {path}", hint="'imagetest init' makes a project that runs as it stands"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """Say that a name is not known, which ones are, and which was probably meant."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    guess = f"; did you mean {close[0]!r}?" if close else ""
    return f"unknown {what} {name!r}{guess} (known: {', '.join(names) or 'none'})"
