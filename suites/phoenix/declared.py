"""What a project declares to the phoenix suite: `phoenix.toml` beside imagetest.toml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from imagetest.config.allowances import allowances
from imagetest.config.mistakes import Mistakes, read_toml, unknown
from imagetest.model.drift import Allowance

FILE = "phoenix.toml"

LISTS = ("users", "unpackaged", "secrets")
"""What may stand at the top of the file, for all images, or below one image."""

SLOWER = 1.5
"""How much longer than the image in the channel a boot may take when nobody says."""

Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """Something that can be installed and removed."""

    name: str
    install: str
    remove: str
    included: bool = False
    """Whether the image holds it."""
    files: Path | None = None
    """A folder of the project that both commands find at `$FILES`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What holds for one image."""

    allow: tuple[Allowance, ...] = ()
    """What may differ in any comparison, by the image's own `allowances` in imagetest.toml."""
    unpackaged: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    channel: str = ""
    slower: float = SLOWER
    components: tuple[Component, ...] | None = None
    """None where nothing is said, and nothing where there are none."""
    environments: Mapping[str, Mapping[str, str]] | None = None
    differ: tuple[Allowance, ...] = ()
    """What the settings of two environments make differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """The whole file."""

    everywhere: Declared = field(default_factory=Declared)
    images: Mapping[str, Declared] = field(default_factory=dict)

    def of(self, image: str) -> Declared:
        """Return what holds for an image."""
        here = self.images.get(image, Declared())
        there = self.everywhere
        return Declared(
            unpackaged=there.unpackaged + here.unpackaged,
            users=there.users + here.users,
            secrets=there.secrets + here.secrets,
            channel=here.channel,
            slower=here.slower,
            components=here.components,
            environments=here.environments,
            differ=here.differ,
        )


def load(folder: Path) -> Project:
    """Read a project's file; one that is not there declares nothing. Raises ConfigError with every mistake in it."""
    path = folder / FILE
    if not path.exists():
        return Project()
    tables, text = read_toml(path)
    reader = _Reader(Mistakes(path, text), folder)
    images = tables.pop("images", {})
    project = Project(
        everywhere=reader.declared(tables, (), LISTS),
        images={name: reader.image(name, table) for name, table in reader.table(images, ("images",)).items()},
    )
    reader.mistakes.raise_if_any()
    return project


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads tables and notes what is wrong with them."""

    mistakes: Mistakes
    folder: Path

    def image(self, name: str, table: Any) -> Declared:
        place: Place = ("images", name)
        known = (*LISTS, "channel", "slower", "components", "environments", "differ")
        return self.declared(self.table(table, place), place, known)

    def declared(self, table: dict[str, Any], place: Place, known: tuple[str, ...]) -> Declared:
        for key in table.keys() - {*known}:
            self.mistakes.add((*place, key), unknown("setting", key, known))
        users, unpackaged, secrets = (self._strings(table.get(name, []), (*place, name)) for name in LISTS)
        channel, slower = table.get("channel", ""), table.get("slower", SLOWER)
        if not isinstance(channel, str):
            self.mistakes.add((*place, "channel"), f"got {channel!r}, expected the name of a channel")
        if isinstance(slower, bool) or not isinstance(slower, int | float) or slower < 1:
            self.mistakes.add((*place, "slower"), f"got {slower!r}, expected a number of 1 or more")
        return Declared(
            users=users,
            unpackaged=unpackaged,
            secrets=secrets,
            differ=self._allowances(table, (*place, "differ")),
            channel=str(channel),
            slower=slower,
            components=self._components(table, place),
            environments=self._environments(table, place),
        )

    def table(self, value: Any, place: Place) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        self.mistakes.add(place, f"got {value!r}, expected a table")
        return {}

    def _allowances(self, table: dict[str, Any], place: Place) -> tuple[Allowance, ...]:
        return allowances(table.get(str(place[-1]), []), place, self.mistakes, origin=FILE)

    def _strings(self, value: Any, place: Place) -> tuple[str, ...]:
        if isinstance(value, list) and all(isinstance(one, str) for one in value):
            return tuple(value)
        self.mistakes.add(place, f"got {value!r}, expected a list of texts")
        return ()

    def _components(self, table: dict[str, Any], place: Place) -> tuple[Component, ...] | None:
        if "components" not in table:
            return None
        place = (*place, "components")
        found = self.table(table["components"], place)
        made = [self._component(name, self.table(one, (*place, name)), (*place, name)) for name, one in found.items()]
        return tuple(one for one in made if one is not None)

    def _component(self, name: str, table: dict[str, Any], place: Place) -> Component | None:
        kinds = {"install": str, "remove": str, "included": bool, "files": str}
        wrong = [((*place, key), unknown("setting", key, kinds)) for key in table.keys() - kinds.keys()]
        wrong += [(place, f"expected {key!r}, a command") for key in ("install", "remove") if not table.get(key)]
        wrong += [
            ((*place, key), f"got {table[key]!r}, expected {'true or false' if kind is bool else 'a text'}")
            for key, kind in kinds.items()
            if key in table and not isinstance(table[key], kind)
        ]
        files = self.folder / table["files"] if isinstance(table.get("files"), str) else None
        if files is not None and not files.is_dir():
            wrong.append(((*place, "files"), f"there is no folder {table['files']!r} in {self.folder}"))
        for where, message in wrong:
            self.mistakes.add(where, message)
        return None if wrong else Component(name=name, **{**table, "files": files})

    def _environments(self, table: dict[str, Any], place: Place) -> dict[str, dict[str, str]] | None:
        if "environments" not in table:
            return None
        place = (*place, "environments")
        found: dict[str, dict[str, str]] = {}
        for name, settings in self.table(table["environments"], place).items():
            found[name] = {}
            for key, value in self.table(settings, (*place, name)).items():
                if not isinstance(value, str | int | float):
                    self.mistakes.add((*place, name, key), f"got {value!r}, expected a text or a number")
                found[name][key] = str(value).lower() if isinstance(value, bool) else str(value)
        if len(found) == 1:
            self.mistakes.add(place, "expected two environments or more: one has nothing to differ from")
        return found
