"""The cells of an image's matrix: its template's sources, and each boot setting that is to be had in several ways."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError

from imagetest.config.mistakes import Mistakes, unknown
from imagetest.config.schema import Axes, BootTable, GateTable, ImageTable, PlatformTable, Scalar, Strict
from imagetest.errors import ConfigError

MOST = 64
"""Cells that one source may have: more are a mistake, and would boot for days."""

Table = TypeVar("Table", bound=Strict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One way to boot an image."""

    name: str
    """The values of its axes, joined by dots; empty where there is no axis."""
    boot: BootTable


def cells(name: str, table: ImageTable, source: str) -> tuple[Cell, ...]:
    """Return every way to boot the image of one source of a template, or one that exists, where `source` is empty."""
    own = _own(table, source)
    base, axes = merged(table.boot, own.boot), {**table.matrix, **own.matrix}
    found = []
    for values in itertools.product(*axes.values()):
        boot = base
        for path, value in zip(axes, values, strict=True):
            boot = merged(boot, BootTable.model_validate(_nested(path, value)))
        found.append(Cell(name=".".join(_slug(value) for value in values), boot=boot))
    if len(found) > MOST:
        raise ConfigError(f"the matrix of image {name!r} has {len(found)} cells, {MOST} at most are booted")
    return tuple(found)


def check_sources(name: str, table: ImageTable, sources: Sequence[str]) -> None:
    """Raise ConfigError where the configuration speaks of a source that the template does not bake."""
    known = {way for source in sources for way in _ways(source)}
    for key in table.on:
        if key not in known:
            raise ConfigError(f"[images.{name}.on]: {unknown('source', key, sorted(known))}")


def check(name: str, table: ImageTable, mistakes: Mistakes) -> None:
    """Note every axis that is no setting of `boot`, and every value that such a setting cannot have."""
    places: list[tuple[tuple[str, ...], Axes]] = [(("images", name, "matrix"), table.matrix)]
    places += [(("images", name, "on", key, "matrix"), one.matrix) for key, one in table.on.items()]
    for place, axes in places:
        for path, values in axes.items():
            _check_axis((*place, path), path, values, mistakes)
    if table.on and not table.template:
        mistakes.add(("images", name, "on"), "expected a 'template', whose sources this is about")


def check_gate(name: str, table: GateTable, images: Mapping[str, ImageTable], mistakes: Mistakes) -> None:
    """Note a gate that requires cells of an image that can have none."""
    if not table.matrix:
        return
    for image, one in images.items():
        if one.gate == name and not (one.template or one.matrix):
            mistakes.add(("gates", name, "matrix"), f"image {image!r} has neither a template nor a matrix")


def merged(base: Table, over: Table) -> Table:
    """Return a table with what another one says instead, which is only what is written in it."""
    said = {}
    for key in over.model_fields_set:
        value, below = getattr(over, key), getattr(base, key)
        said[key] = merged(below, value) if isinstance(value, Strict) else value
    return base.model_copy(update=said)


def _check_axis(place: tuple[str, ...], path: str, values: Sequence[Scalar], mistakes: Mistakes) -> None:
    if path not in (known := sorted(_paths(BootTable))):
        mistakes.add(place, unknown("boot setting", path, known))
        return
    if len({_slug(value) for value in values}) < len(values):
        mistakes.add(place, f"two of {', '.join(map(repr, values))} would have one name")
    for value in values:
        try:
            BootTable.model_validate(_nested(path, value))
        except ValidationError as error:
            mistakes.add(place, f"got {value!r}: {str(error.errors()[0]['msg']).removeprefix('Input ')}")


def _own(table: ImageTable, source: str) -> PlatformTable:
    """Return what holds for one source: by its name, or else by its type."""
    return next((table.on[way] for way in _ways(source) if way in table.on), PlatformTable())


def _ways(source: str) -> tuple[str, ...]:
    return (source, source.split(".")[-2:][0])


def _paths(table: type[Strict], before: str = "") -> Iterator[str]:
    """Return the settings of a table by their paths, those whose value is one word or number."""
    for name, field in table.model_fields.items():
        kind: Any = field.annotation
        if isinstance(kind, type) and issubclass(kind, Strict):
            yield from _paths(kind, f"{before}{name}.")
        elif not str(kind).startswith(("list", "dict")):
            yield f"{before}{name}"


def _nested(path: str, value: Scalar) -> dict[str, Any]:
    first, _, rest = path.partition(".")
    return {first: _nested(rest, value) if rest else value}


def _slug(value: Scalar) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "none"
