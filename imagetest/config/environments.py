"""Read environments and their groups from the configuration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from imagetest.config import schema
from imagetest.config.allowances import load_allowances
from imagetest.config.mistakes import Mistakes, unknown
from imagetest.model.parity import ParityKind
from imagetest.model.plan import Environment, Group, Scope
from imagetest.policy.gate import Required

KINDS = tuple(kind.value for kind in ParityKind)
OF_ENVIRONMENTS = (ParityKind.ENVIRONMENT.value, ParityKind.GROUP.value)
"""Kinds of parity that are about the hosts of one environment."""


def environments(project: Path, parsed: schema.File, mistakes: Mistakes) -> dict[str, Environment]:
    """Return every environment by its name; each mistake is noted."""
    return {name: _environment(project, name, table, parsed, mistakes) for name, table in parsed.environments.items()}


def scope(table: schema.SnapshotTable, mistakes: Mistakes) -> Scope:
    """Return what a snapshot looks at."""
    for key, paths in (("roots", table.roots or []), ("listed", table.listed), ("excluded", table.excluded)):
        for path in paths:
            if not path.startswith("/"):
                mistakes.add(("snapshot", key), f"got {path!r}, expected a folder that begins with '/'")
    plain = Scope(listed=tuple(table.listed), excluded=tuple(table.excluded))
    if table.roots is None:
        return plain
    return Scope(roots=tuple(table.roots), listed=plain.listed, excluded=plain.excluded)


def required_parity(
    entries: Iterable[str], place: tuple[str, ...], parsed: schema.File, mistakes: Mistakes
) -> frozenset[Required]:
    """Return what a gate requires of parity: `KIND`, or `KIND:ENVIRONMENT` of an environment that there is."""
    found = set()
    for entry in entries:
        kind, colon, name = entry.partition(":")
        if kind not in KINDS or (colon and kind not in OF_ENVIRONMENTS):
            kinds = ", ".join(map(repr, KINDS))
            mistakes.add(place, f"got {entry!r}, expected one of {kinds}, 'environment:NAME' or 'group:NAME'")
        elif colon and name not in parsed.environments:
            mistakes.add(place, unknown("environment", name, parsed.environments))
        else:
            found.add(Required(kind, name))
    return frozenset(found)


def _environment(
    project: Path, name: str, table: schema.EnvironmentTable, parsed: schema.File, mistakes: Mistakes
) -> Environment:
    place = ("environments", name)
    if table.ssh_config is not None and not (project / table.ssh_config).is_file():
        mistakes.add((*place, "ssh_config"), f"there is no {table.ssh_config!r} in {project}")
    shared = load_allowances([project / path for path in table.allowances], (*place, "allowances"), mistakes)
    groups = []
    for group_name, group in table.groups.items():
        here = (*place, "groups", group_name)
        for twice in _repeated(group.hosts):
            mistakes.add((*here, "hosts"), f"{twice!r} is named twice")
        if group.image is not None and group.image not in parsed.images:
            mistakes.add((*here, "image"), unknown("image", group.image, parsed.images))
        own = load_allowances([project / path for path in group.allowances], (*here, "allowances"), mistakes)
        groups.append(
            Group(name=group_name, hosts=tuple(group.hosts), image=group.image or "", allowances=(*own, *shared))
        )
    return Environment(
        name=name,
        groups=tuple(groups),
        ssh_config=None if table.ssh_config is None else project / table.ssh_config,
        sudo=table.sudo,
        timeout=table.timeout,
    )


def _repeated(names: Iterable[str]) -> list[str]:
    return [name for name, times in Counter(names).items() if times > 1]
