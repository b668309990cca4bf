"""Load imagetest.toml: the whole file is checked, and every mistake is said at once."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from imagetest.config import matrix, plugins, schema
from imagetest.config.allowances import load_allowances
from imagetest.config.channels import Project, check_channels, outlet
from imagetest.config.clouds import check_cloud
from imagetest.config.environments import environments, required_parity, scope
from imagetest.config.mistakes import Mistakes, read_toml, unknown
from imagetest.config.suites import Library
from imagetest.config.waivers import load_waivers
from imagetest.errors import ConfigError
from imagetest.model.control import Severity
from imagetest.model.drift import Allowance
from imagetest.model.outlet import Outlet
from imagetest.model.plan import Environment, Scope
from imagetest.policy.gate import Gate

FILE_NAME = "imagetest.toml"

ANYTHING = "a string, a number, true or false, a list or a table of such"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the project is, and what its file says."""

    project: Path
    """The folder of imagetest.toml, or the current one where there is none."""
    file: Path | None = None
    images: Mapping[str, schema.ImageTable] = field(default_factory=dict)
    gates: Mapping[str, Gate] = field(default_factory=lambda: {"default": Gate(name="default")})
    channels: Mapping[str, schema.ChannelTable] = field(default_factory=dict)
    environments: Mapping[str, Environment] = field(default_factory=dict)
    allowances: Mapping[str, tuple[Allowance, ...]] = field(default_factory=dict)
    """By image: what may differ wherever its state is compared."""
    scope: Scope = field(default_factory=Scope)
    """What a snapshot looks at."""
    registry: str = ""
    """An SQLAlchemy URL; empty for a SQLite file in the state folder."""
    state: Path = Path(".imagetest")

    @property
    def registry_url(self) -> str:
        """Return where promotions are recorded: the environment's IMAGETEST_REGISTRY, the file's, or the default."""
        return os.environ.get("IMAGETEST_REGISTRY") or self.registry or f"sqlite:///{self.state / 'registry.sqlite'}"

    @property
    def registry_shown(self) -> str:
        """Return the registry's URL without its password."""
        shown = re.sub(r"(://[^:/@]*):.*@", r"\1:***@", self.registry_url)
        return re.sub(r"(?<=[?&]password=)[^&]*", "***", shown)

    def channel(self, name: str) -> schema.ChannelTable:
        """Return a channel. Raises ConfigError when the file does not declare it."""
        if name not in self.channels:
            raise ConfigError(unknown("channel", name, self.channels), hint=f"declare it: [channels.{name}]")
        return self.channels[name]

    def outlet(self, channel: str, image: str) -> Outlet:
        """Return what a channel is for one image. Raises ConfigError when the file does not declare it."""
        return outlet(self.project, channel, self.channel(channel), image)

    def environment(self, name: str) -> Environment:
        """Return an environment. Raises ConfigError when the file does not declare it."""
        if name not in self.environments:
            raise ConfigError(
                unknown("environment", name, self.environments), hint=f"declare it: [environments.{name}.groups.GROUP]"
            )
        return self.environments[name]

    @property
    def library(self) -> Library:
        """Return the suites that can be named."""
        return Library(self.project)


def load(path: Path | None = None, *, start: Path | None = None) -> Settings:
    """Load a file, or the one in `start` or the closest folder above it; without one, defaults.

    Raises ConfigError with every mistake.
    """
    file = path or _find(start or Path.cwd())
    if file is None:
        project = (start or Path.cwd()).resolve()
        return Settings(project=project, state=project / ".imagetest")
    file = file.resolve()
    tables, text = read_toml(file)
    mistakes = Mistakes(file, text)
    parsed = _parse(tables, mistakes)
    if parsed is None:
        mistakes.raise_if_any()
        raise ConfigError(f"{file} cannot be understood")
    settings = _settings(file, parsed, mistakes)
    _check_references(settings, parsed.gates, mistakes)
    mistakes.raise_if_any()
    return settings


def _find(start: Path) -> Path | None:
    for folder in [start.resolve(), *start.resolve().parents]:
        if (folder / FILE_NAME).is_file():
            return folder / FILE_NAME
    return None


def _parse(tables: dict[str, Any], mistakes: Mistakes) -> schema.File | None:
    """Check the shape; what is sound of a file with mistakes is kept, so that its references are checked too."""
    try:
        return schema.File.model_validate(tables)
    except ValidationError as error:
        errors = defaultdict(list)
        for one in error.errors():
            place = tuple(part for part in one["loc"] if part != "[key]" and not _is_union_member(part))
            errors[place].append(_message(dict(one), list(place)))
        for place, said in errors.items():
            mistakes.add(place, said[0] if len(said) == 1 else f"expected {ANYTHING}, got {_at(tables, place)!r}")
        for place in errors:
            _drop(tables, list(place))
    try:
        return schema.File.model_validate(tables)
    except ValidationError:
        return None


def _is_union_member(part: object) -> bool:
    return part in {"str", "bool", "int", "float"} or (isinstance(part, str) and part.startswith(("list[", "dict[")))


def _at(tables: dict[str, Any], place: tuple[Any, ...]) -> object:
    node: Any = tables
    for part in place:
        node = node[part]
    return node


def _drop(tables: dict[str, Any], place: list[Any]) -> None:
    """Remove the wrong value, or the list that it stands in."""
    node: Any = tables
    for part in place[:-1]:
        inner = node.get(part)
        if not isinstance(inner, dict):
            node.pop(part, None)
            return
        node = inner
    node.pop(place[-1], None)


