"""`imagetest snapshot`: write down the state of machines, to be compared later."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from imagetest.cli.common import Config
from imagetest.errors import StorageError, UsageError

Only = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="COLLECTOR", help="Ask this collector; more than once.", show_default=False),
]
Root = Annotated[
    list[str] | None,
    typer.Option(
        "--root", metavar="DIR", help="Read the files in DIR, not those in the usual folders; more than once.",
        show_default=False,
    ),
]  # fmt: skip
Sudo = Annotated[bool, typer.Option("--sudo", help="Look as root, by a sudo that asks for no password.")]
AtRest = Annotated[bool, typer.Option("--at-rest", help="Look at an image as it is before its first boot.")]

WHAT = "An image, a template, docker:REFERENCE, qemu:DISK, CHANNEL, IMAGE@CHANNEL, or a host as you write it after ssh."


def snapshot(
    what: Annotated[list[str], typer.Argument(help=WHAT)],
    *,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write to FILE; a folder for several.", show_default=False),
    ] = None,
    only: Only = None,
    root: Root = None,
    sudo: Sudo = False,
    at_rest: AtRest = False,
    config: Config = None,
) -> None:
    """Take the snapshot of machines; what could not be read is said."""
    from imagetest.cli.looking import looking, say, say_gaps, scope_of
    from imagetest.cli.subjects import understand
    from imagetest.config.settings import load
    from imagetest.model.codec import encode_snapshot

    settings = load(config)
    places = _places(what, output)
    scope = scope_of(settings, only=only or (), roots=root or ())
    subjects = [understand(one, settings) for one in places]
    failed = 0
    with looking(settings, scope=scope, sudo=sudo, at_rest=at_rest) as place:
        for answer in place.answers(subjects):
            if answer.read is None:
                failed += 1
                say(f"imagetest: {answer.error}")
                continue
            taken = answer.read()
            say_gaps(taken)
            _write(encode_snapshot(taken), places[answer.host])
    if failed:
        from imagetest.policy.exit_code import ExitCode

        raise typer.Exit(ExitCode.NOT_JUDGED)


def _places(what: Sequence[str], output: Path | None) -> Mapping[str, Path | None]:
    """Return where each snapshot goes; None is standard output."""
    names = list(dict.fromkeys(what))
    if len(names) == 1:
        return {names[0]: output}
    if output is None:
        raise UsageError(
            "several snapshots need a folder", hint="name it with -o; each is written to a file of its own"
        )
    places = {name: output / f"{re.sub(r'[^A-Za-z0-9._@-]+', '-', name).strip('-')}.json" for name in names}
    if len(set(places.values())) < len(places):
        raise UsageError("two snapshots would be written to one file", hint="take them one by one")
    return dict(places)


def _write(content: bytes, place: Path | None) -> None:
    if place is None:
        sys.stdout.buffer.write(content)
        return
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    except OSError as error:
        raise StorageError(f"cannot write {place}: {error.strerror}") from error
    typer.echo(str(place))
