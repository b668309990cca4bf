"""`imagetest report`: write the reports again from a stored assessment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from imagetest.cli.common import Config, content_of
from imagetest.errors import UsageError


def report(
    what: Annotated[str, typer.Argument(help="An assessment.json, or an id or image that the registry knows.")],
    *,
    into: Annotated[Path, typer.Option("--report-dir", metavar="DIR", help="The folder to write into.")] = Path(
        "report"
    ),
    config: Config = None,
) -> None:
    """Write the reports of a stored assessment; nothing is judged again."""
    from imagetest.config import wiring
    from imagetest.config.settings import load
    from imagetest.model.codec import decode
    from imagetest.pipeline.report import write

    content = content_of(what)
    if content is None:
        content = wiring.store(load(config)).document(what)
    if content is None:
        raise UsageError(f"there is no file {what!r}, and the registry holds no such assessment")
    document = decode(content, origin=what)
    for one in write(into, document.assessment, document.verdict, wiring.reporters()):
        typer.echo(str(one))
