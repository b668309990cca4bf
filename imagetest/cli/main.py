"""The command line's entry: lists the commands, and turns every error into one message and an exit code."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Annotated

import typer

from imagetest.cli import bake, channels, demo, diff, doctor, gateway, init, parity, promote, reap, report, snapshot
from imagetest.errors import ImagetestError
from imagetest.execute.interrupts import interrupts
from imagetest.policy.exit_code import ExitCode
from imagetest.reporters.text import readable

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
app.command("snapshot")(snapshot.snapshot)
app.command("diff")(diff.diff)
app.command("parity")(parity.parity)
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
    code = run(sys.argv[1:])
    try:
        sys.stdout.flush()
    except OSError as error:
        code = _unwritten(error)
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Run a command and return its exit code; every error has become one message on standard error."""
    command = typer.main.get_command(app)
    try:
        with command.make_context("imagetest", arguments or ["--help"]) as context:
            command.invoke(context)
    except typer.Exit as done:
        return done.exit_code
    except ImagetestError as error:
        _say(error.explain())
        return error.exit_code
    except typer.TyperException as error:
        _say(f"{error.format_message()}\n  'imagetest --help' lists what there is")
        return ExitCode.USAGE
    except (KeyboardInterrupt, typer.Abort):
        _say("interrupted")
        return ExitCode.INTERRUPTED
    except OSError as error:
        return _unwritten(error)
    return ExitCode.OPEN


def _unwritten(error: OSError) -> int:
    """Say that something could not be read or written, unless whoever read our output went away; then write no more."""
    if not isinstance(error, BrokenPipeError):
        _say(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return ExitCode.NOT_JUDGED


def _say(message: str) -> None:
    with suppress(OSError):  # standard error may be as full, or as closed, as standard output
        typer.echo(readable(f"imagetest: {message}"), err=True)  # a hostile machine may have worded it


if __name__ == "__main__":
    main()
