"""What commands share: the option that names the configuration, and plain tables."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from imagetest.reporters.terminal import Line

Config = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="FILE", help="Read FILE instead of the closest imagetest.toml.", show_default=False
    ),
]


NO_FILE = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG}


def content_of(what: str) -> bytes | None:
    """Return what a file holds; None for what can be no file, such as an id."""
    try:
        return Path(what).read_bytes()
    except OSError as error:
        if error.errno in NO_FILE:
            return None
        raise


def show(lines: Iterable[Line]) -> None:
    """Print styled lines; a terminal shows the styles, a pipe does not get them."""
    from imagetest.reporters.terminal import Style

    styles: dict[Style, dict[str, Any]] = {
        Style.TITLE: {"bold": True},
        Style.MUTED: {"dim": True},
        Style.GOOD: {"fg": "green", "bold": True},
        Style.WARN: {"fg": "yellow"},
        Style.BAD: {"fg": "red"},
    }
    for style, text in lines:
        typer.secho(text, **styles.get(style, {}))


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table that is as wide as its content, so that it can be cut and searched."""
    widths = [max(len(one) for one in column) for column in zip(titles, *rows, strict=True)]
    for row in [titles, *rows]:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
