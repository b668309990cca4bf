"""Load waivers: a control, the reason, who approved it, and a last day; none is permanent."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

from imagetest.config.mistakes import Mistakes, read_toml, unknown
from imagetest.errors import ConfigError
from imagetest.model.finding import Waiver

REQUIRED = ("control", "reason", "approved_by", "expires")


def load_waivers(paths: Sequence[Path], place: tuple[str, ...], mistakes: Mistakes) -> tuple[Waiver, ...]:
    """Load the waivers of some files; a mistake in one is noted as one of the file that names it."""
    loaded: list[Waiver] = []
    for path in paths:
        try:
            loaded += _load(path)
        except ConfigError as error:
            mistakes.add(place, str(error))
    return tuple(loaded)


def _load(path: Path) -> list[Waiver]:
    tables, text = read_toml(path)
    mistakes = Mistakes(path, text)
    for key in tables.keys() - {"waiver"}:
        mistakes.add((key,), unknown("table", key, ["waiver"]))
    entries = tables.get("waiver", [])
    if not isinstance(entries, list):
        mistakes.add(("waiver",), "expected [[waiver]] tables")
        entries = []
    loaded = [waiver for number, entry in enumerate(entries) if (waiver := _waiver(number, entry, mistakes))]
    mistakes.raise_if_any()
    return loaded


def _waiver(number: int, entry: Any, mistakes: Mistakes) -> Waiver | None:
    place, known = ("waiver", number), (*REQUIRED, "image")
    if not isinstance(entry, dict):
        mistakes.add(place, "expected a [[waiver]] table")
        return None
    for key in entry.keys() - {*known}:
        mistakes.add((*place, key), unknown("setting", key, known))
    wrong = [key for key in REQUIRED if not entry.get(key)]
    for key in wrong:
        mistakes.add(place, f"expected {key!r}")
    for key in known:
        if key != "expires" and not isinstance(entry.get(key, ""), str):
            wrong.append(key)
            mistakes.add((*place, key), f"expected a text, got {entry[key]!r}")
    expires = entry.get("expires")
    if expires and (not isinstance(expires, date) or isinstance(expires, datetime)):
        wrong.append("expires")
        mistakes.add((*place, "expires"), f"got {expires!r}, expected a date such as 2027-01-31, without quotes")
    if wrong:
        return None
    return Waiver(
        control_id=entry["control"], reason=entry["reason"], approved_by=entry["approved_by"], expires=entry["expires"],
        image=entry.get("image", "*"),
    )  # fmt: skip
