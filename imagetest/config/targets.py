"""What `--image` names: a configured image, a template, or an image that exists."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from imagetest.config import matrix
from imagetest.config.clouds import cloud
from imagetest.config.mistakes import unknown
from imagetest.config.schema import BootTable, ImageTable
from imagetest.config.settings import Settings
from imagetest.errors import ConfigError
from imagetest.model.drift import Allowance
from imagetest.model.plan import BakeOrder, BootPlan, Hardware
from imagetest.policy.gate import Gate

PREBUILT = ("docker:", "qemu:", "ec2:")
"""How the name of an image that exists begins: with the name of its driver."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One image to be judged, and how."""

    name: str
    order: BakeOrder | None = None
    """How to bake it; None when it exists."""
    source: str = ""
    """The template's source that this target is baked from."""
    reference: str = ""
    """The image that exists; empty when it is baked."""
    plan: BootPlan
    suites: tuple[Path, ...]
    profile: str
    """The name of the profile; empty for none."""
    gate: Gate
    allowances: tuple[Allowance, ...] = ()
    """What may differ wherever the state of this image is compared."""
    family: str = ""
    """The name that all cells of one matrix share."""
    cell: str = ""
    """Its place in the matrix: what its name has besides; empty where it is the only one."""
    implied: bool = False
    """True when nobody chose the suites and the profile: tests that are named on the command line replace them."""


def resolve(value: str, settings: Settings) -> Target:
    """Return what a value of `--image` names, before the sources of its template are known.

    Raises ConfigError when it names nothing.
    """
    if value in settings.images:
        return _configured(value, settings)
    if value.startswith(PREBUILT):
        driver, _, reference = value.partition(":")
        if not reference:
            examples = "docker:web:7, qemu:web.qcow2 or ec2:eu-west-1:ami-0abc1234"
            raise ConfigError(f"--image {value!r} names no image", hint=f"write one, as in {examples}")
        target = _plain(_named(driver, reference), settings)
        return replace(target, reference=reference, plan=replace(target.plan, driver=driver))
    path = Path(value)
    if is_template(path):
        order = BakeOrder(name=_slug(_stem(path)), template=path.resolve(), project=Path.cwd())
        return replace(_plain(order.name, settings), order=order)
    if path.exists():
        raise ConfigError(
            f"--image {value!r} is no Packer template",
            hint="expected a *.pkr.hcl or *.json file, or a folder of *.pkr.hcl files",
        )
    raise ConfigError(
        f"--image: {unknown('image', value, settings.images)}",
        hint="name one of imagetest.toml, a path to a Packer template, docker:REFERENCE, qemu:DISK or ec2:REGION:AMI",
    )


def split(target: Target, sources: tuple[str, ...]) -> tuple[Target, ...]:
    """Return one target for each source of the template; a single one keeps the plain name.

    Several are called by the sources' names, by their types where one name is on several platforms, else by both.
    """
    if len(sources) == 1:
        return (replace(target, source=sources[0]),)
    ways = (
        [source.rpartition(".")[2] for source in sources],
        [source.split(".")[-2:][0] for source in sources],
        [source.replace(".", "-") for source in sources],
    )
    names = next((way for way in ways if len(set(way)) == len(way)), ways[-1])
    return tuple(
        replace(target, source=source, name=f"{target.name}.{_slug(name)}")
        for source, name in zip(sources, names, strict=True)
    )


def expand(target: Target, settings: Settings, sources: tuple[str, ...]) -> tuple[Target, ...]:
    """Return one target for each cell of an image's matrix: for each source, and each way to boot it.

    Raises ConfigError for a source that is configured and not there.
    """
    of_sources = split(target, sources) if target.order else (target,)
    table = settings.images.get(target.name)
    if table is None:
        return tuple(replace(one, cell=_cell(target, one)) for one in of_sources)
    if target.order:
        matrix.check_sources(target.name, table, sources)
    found = []
    for one in of_sources:
        for cell in matrix.cells(target.name, table, one.source):
            name = f"{one.name}.{cell.name}" if cell.name else one.name
            named = replace(one, name=name, plan=_plan(cell.boot, one.plan.driver))
            found.append(replace(named, cell=_cell(target, named)))
    return tuple(found)


