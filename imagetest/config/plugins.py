"""Load adapters by name from entry points, on first use."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from imagetest.config.mistakes import unknown
from imagetest.errors import PluginError


def load(noun: str, name: str) -> Any:
    """Return the adapter called `name` of a noun such as `drivers`.

    Raises PluginError when there is none, when two share the name, or when it cannot be imported.
    """
    found = [point for point in _points(noun) if point.name == name]
    if not found:
        raise PluginError(unknown(noun.removesuffix("s"), name, names(noun)))
    if len({point.value for point in found}) > 1:
        raise PluginError(
            f"two {noun} are called {name!r}: {', '.join(point.value for point in found)}",
            hint="uninstall one of the packages that bring them",
        )
    try:
        return found[0].load()
    except Exception as error:  # whatever a package raises when it is imported
        raise PluginError(
            f"the {noun.removesuffix('s')} {name!r} ({found[0].value}) cannot be loaded: {error}"
        ) from error


def names(noun: str) -> list[str]:
    """Return the names of all adapters of a noun."""
    return sorted({point.name for point in _points(noun)})


@cache
def _points(noun: str) -> list[EntryPoint]:
    return list(entry_points(group=f"imagetest.{noun}"))