def _message(error: dict[str, Any], place: list[Any]) -> str:
    kind, ctx = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return unknown("setting", str(place[-1]), _known_keys(place[:-1]))
    if kind == "literal_error":
        return f"got {error['input']!r}, expected {ctx['expected']}"
    if kind == "string_pattern_mismatch":
        return f"{error['input']!r} is no name: expected small letters, digits, '.', '_' and '-', 63 at most"
    text = str(error["msg"]).removeprefix("Input ").replace("should be", "expected").replace("a valid i", "an i")
    text = text.replace("valid ", "")
    return f"{text}, got {error['input']!r}"


def _known_keys(place: list[Any]) -> list[str]:
    """Follow a place down the schema and list what may stand there."""
    table: type[BaseModel] = schema.File
    inner: dict[tuple[str, ...], type[BaseModel]] = {
        ("imagetest",): schema.ProjectTable,
        ("images", "*"): schema.ImageTable,
        ("images", "*", "boot"): schema.BootTable,
        ("images", "*", "boot", "ec2"): schema.Ec2Table,
        ("images", "*", "boot", "machine"): schema.MachineTable,
        ("images", "*", "on", "*"): schema.PlatformTable,
        ("images", "*", "on", "*", "boot"): schema.BootTable,
        ("images", "*", "on", "*", "boot", "ec2"): schema.Ec2Table,
        ("images", "*", "on", "*", "boot", "machine"): schema.MachineTable,
        ("gates", "*"): schema.GateTable,
        ("channels", "*"): schema.ChannelTable,
        ("channels", "*", "ami"): schema.AmiTable,
        ("environments", "*"): schema.EnvironmentTable,
        ("environments", "*", "groups", "*"): schema.GroupTable,
        ("snapshot",): schema.SnapshotTable,
    }
    table = inner.get(tuple("*" if depth in {1, 3} else str(part) for depth, part in enumerate(place)), table)
    return [info.alias or name for name, info in table.model_fields.items()]


def _settings(file: Path, parsed: schema.File, mistakes: Mistakes) -> Settings:
    project = file.parent
    gates = {
        name: Gate(
            name=name,
            tolerate=frozenset(Severity(severity) for severity in table.tolerate),
            waivers=load_waivers([project / path for path in table.waivers], ("gates", name, "waivers"), mistakes),
            bake_differences=table.bake_differences,
            matrix=frozenset(table.matrix),
            parity=required_parity(table.parity, ("gates", name, "parity"), parsed, mistakes),
        )
        for name, table in parsed.gates.items()
    }
    gates.setdefault("default", Gate(name="default"))
    return Settings(
        project=project,
        file=file,
        images=parsed.images,
        gates=gates,
        channels=parsed.channels,
        environments=environments(project, parsed, mistakes),
        allowances={
            name: load_allowances(
                [project / path for path in table.allowances], ("images", name, "allowances"), mistakes
            )
            for name, table in parsed.images.items()
        },
        scope=scope(parsed.snapshot, mistakes),
        registry=_registry(project, parsed.imagetest.registry),
        state=project / parsed.imagetest.state,
    )


def _registry(project: Path, url: str | None) -> str:
    """Make a relative SQLite path relative to the project."""
    prefix = "sqlite:///"
    if url and url.startswith(prefix) and not url.startswith(prefix + "/"):
        return f"{prefix}{project / url.removeprefix(prefix)}"
    return url or ""


def _check_references(settings: Settings, gates: Mapping[str, schema.GateTable], mistakes: Mistakes) -> None:
    for name, image in settings.images.items():
        _check_image(settings, name, image, mistakes)
    for name, gate in gates.items():
        matrix.check_gate(name, gate, settings.images, mistakes)
    check_channels(Project(images=settings.images, channels=settings.channels, gates=settings.gates), mistakes)


def _check_image(settings: Settings, name: str, image: schema.ImageTable, mistakes: Mistakes) -> None:
    place, library = ("images", name), settings.library
    if bool(image.template) == bool(image.image):
        mistakes.add(place, "expected either 'template' or 'image', the one to bake or the one that exists")
    if image.image and not re.match("(docker|qemu|ec2):.", image.image):
        expected = "'docker:REFERENCE', 'qemu:DISK' or 'ec2:REGION:AMI'"
        mistakes.add((*place, "image"), f"got {image.image!r}, expected {expected}")
    check_cloud(place, image, mistakes)
    matrix.check(name, image, mistakes)
    if image.template and not (settings.project / image.template).exists():
        mistakes.add((*place, "template"), f"there is no {image.template!r} in {settings.project}")
    for path in image.var_files:
        if not (settings.project / path).is_file():
            mistakes.add((*place, "var_files"), f"there is no {path!r} in {settings.project}")
    for suite in image.suites:
        if library.suite(suite) is None:
            mistakes.add((*place, "suites"), unknown("suite", suite, library.suites()))
    _check_names(settings, name, image, mistakes)


def _check_names(settings: Settings, name: str, image: schema.ImageTable, mistakes: Mistakes) -> None:
    place, library = ("images", name), settings.library
    if image.profile and library.profile_path(image.profile) is None:
        mistakes.add((*place, "profile"), unknown("profile", image.profile, library.profiles()))
    if image.gate not in settings.gates:
        mistakes.add((*place, "gate"), unknown("gate", image.gate, settings.gates))
    if image.boot.driver not in {"auto", *plugins.names("drivers")}:
        mistakes.add((*place, "boot", "driver"), unknown("driver", image.boot.driver, plugins.names("drivers")))
