"""What commands share: the option that names the configuration, and plain tables."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

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


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table that is as wide as its content, so that it can be cut and searched."""
    widths = [max(len(one) for one in column) for column in zip(titles, *rows, strict=True)]
    for row in [titles, *rows]:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
