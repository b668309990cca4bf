"""`imagetest bake`: bake an image, or say why it would be baked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imagetest.cli.common import Config
from imagetest.errors import UsageError

if TYPE_CHECKING:
    from imagetest.ports import Event


def bake(
    name: Annotated[str, typer.Argument(help="An image of imagetest.toml, or a path to a template.")],
    *,
    explain: Annotated[bool, typer.Option("--explain", help="Say which inputs changed, and bake nothing.")] = False,
    rebake: Annotated[bool, typer.Option("--rebake", help="Bake even if nothing changed.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show all that Packer says.")] = False,
    config: Config = None,
) -> None:
    """Bake an image unless nothing that it depends on has changed."""
    from imagetest.config import wiring
    from imagetest.config.settings import load
    from imagetest.config.targets import resolve
    from imagetest.pipeline.bake import Kitchen

    settings = load(config)
    order = resolve(name, settings).order
    if order is None:
        raise UsageError(f"{name!r} is not baked from a template", hint="it names an image that exists already")
    order = replace(order, sources=wiring.builder().sources(order))

    def show(event: Event) -> None:
        if verbose or not event.detail:
            typer.echo(f"{event.subject}: {event.text}")

    kitchen = Kitchen(
        builder=wiring.builder, driver=wiring.driver, leases=wiring.leases(settings), state=settings.state,
        folder=_logs(settings.state), progress=show, rebake=rebake,
    )  # fmt: skip
    if explain:
        for plan in kitchen.plan(order):
            typer.echo(f"{plan.source}: {'would be baked' if plan.reasons else 'would not be baked: nothing changed'}")
            for reason in plan.reasons:
                typer.echo(f"  {reason}")
            typer.echo(f"  key {plan.key}, {len(plan.ingredients.inputs)} inputs")
            for one in plan.ingredients.inputs if verbose else ():
                typer.echo(f"    {one.name} {one.digest}")
        return
    for source, (image, _) in kitchen.bake(order).images.items():
        typer.echo(f"{source}: {image.digest}")


def _logs(state: Path) -> Path:
    return state / "logs"
