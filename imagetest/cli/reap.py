"""`imagetest reap`: remove what killed runs left, or what was kept on purpose."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from imagetest.cli.common import Config


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
    from imagetest.errors import UsageError
    from imagetest.pipeline.reap import reap as remove
    from imagetest.pipeline.reap import reap_expired

    settings = load(config)
    leases = wiring.leases(settings)
    for lease in remove(leases, wiring.driver, keys=settings.state / "keys", kept=kept, reused=reused):
        typer.echo(f"removed {lease.resource}")
    for where in expired or ():
        name, _, place = where.partition(":")
        if not place:
            raise UsageError(f"--expired {where!r} names no place", hint="as in ec2:eu-west-1")
        for resource in reap_expired(wiring.driver(name), place, now=datetime.now(UTC)):
            typer.echo(f"removed {resource}, which had expired")
    waiting = [lease.resource for lease in leases if lease.kept]
    if waiting:
        typer.echo(f"kept on purpose: {', '.join(waiting)}; --kept removes them")
    lent = [lease.resource for lease in leases if lease.standing]
    if lent:
        typer.echo(f"left to a later run: {', '.join(lent)}; --reused removes them")
