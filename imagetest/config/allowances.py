"""Load allowances: which facts may differ between machines, why, and who says so."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

from imagetest.config.mistakes import Mistakes, read_toml, unknown
from imagetest.errors import ConfigError
from imagetest.model.drift import Allowance

REQUIRED = ("pattern", "reason", "owner")
KNOWN = (*REQUIRED, "attribute", "expires")


def load_allowances(paths: Sequence[Path], place: tuple[str, ...], mistakes: Mistakes) -> tuple[Allowance, ...]:
    """Load the allowances of some files; a mistake in one is noted as one of the file that names it."""
    loaded: list[Allowance] = []
    for path in paths:
        try:
            loaded += read_allowances(path)
        except ConfigError as error:
            mistakes.add(place, str(error))
    return tuple(loaded)


def read_allowances(path: Path) -> tuple[Allowance, ...]:
    """Load one file of `[[allow]]` tables. Raises ConfigError with every mistake in it."""
    tables, text = read_toml(path)
    mistakes = Mistakes(path, text)
    for key in tables.keys() - {"allow"}:
        mistakes.add((key,), unknown("table", key, ["allow"]))
    found = allowances(tables.get("allow", []), ("allow",), mistakes, origin=path.name)
    mistakes.raise_if_any()
    return found


def allowances(entries: Any, place: tuple[str | int, ...], mistakes: Mistakes, *, origin: str) -> tuple[Allowance, ...]:
    """Return the allowances that a list of tables makes; every mistake is noted at its place."""
    if not isinstance(entries, list):
        mistakes.add(place, "expected [[allow]] tables")
        return ()
    found = [_allowance(entry, (*place, number), mistakes, origin) for number, entry in enumerate(entries)]
    return tuple(one for one in found if one is not None)


def _allowance(entry: Any, place: tuple[str | int, ...], mistakes: Mistakes, origin: str) -> Allowance | None:
    if not isinstance(entry, dict):
        mistakes.add(place, "expected an [[allow]] table")
        return None
    wrong = [((*place, key), unknown("setting", key, KNOWN)) for key in entry.keys() - {*KNOWN}]
    wrong += [(place, f"expected {key!r}") for key in REQUIRED if not entry.get(key)]
    wrong += [
        ((*place, key), f"expected a text, got {entry[key]!r}")
        for key in KNOWN
        if key != "expires" and not isinstance(entry.get(key, ""), str)
    ]
    pattern, expires = entry.get("pattern"), entry.get("expires")
    if isinstance(pattern, str) and pattern and ":" not in pattern:
        wrong.append(((*place, "pattern"), f"got {pattern!r}, expected FAMILY:KEY such as 'files:/etc/motd'"))
    if expires is not None and (not isinstance(expires, date) or isinstance(expires, datetime)):
        wrong.append(((*place, "expires"), f"got {expires!r}, expected a date such as 2027-01-31, without quotes"))
    for where, message in wrong:
        mistakes.add(where, message)
    return None if wrong else Allowance(**entry, origin=origin)
