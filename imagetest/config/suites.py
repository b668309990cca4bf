"""Find suites, their controls and profiles: the project's own first, then those that are shipped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import imagetest
from imagetest.config.mistakes import Mistakes, read_toml, unknown
from imagetest.errors import ConfigError
from imagetest.model.control import Control, Profile, Reference, Severity

CATALOGUE = "controls.toml"
"""The file beside a suite's tests that describes its controls."""


def shipped(folder: str) -> Path:
    """Return a folder that comes with imagetest, whether it is installed or runs from its repository."""
    package = Path(imagetest.__file__).parent
    installed = package / "shipped" / folder
    return installed if installed.is_dir() else package.parent / folder


@dataclass(frozen=True, slots=True)
class Library:
    """All suites that a project can name."""

    project: Path

    def _folders(self) -> list[Path]:
        return list(dict.fromkeys([self.project / "suites", shipped("suites")]))

    def suites(self) -> list[str]:
        """Return the names of all suites."""
        found = {
            path.name for folder in self._folders() if folder.is_dir() for path in folder.iterdir() if _is_suite(path)
        }
        return sorted(found)

    def suite(self, name: str) -> Path | None:
        """Return the folder or file of a suite: by its name, or by its path within the project."""
        if "/" not in name and not name.endswith(".py"):
            for folder in self._folders():
                if _is_suite(folder / name):
                    return folder / name
        path = self.project / name
        return path if path.is_dir() or (path.suffix == ".py" and path.is_file()) else None

    def profiles(self) -> list[str]:
        """Return the names of all profiles."""
        return sorted({path.stem for folder in self._folders() for path in folder.glob("profiles/*.toml")})

    def profile_path(self, name: str) -> Path | None:
        """Return the file of a profile: by its name, or by its path within the project."""
        candidates = [folder / "profiles" / f"{name}.toml" for folder in self._folders()]
        if name.endswith(".toml"):
            candidates = [self.project / name]
        return next((path for path in candidates if path.is_file()), None)

    def catalogues(self) -> list[Path]:
        """Return every catalogue below the suites' folders."""
        return [path for folder in self._folders() for path in sorted(folder.glob(f"*/{CATALOGUE}"))]

    def profile(self, name: str, known: dict[str, Control]) -> Profile:
        """Load a profile whose controls are all known. Raises ConfigError."""
        path = self.profile_path(name)
        if path is None:
            raise ConfigError(unknown("profile", name, self.profiles()))
        tables, text = read_toml(path)
        mistakes = Mistakes(path, text)
        required = tables.get("required")
        if not isinstance(required, list) or not required or not all(isinstance(one, str) for one in required):
            mistakes.add(("required",), "expected a list of control ids that is not empty")
            required = []
        for identity in required:
            if identity not in known:
                mistakes.add(("required",), unknown("control", identity, _near(identity, known)))
        for key in tables.keys() - {"title", "required"}:
            mistakes.add((key,), unknown("setting", key, ["title", "required"]))
        mistakes.raise_if_any()
        return Profile(name=path.stem, title=str(tables.get("title", "")), required=tuple(dict.fromkeys(required)))


def load_catalogue(paths: list[Path]) -> dict[str, Control]:
    """Load catalogues into one. Raises ConfigError for a mistake in one, or for an id that two of them describe."""
    known: dict[str, Control] = {}
    origin: dict[str, Path] = {}
    for path in dict.fromkeys(path.resolve() for path in paths):
        for control in _controls(path):
            if control.id in origin:
                raise ConfigError(f"control {control.id!r} is described twice, in {origin[control.id]} and in {path}")
            known[control.id], origin[control.id] = control, path
    return known


def _controls(path: Path) -> list[Control]:
    tables, text = read_toml(path)
    mistakes = Mistakes(path, text)
    found = [_control(identity, table, mistakes) for identity, table in tables.items()]
    mistakes.raise_if_any()
    return found


def _control(identity: str, table: object, mistakes: Mistakes) -> Control:
    if not isinstance(table, dict):
        mistakes.add((identity,), "expected a table with a title and a severity")
        return Control(id=identity, title=identity)
    known = ["title", "severity", "rationale", "references"]
    for key in table.keys() - set(known):
        mistakes.add((identity, key), unknown("setting", key, known))
    if not isinstance(table.get("title"), str):
        mistakes.add((identity,), "expected a title")
    severity = table.get("severity")
    levels = [level.value for level in Severity if level is not Severity.UNRATED]
    if severity not in levels:
        mistakes.add((identity, "severity"), f"got {severity!r}, expected one of {', '.join(levels)}")
        severity = Severity.CRITICAL.value
    references = table.get("references", [])
    if not isinstance(references, list) or not all(isinstance(one, str) and ": " in one for one in references):
        mistakes.add((identity, "references"), "expected a list of 'FRAMEWORK: ID'")
        references = []
    return Control(
        id=identity,
        title=str(table.get("title", identity)),
        severity=Severity(severity),
        rationale=str(table.get("rationale", "")),
        references=tuple(
            Reference(framework=one.rpartition(": ")[0], id=one.rpartition(": ")[2]) for one in references
        ),
    )


def _near(identity: str, known: dict[str, Control]) -> list[str]:
    """Return the ids worth showing: those that share a word with the unknown one, or all where none does."""
    words = set(identity.split("-"))
    return [one for one in known if words & set(one.split("-"))] or list(known)


def _is_suite(path: Path) -> bool:
    return path.is_dir() and path.name != "profiles" and any(path.glob("test_*.py"))
