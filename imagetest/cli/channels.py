"""`imagetest channels`, `history`, `revoke` and `rollback`: what channels point at, and how they came to."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from imagetest.cli.common import Config, table
from imagetest.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from imagetest.model.promotion import Promotion
    from imagetest.pipeline.desk import Desk

Image = Annotated[str, typer.Option("--image", help="The image, where the channel holds several.", show_default=False)]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept in the record.")]


def channels(*, config: Config = None) -> None:
    """Show what each channel points at."""
    from imagetest.config import wiring
    from imagetest.config.settings import load
    from imagetest.policy import channels as policy

    settings = load(config)
    history = wiring.store(settings).history()
    rows = []
    for channel in dict.fromkeys([*settings.channels, *(entry.channel for entry in history)]):
        names = policy.images(history, channel=channel)
        if not names:
            rows.append([channel, "-", "nothing was promoted", "-", "-", "-"])
        for image in names:
            at = policy.current(history, channel=channel, image=image)
            rows.append(
                [channel, image, at.digest, f"{at.at:%Y-%m-%d %H:%M:%SZ}", at.by, _places(at)]
                if at
                else [channel, image, "revoked", "-", "-", "-"]
            )
    table(["CHANNEL", "IMAGE", "DIGEST", "SINCE", "BY", "PLACES"], rows)


def history(
    channel: Annotated[str | None, typer.Argument(help="Only this channel.", show_default=False)] = None,
    *,
    config: Config = None,
) -> None:
    """Show every record, oldest first."""
    from imagetest.config import wiring
    from imagetest.config.settings import load

    settings = load(config)
    records = wiring.store(settings).history(channel)
    if channel is not None and not records:
        settings.channel(channel)
    table(
        ["NUMBER", "AT", "CHANNEL", "ACTION", "IMAGE", "DIGEST", "ASSESSMENT", "BY", "PLACES", "REASON"],
        [
            [str(one.number), f"{one.at:%Y-%m-%d %H:%M:%SZ}", one.channel, one.action.value, one.image, one.digest,
             one.assessment_id, one.by, _places(one), one.reason]
            for one in records
        ],
    )  # fmt: skip


def revoke(
    channel: Annotated[str, typer.Argument(help="The channel.")],
    *,
    reason: Reason,
    image: Image = "",
    config: Config = None,
) -> None:
    """Take the current image out of a channel, which then points at nothing."""
    from imagetest.execute.operator import operator
    from imagetest.pipeline import revoke as pipeline

    desk, _, known = _desk(channel, image, config)
    done = pipeline.revoke(desk=desk, by=operator(), reason=reason, now=datetime.now(UTC))
    said = f"{done.image} {done.digest} from {channel!r}"
    if done.number in known:
        typer.echo(f"{said} was revoked already, as record {done.number}; it points at nothing, once more")
    else:
        typer.echo(f"revoked {said} as record {done.number}; it points at nothing now")


def rollback(
    channel: Annotated[str, typer.Argument(help="The channel.")],
    *,
    reason: Reason,
    image: Image = "",
    to: Annotated[
        int | None, typer.Option("--to", metavar="NUMBER", help="Go to this record of 'imagetest history' instead.")
    ] = None,
    config: Config = None,
) -> None:
    """Point a channel at the image that it held before."""
    from imagetest.config import wiring
    from imagetest.config.settings import load
    from imagetest.execute.operator import operator
    from imagetest.pipeline import rollback as pipeline

    desk, kind, known = _desk(channel, image, config)
    wiring.check_apart(load(config), channel, {desk.outlet.image: kind}, desk.store)
    done = pipeline.rollback(
        desk=desk, driver=wiring.driver(kind), by=operator(), reason=reason, now=datetime.now(UTC), to=to
    )
    if done.number in known:
        typer.echo(f"{channel!r} did not stand at {done.image} {done.digest}, record {done.number}: it does now")
        typer.echo("  to go further back, roll back again")
    else:
        typer.echo(f"rolled {channel!r} back to {done.image} {done.digest} as record {done.number}")


def _desk(channel: str, asked: str, config: Path | None) -> tuple[Desk, str, set[int]]:
    """Return where an image of a channel is kept, its kind, and the numbers of the records that there are of it."""
    from imagetest.config import wiring
    from imagetest.config.settings import load
    from imagetest.policy import channels as policy

    settings = load(config)
    settings.channel(channel)
    store = wiring.store(settings)
    records = store.history(channel)
    name = _image(policy.images(records, channel=channel), channel, asked)
    known = [one for one in records if one.image == name]
    kind = (policy.current(known, channel=channel, image=name) or known[-1]).kind
    return wiring.desk(settings, channel, name, kind=kind, registry=store), kind, {one.number for one in known}


def _places(entry: Promotion) -> str:
    """Return where a record says that the content was brought; records of before that was known say nothing."""
    return " ".join(place.where for place in entry.placements) or "-"


def _image(names: list[str], channel: str, asked: str) -> str:
    if asked and asked in names:
        return asked
    if len(names) == 1 and not asked:
        return names[0]
    if not names:
        raise UsageError(f"nothing was ever promoted to channel {channel!r}")
    raise UsageError(f"channel {channel!r} holds {', '.join(names)}", hint="say which with --image")
