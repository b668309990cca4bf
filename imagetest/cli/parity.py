"""`imagetest parity`: whether live hosts are alike, and what the image under test is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from imagetest.cli.common import Config, show
from imagetest.cli.diff import All, Allow
from imagetest.cli.snapshot import Only, Root, Sudo
from imagetest.errors import StorageError


def parity(
    environment: Annotated[str, typer.Argument(help="An environment of imagetest.toml.")],
    *,
    group: Annotated[
        list[str] | None,
        typer.Option("--group", metavar="NAME", help="Only this group; more than once.", show_default=False),
    ] = None,
    image: Annotated[
        str, typer.Option("--image", metavar="NAME", help="Hold this image against its hosts, too.", show_default=False)
    ] = "",
    allow: Allow = None,
    only: Only = None,
    root: Root = None,
    sudo: Sudo = False,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write a page for people.", show_default=False)
    ] = None,
    json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write what was found as JSON.", show_default=False)
    ] = None,
    everything: All = False,
    config: Config = None,
) -> None:
    """Hold the hosts of each group against each other, and against an image; nothing is changed on them."""
    from imagetest.cli import judging
    from imagetest.cli.looking import looking, say, scope_of
    from imagetest.config.allowances import read_allowances
    from imagetest.config.settings import load
    from imagetest.model.codec import encode_parities
    from imagetest.policy.exit_code import of_parities
    from imagetest.reporters.comparison import parity_lines
    from imagetest.reporters.parity import page

    settings = load(config)
    place = settings.environment(environment)
    subject = judging.image_of(image, settings) if image else None
    groups = judging.groups_of(place, group or (), subject)
    scope = scope_of(settings, only=only or (), roots=root or ())
    extra = tuple(one for path in allow or () for one in read_allowances(path))
    with looking(settings, scope=scope, sudo=sudo) as view:
        answers = judging.ask(view, place, groups, subject)
    found = tuple(judging.judge(place, groups, answers, subject, extra))
    if html is not None:
        _write(html, page(environment, found))
    if json is not None:
        _write(json, encode_parities(found))
    show(parity_lines(found, everything=everything))
    for one in groups:
        if len(one.hosts) == 1 and (subject is None or not judging.is_of(one, subject)):
            say(f"group {one.name!r} has one host, {one.hosts[0]}: there is nothing to hold it against")
    raise typer.Exit(of_parities(found))


def _write(file: Path, content: bytes) -> None:
    try:
        file.write_bytes(content)
    except OSError as error:
        raise StorageError(f"cannot write {file}: {error.strerror}") from error
    typer.echo(f"wrote {file}", err=True)