def _cell(target: Target, one: Target) -> str:
    return one.name.removeprefix(target.name).removeprefix(".")


def resolve_all(
    values: Iterable[str], settings: Settings, sources: Callable[[BakeOrder], tuple[str, ...]]
) -> tuple[Target, ...]:
    """Return every image that some values of `--image` name, one for each source of a template. Raises ConfigError.

    `sources` tells those of an order.
    """
    found: dict[str, Target] = {}
    for value in values:
        target = resolve(value, settings)
        for one in expand(target, settings, sources(target.order) if target.order else ()):
            if found.setdefault(one.name, one) != one:
                raise ConfigError(f"two images would be called {one.name!r}", hint="name them in imagetest.toml")
    return tuple(found.values())


def is_template(path: Path) -> bool:
    """Say whether a path looks like a template of Packer's."""
    if path.is_dir():
        return any(path.glob("*.pkr.hcl")) or any(path.glob("*.pkr.json"))
    return path.is_file() and path.name.endswith((".pkr.hcl", ".json"))


def _configured(name: str, settings: Settings) -> Target:
    table = settings.images[name]
    kind, reference = _existing(table, settings) if table.image else ("auto", "")
    return Target(
        name=name,
        family=name,
        order=_order(name, table, settings) if table.template else None,
        reference=reference,
        plan=_plan(table.boot, kind),
        suites=tuple(path for suite in table.suites if (path := settings.library.suite(suite))),
        profile=table.profile or "",
        gate=settings.gates[table.gate],
        allowances=settings.allowances.get(name, ()),
    )


def _plan(table: BootTable, kind: str) -> BootPlan:
    return BootPlan(
        **table.model_dump(exclude={"driver", "command", "environment", "machine", "ec2"}),
        driver=kind if table.driver == "auto" else table.driver,
        machine=Hardware(**table.machine.model_dump()),
        ec2=cloud(table.ec2),
        command=tuple(table.command),
        environment=tuple((key, _text(value)) for key, value in table.environment.items()),
    )


def _existing(table: ImageTable, settings: Settings) -> tuple[str, str]:
    """Return the driver and the reference of an image that exists; a disk's path is relative to the project."""
    driver, _, reference = (table.image or "").partition(":")
    if driver == "qemu":
        return driver, str(settings.project / reference)
    if driver == "ec2" and table.boot.ec2.region and ":" not in reference:
        return driver, f"{table.boot.ec2.region}:{reference}"
    return driver, reference


def _order(name: str, table: ImageTable, settings: Settings) -> BakeOrder:
    return BakeOrder(
        name=name,
        template=settings.project / (table.template or ""),
        project=settings.project,
        sources=tuple(table.only),
        excluded=tuple(table.except_),
        variables=tuple((key, _text(value)) for key, value in table.variables.items()),
        var_files=tuple(settings.project / path for path in table.var_files),
        inputs=tuple(table.inputs),
        reuse=table.reuse,
    )


def _plain(name: str, settings: Settings) -> Target:
    """Return the target of an image that the configuration does not know: the baseline, all of it."""
    suite = settings.library.suite("baseline")
    return Target(
        name=name,
        family=name,
        plan=BootPlan(),
        suites=(suite,) if suite else (),
        profile="baseline",
        gate=settings.gates["default"],
        implied=True,
    )


def _text(value: object) -> str:
    """Write a value as Packer's -var takes it."""
    return value if isinstance(value, str) else json.dumps(value)


def _named(driver: str, reference: str) -> str:
    """Return what an image that exists is called: after its tag, its file, or its id without the region."""
    if driver == "qemu":
        return _slug(Path(reference).stem)
    return _slug(reference.rpartition(":")[2] if driver == "ec2" else reference)


def _stem(path: Path) -> str:
    name = path.resolve().name
    for ending in (".pkr.hcl", ".pkr.json", ".json"):
        name = name.removesuffix(ending)
    return name


def _slug(text: str) -> str:
    """Turn a reference into a name that is good for containers, tags and files."""
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-._")[:60] or "image"
