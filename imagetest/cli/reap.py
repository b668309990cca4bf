"""`imagetest reap`: remove what killed runs left, or what was kept on purpose."""

from __future__ import annotations

from typing import Annotated

import typer

from imagetest.cli.common import Config


def reap(
    *,
    kept: Annotated[bool, typer.Option("--kept", help="Also remove the instances that --keep left up.")] = False,
    reused: Annotated[
        bool, typer.Option("--reused", help="Also remove the instances that --reuse left to a later run.")
    ] = False,
    config: Config = None,
) -> None:
    """Remove every instance whose run is gone."""
    from imagetest.config import wiring
    from imagetest.config.settings import load
    from imagetest.pipeline.reap import reap as remove

    settings = load(config)
    leases = wiring.leases(settings)
    for lease in remove(leases, wiring.driver, keys=settings.state / "keys", kept=kept, reused=reused):
        typer.echo(f"removed {lease.resource}")
    waiting = [lease.resource for lease in leases if lease.kept]
    if waiting:
        typer.echo(f"kept on purpose: {', '.join(waiting)}; --kept removes them")
    lent = [lease.resource for lease in leases if lease.standing]
    if lent:
        typer.echo(f"left to a later run: {', '.join(lent)}; --reused removes them")
