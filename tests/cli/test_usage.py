"""What the command line says to whoever mistypes, asks for help, or reads no further."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from imagetest.cli.main import run
from tests.workshop import Ended, Workshop

COMMANDS = (
    "init", "doctor", "bake", "demo", "promote", "channels", "history", "revoke", "rollback", "snapshot", "diff",
    "parity", "report", "reap", "gateway",
)  # fmt: skip


def one_message(ended: Ended) -> str:
    """Return the message of a command that failed as a user should see it fail."""
    assert "Traceback" not in ended.text
    assert ended.err.startswith("imagetest: ")
    return ended.err.removeprefix("imagetest: ")


def test_no_arguments_show_the_help(bare: Workshop) -> None:
    nothing, asked = bare.imagetest(), bare.imagetest("--help")

    assert nothing.code == asked.code == 0
    assert nothing.out == asked.out
    assert all(f"  {command}" in asked.out for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str], command: str) -> None:
    code = run([command, "-h"])
    shown = capsys.readouterr()

    assert code == 0
    assert shown.out.startswith(f"Usage: imagetest {command}")
    assert shown.err == ""


def test_the_version_is_told(bare: Workshop) -> None:
    ended = bare.imagetest("--version")

    assert (ended.code, ended.out.split()[0], ended.err) == (0, "imagetest", "")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["nope"], "No such command 'nope'"),
        (["bake"], "Missing argument 'name'"),
        (["bake", "a", "b"], "unexpected extra argument"),
        (["--nope"], "No such option: --nope"),
        (["bake", "web", "--nope"], "No such option: --nope"),
        (["revoke", "stable"], "Missing option '--reason'"),
        (["channels", "--config", "none.toml"], "there is no"),
        (["bake", "web"], "unknown image 'web' (known: none)"),
        (["bake", "docker:web"], "is not baked from a template"),
        (["promote", "web", "stable"], "unknown channel 'stable' (known: none)"),
        (["revoke", "stable", "--reason", "x"], "unknown channel 'stable'"),
        (["rollback", "stable", "--reason", "x"], "unknown channel 'stable'"),
        (["history", "stable"], "unknown channel 'stable'"),
        (["report", "nothing"], "there is no file 'nothing', and the registry holds no such assessment"),
        (["report", "x" * 5000], "registry holds no such assessment"),
        (["gateway", "c", "--keys", "none"], "the keys of 'c' are gone"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else None,
)
def test_a_mistake_is_one_message_and_exit_code_4(bare: Workshop, argv: list[str], said: str) -> None:
    ended = bare.imagetest(*argv)

    assert ended.code == 4
    assert said in one_message(ended)
    assert ended.out == ""


def test_a_configuration_with_mistakes_is_said_by_every_command(bare: Workshop) -> None:
    bare.file("imagetest.toml", "[images.web]\ntemplat = 'x'\n")
    for argv in (["channels"], ["bake", "web"], ["reap"]):
        ended = bare.imagetest(*argv)

        assert ended.code == 4
        assert "line 2: images.web.templat: unknown setting" in one_message(ended)


def test_a_registry_that_makes_no_sense_is_a_mistake(bare: Workshop) -> None:
    for url in ("nonsense", "sqlite://", "mysql://u:hidden@h/d"):
        ended = bare.imagetest("channels", IMAGETEST_REGISTRY=url)

        assert ended.code == 4
        assert "registry" in one_message(ended)
        assert "hidden" not in ended.text


def test_a_registry_that_cannot_be_reached_is_exit_code_3(bare: Workshop) -> None:
    bare.file("taken", "")
    ended = bare.imagetest("channels", IMAGETEST_REGISTRY=f"sqlite:///{bare.folder}/taken/registry.sqlite")

    assert ended.code == 3
    assert "cannot be used" in one_message(ended)


@pytest.mark.parametrize("argv", [["--help"], ["channels"], ["bake", "--help"]])
def test_a_full_disk_behind_standard_output_is_said(bare: Workshop, argv: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "imagetest.cli.main", *argv], check=False, stdout=full, stderr=subprocess.PIPE,
            text=True, cwd=bare.folder,
        )  # fmt: skip

    assert done.returncode == 3
    assert done.stderr == "imagetest: No space left on device\n"


def test_whoever_reads_no_further_is_told_nothing(bare: Workshop) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "imagetest.cli.main", "channels"], check=False, stdout=writer,
            stderr=subprocess.PIPE, text=True, cwd=bare.folder,
        )  # fmt: skip
    finally:
        os.close(writer)

    assert done.returncode == 3
    assert done.stderr == ""


def test_an_argument_that_is_not_utf_8_is_a_mistake_like_any_other(bare: Workshop) -> None:
    ended = bare.imagetest("bake", os.fsdecode(b"caf\xe9"))

    assert ended.code == 4
    assert "unknown image" in one_message(ended)
