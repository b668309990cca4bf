"""`imagetest diff`: what changed from one machine or image to another."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imagetest.cli.common import Config, show
from imagetest.cli.snapshot import AtRest, Only, Root, Sudo
from imagetest.errors import InfrastructureError, UsageError

if TYPE_CHECKING:
    from imagetest.config.settings import Settings
    from imagetest.model.plan import Scope
    from imagetest.model.snapshot import Snapshot

Allow = Annotated[
    list[Path] | None,
    typer.Option("--allow", metavar="FILE", help="A file of allowances; more than once.", show_default=False),
]
All = Annotated[bool, typer.Option("--all", help="Show every line of every list.")]


def diff(
    left: Annotated[str, typer.Argument(help="A snapshot, or what 'imagetest snapshot' takes.")],
    right: Annotated[str, typer.Argument(help="Another.")],
    *,
    allow: Allow = None,
    only: Only = None,
    root: Root = None,
    sudo: Sudo = False,
    at_rest: AtRest = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write the comparison as JSON.")] = False,
    everything: All = False,
    config: Config = None,
) -> None:
    """Show what changed from one to the other; exit code 1 when something did that nobody allows."""
    from imagetest.cli.looking import scope_of
    from imagetest.config.allowances import read_allowances
    from imagetest.config.settings import load
    from imagetest.model.codec import encode_drift
    from imagetest.policy.drift import compare
    from imagetest.policy.exit_code import of_drift
    from imagetest.reporters.comparison import drift_lines

    settings = load(config)
    allowances = [one for path in allow or () for one in read_allowances(path)]
    scope = scope_of(settings, only=only or (), roots=root or ())
    here, there = _both(left, right, settings, scope=scope, sudo=sudo, at_rest=at_rest)
    found = compare(here, there, allowances, now=datetime.now(UTC))
    if as_json:
        sys.stdout.buffer.write(encode_drift(found))
    else:
        show(drift_lines(found, everything=everything))
    raise typer.Exit(of_drift(found))


def _both(
    left: str, right: str, settings: Settings, *, scope: Scope, sudo: bool, at_rest: bool
) -> tuple[Snapshot, Snapshot]:
    """Return two snapshots; what is named twice is looked at once. Raises InfrastructureError when one is not there."""
    from imagetest.cli.looking import looking
    from imagetest.cli.subjects import understand

    subjects = [understand(one, settings, stored=True) for one in dict.fromkeys((left, right))]
    with looking(settings, scope=scope, sudo=sudo, at_rest=at_rest) as place:
        answers = {answer.host: answer for answer in place.answers(subjects)}
    found = {name: answer.read() for name, answer in answers.items() if answer.read is not None}
    if errors := [answer.error for answer in answers.values() if answer.read is None]:
        raise InfrastructureError("\n".join(errors))
    return _only(found[left], scope), _only(found[right], scope)


def _only(snapshot: Snapshot, scope: Scope) -> Snapshot:
    """Leave out of a stored snapshot what is not asked for. Raises UsageError when nothing is left."""
    from dataclasses import replace

    if not scope.only:
        return snapshot
    kept = tuple(one for one in snapshot.families if one.name in scope.only)
    missing: Sequence[str] = [name for name in scope.only if snapshot.family(name) is None]
    if missing:
        raise UsageError(f"{snapshot.subject!r} holds no {', '.join(missing)}", hint="it was taken without them")
    return replace(snapshot, families=kept)
