"""`imagetest promote`: promote an image by an assessment that a gated run recorded."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from imagetest.cli.common import Config, content_of
from imagetest.errors import UsageError

if TYPE_CHECKING:
    from imagetest.model.codec import Document
    from imagetest.ports import Store


def promote(
    what: Annotated[str, typer.Argument(help="The name of an image, the id of an assessment, or its assessment.json.")],
    channel: Annotated[str, typer.Argument(help="A channel of imagetest.toml.")],
    *,
    despite_revoke: Annotated[
        str, typer.Option(metavar="WHY", help="Promote content that was revoked; the reason is kept in the record.")
    ] = "",
    config: Config = None,
) -> None:
    """Promote an image whose recorded assessment passes the channel's gate today."""
    from imagetest.config import wiring
    from imagetest.config.settings import load
    from imagetest.execute.operator import operator
    from imagetest.pipeline import promote as pipeline
    from imagetest.pipeline.judge_again import judge_again

    settings = load(config)
    table = settings.channel(channel)
    store = wiring.store(settings)
    assessment, now = _document(what, store).assessment, datetime.now(UTC)
    assessment, verdict = judge_again(assessment, settings.gates[table.gate], store, now=now)
    kind = assessment.image.kind
    wiring.check_apart(settings, channel, {assessment.image.name: kind}, store)
    done = pipeline.promote(
        assessment, verdict, by=operator(), now=now, despite=despite_revoke,
        desk=wiring.desk(settings, channel, assessment.image.name, kind=kind, registry=store),
        driver=wiring.driver(kind),
    )  # fmt: skip
    typer.echo(f"promoted {done.image} {done.digest} to {channel!r} as record {done.number}")
    for place in done.placements:
        typer.echo(f"  {place.where}")


def _document(what: str, store: Store) -> Document:
    """Return what the registry holds; a file only says which, so that nobody promotes what they wrote themselves."""
    import hashlib

    from imagetest.model.codec import decode

    content = content_of(what)
    if content is not None:
        decode(content, origin=what)
        recorded = store.document(hashlib.sha256(content).hexdigest())
    else:
        recorded = store.document(what)
    if recorded is None:
        raise UsageError(
            f"the registry holds no assessment {what!r}", hint="'pytest --image NAME --gate' makes and records one"
        )
    return decode(recorded, origin=f"assessment {what!r}")
