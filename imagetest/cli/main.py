"""The command line's entry: lists the commands, and turns every error into one message and an exit code."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from imagetest.cli import bake, channels, demo, doctor, gateway, init, promote, reap, report
from imagetest.errors import ImagetestError
from imagetest.execute.interrupts import interrupts
from imagetest.policy.exit_code import ExitCode

app = typer.Typer(
    name="imagetest",
    help="Prove machine images and promote what passes; `pytest --image NAME` is the test run itself.",
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("init")(init.init)
app.command("doctor")(doctor.doctor)
app.command("bake")(bake.bake)
app.command("demo")(demo.demo)
app.command("promote")(promote.promote)
app.command("channels")(channels.channels)
app.command("history")(channels.history)
app.command("revoke")(channels.revoke)
app.command("rollback")(channels.rollback)
app.command("report")(report.report)
app.command("reap")(reap.reap)
app.command("gateway")(gateway.gateway)


def _version(asked: bool) -> None:  # noqa: FBT001 - typer's callback
    if asked:
        from importlib.metadata import version

        typer.echo(f"imagetest {version('imagetest')}")
        raise typer.Exit


@app.callback()
def imagetest(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Prove machine images and promote what passes; `pytest --image NAME` is the test run itself."""
    del version


def main() -> None:
    """Run a command and exit with what it means."""
    interrupts.install()
    try:
        code = run(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:  # somebody read as much as they wanted
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = ExitCode.OPEN
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Run a command and return its exit code; every error has become one message on standard error."""
    try:
        return int(app(arguments or ["--help"], prog_name="imagetest", standalone_mode=False) or 0)
    except ImagetestError as error:
        typer.echo(f"imagetest: {error.explain()}", err=True)
        return error.exit_code
    except typer.TyperException as error:
        typer.echo(f"imagetest: {error.format_message()}\n  'imagetest --help' lists what there is", err=True)
        return ExitCode.USAGE
    except (KeyboardInterrupt, typer.Abort):
        typer.echo("imagetest: interrupted", err=True)
        return ExitCode.INTERRUPTED


if __name__ == "__main__":
    main()
