"""`imagetest reap`: remove what killed runs left, or what was kept on purpose."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from imagetest.cli.common import Config

if TYPE_CHECKING:
    from imagetest.config.settings import Settings
    from imagetest.execute.leases import Leases
    from imagetest.pipeline.reap import Swept

LOOK = "look at it: a tag imagetest:expires holds a time with its zone, 2026-11-23T08:00:00+00:00"


def reap(
    *,
    kept: Annotated[bool, typer.Option("--kept", help="Also remove the instances that --keep left up.")] = False,
    reused: Annotated[
        bool, typer.Option("--reused", help="Also remove the instances that --reuse left to a later run.")
    ] = False,
    expired: Annotated[
        list[str] | None,
        typer.Option(
            "--expired", metavar="DRIVER:PLACE", help="Also remove what is past its expiry, as in ec2:eu-west-1."
        ),
    ] = None,
    config: Config = None,
) -> None:
    """Remove every instance whose run is gone."""
    from imagetest.config import wiring
    from imagetest.config.settings import load
    from imagetest.errors import ImagetestError, LeakError
    from imagetest.pipeline.reap import reap as remove

    settings = load(config)
    leases = wiring.leases(settings)
    lost: ImagetestError | None = None
    failed: list[str] = []
    try:
        remove(
            leases, wiring.driver, keys=settings.state / "keys", kept=kept, reused=reused,
            told=lambda lease: typer.echo(f"removed {lease.resource}"),
        )  # fmt: skip
    except ImagetestError as error:
        lost = error  # what has expired goes all the same
    for where in expired or ():
        failed += _expired(settings, where)
    _tell_what_waits(leases)
    if failed:
        before = [str(lost)] if lost else []
        raise LeakError(f"not all that has expired could be removed: {'; '.join(before + failed)}", hint=LOOK)
    if lost:
        raise lost


def _tell_what_waits(leases: Leases) -> None:
    found, _ = leases.look()
    waiting = [lease.resource for lease in found if lease.kept]
    if waiting:
        typer.echo(f"kept on purpose: {', '.join(waiting)}; --kept removes them")
    lent = [lease.resource for lease in found if lease.standing]
    if lent:
        typer.echo(f"left to a later run: {', '.join(lent)}; --reused removes them")


def _expired(settings: Settings, where: str) -> list[str]:
    """Remove what is past its expiry in a place, and return what stays and why."""
    from imagetest.config import wiring
    from imagetest.errors import InfrastructureError, UsageError
    from imagetest.pipeline.reap import reap_expired

    name, _, place = where.partition(":")
    if not place:
        raise UsageError(f"--expired {where!r} names no place", hint="as in ec2:eu-west-1")
    reaped = reap_expired(wiring.driver(name), place, now=datetime.now(UTC))
    for resource in reaped.removed:
        typer.echo(f"removed {resource}, which had expired")
    failed = list(reaped.failed)
    try:
        _leftovers(settings, name, place)
    except InfrastructureError as error:
        failed.append(str(error))
    return failed


def _leftovers(settings: Settings, kind: str, place: str) -> None:
    """Remove what promotions of a kind brought to a place and never recorded."""
    from imagetest.config import plugins, wiring
    from imagetest.pipeline.reap import reap_leftovers
    from imagetest.ports import Tidying

    if kind not in plugins.names("promoters"):
        return
    promoter = wiring.promoter(kind)
    if not isinstance(promoter, Tidying):
        return
    reap_leftovers(promoter, place, store=wiring.store(settings), now=datetime.now(UTC), told=_tell)


def _tell(one: Swept) -> None:
    left = one.leftover
    brought = f"{left.where}, which {left.owner or 'somebody'} brought there for a promotion"
    typer.echo(f"removed {brought} and never recorded" if one.removed else f"left {brought}: {one.why}")
