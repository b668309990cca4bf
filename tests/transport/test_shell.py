"""One shell answers command after command, byte for byte, and says at once when it cannot any more."""

from __future__ import annotations

import hashlib
import os
import signal
import threading
import time
from collections.abc import Iterator

import paramiko
import pytest

from imagetest.errors import MachineLostError
from imagetest.execute.interrupts import interrupts
from imagetest.transport import connection
from imagetest.transport.shell import Answer, CommandTimeoutError, Shell
from tests.transport.conftest import Served

MEGABYTE = 1024 * 1024
SECONDS = 20.0


@pytest.fixture(scope="module")
def transport(shared: Served) -> Iterator[paramiko.Transport]:
    opened = connection.connect(shared.address)
    yield opened
    opened.close()


@pytest.fixture
def shell(transport: paramiko.Transport) -> Iterator[Shell]:
    opened = Shell(transport)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        pytest.param("echo out; echo err >&2; exit 3", (3, b"out\n", b"err\n"), id="both-streams"),
        pytest.param("true", (0, b"", b""), id="nothing"),
        pytest.param("printf out; printf err >&2", (0, b"out", b"err"), id="no-final-newline"),
        pytest.param("printf '\\n\\n'", (0, b"\n\n", b""), id="newlines-alone"),
        pytest.param("exit 255", (255, b"", b""), id="255"),
        pytest.param("kill -9 $$", (137, b"", None), id="killed"),
        pytest.param("no-such-command-here", (127, b"", None), id="unknown-command"),
        pytest.param("if true; then", (2, b"", None), id="syntax-error"),
        pytest.param("echo 'never closed", (2, b"", None), id="open-quote"),
        pytest.param("printf 'a\\000b\\377\\r\\n\\033[0m'", (0, b"a\0b\xff\r\n\033[0m", b""), id="binary"),
        pytest.param("printf %s \"a'b''c\"", (0, b"a'b''c", b""), id="quotes"),
        pytest.param("printf '%s|' 'one\ntwo' \"$(echo '$HOME `x`')\"", (0, b"one\ntwo|$HOME `x`|", b""), id="lines"),
        pytest.param("printf %s 'grün \udcff\udc80'", (0, "grün ".encode() + b"\xff\x80", b""), id="not-utf-8"),
        pytest.param(b"printf %s '\xff\xfe'", (0, b"\xff\xfe", b""), id="bytes"),
        pytest.param("cat; wc -c", (0, b"0\n", b""), id="empty-input"),
        pytest.param("read line; echo $?", (0, b"1\n", b""), id="end-of-input"),
        pytest.param("cd /; umask 0; x=1; set -e; exec 2>&-", (0, b"", b""), id="changes"),
        pytest.param("# a comment", (0, b"", b""), id="comment"),
        pytest.param("", (0, b"", b""), id="empty"),
        pytest.param("echo one # two", (0, b"one\n", b""), id="trailing-comment"),
        pytest.param("echo one;", (0, b"one\n", b""), id="trailing-semicolon"),
        pytest.param("cat <<END\n$((1 + 1))\nEND", (0, b"2\n", b""), id="here-document"),
    ],
)
def test_a_command_answers_as_it_would_anywhere(
    shell: Shell, command: str | bytes, answer: tuple[int, bytes, bytes | None]
) -> None:
    code, stdout, stderr = answer
    got = shell.run(command, timeout=SECONDS)

    assert (got.exit_code, got.stdout) == (code, stdout)
    assert stderr is None or got.stderr == stderr
    assert shell.run("echo next", timeout=SECONDS) == Answer(exit_code=0, stdout=b"next\n", stderr=b"")


def test_a_command_leaves_nothing_to_the_next(shell: Shell) -> None:
    before = shell.run("pwd; umask; echo $x; set -o | grep errexit", timeout=SECONDS)
    shell.run("cd /; umask 0; x=1; export x; set -e; trap 'echo trapped' EXIT", timeout=SECONDS)

    assert shell.run("pwd; umask; echo $x; set -o | grep errexit", timeout=SECONDS) == before


def test_output_that_looks_like_a_mark_is_output(shell: Shell) -> None:
    fakes = "\n" + "0" * 32 + " 0\n" + "0" * 32 + "\n"
    got = shell.run(f"printf %s '{fakes}' | tee /dev/stderr", timeout=SECONDS)

    assert got == Answer(exit_code=0, stdout=fakes.encode(), stderr=fakes.encode())


def test_a_mark_that_arrives_in_pieces_is_found(shell: Shell) -> None:
    """Every alignment of the end against the size of what is read at once."""
    for size in (0, 1, 32767, 32768, 65535, 65536, 65537, 131072):
        got = shell.run(f"head -c {size} /dev/zero", timeout=SECONDS)

        assert (got.exit_code, len(got.stdout)) == (0, size)


def test_both_streams_may_be_large_at_once(shell: Shell) -> None:
    """20 MB on each; one that is not read would stop the other for ever."""
    size = 20 * MEGABYTE
    got = shell.run(
        f"head -c {size} /dev/zero | tr '\\0' o & head -c {size} /dev/zero | tr '\\0' e >&2; wait", timeout=60
    )

    assert got.exit_code == 0
    assert hashlib.sha256(got.stdout).digest() == hashlib.sha256(b"o" * size).digest()
    assert hashlib.sha256(got.stderr).digest() == hashlib.sha256(b"e" * size).digest()


def test_standard_error_first_and_output_later_is_no_deadlock(shell: Shell) -> None:
    got = shell.run(f"head -c {5 * MEGABYTE} /dev/zero >&2; head -c {5 * MEGABYTE} /dev/zero", timeout=60)

    assert (len(got.stdout), len(got.stderr)) == (5 * MEGABYTE, 5 * MEGABYTE)


def test_a_command_as_long_as_the_system_allows_arrives_whole(shell: Shell) -> None:
    text = "x" * 120_000
    got = shell.run(f"printf %s {text} | wc -c", timeout=SECONDS)

    assert got.stdout.strip() == b"120000"


def test_a_longer_command_fails_and_harms_nothing(shell: Shell) -> None:
    got = shell.run(f"printf %s {'x' * 200_000}", timeout=SECONDS)

    assert got.exit_code == 126
    assert b"too long" in got.stderr
    assert shell.run("echo next", timeout=SECONDS).stdout == b"next\n"


def test_what_stays_in_the_background_does_not_hold_the_answer_up(shell: Shell) -> None:
    started = time.monotonic()
    got = shell.run("(sleep 1; echo late; echo late >&2) & echo now", timeout=SECONDS)

    assert got == Answer(exit_code=0, stdout=b"now\n", stderr=b"")
    assert time.monotonic() - started < 0.9


def test_what_the_background_says_later_is_in_no_answer(shell: Shell) -> None:
    shell.run("(sleep 0.2; echo late; echo late >&2) & :", timeout=SECONDS)
    time.sleep(0.5)

    assert shell.run("echo now", timeout=SECONDS) == Answer(exit_code=0, stdout=b"now\n", stderr=b"")


def test_chatter_in_the_background_does_not_hide_the_end(shell: Shell) -> None:
    """It writes while, before and after the mark comes."""
    shell.run("(for i in $(seq 300); do echo chatter; echo chatter >&2; sleep 0.001; done) & :", timeout=SECONDS)
    answers = [shell.run("exit 5", timeout=SECONDS).exit_code for _ in range(30)]

    assert answers == [5] * 30


def test_a_command_that_takes_too_long_is_given_up_in_time(transport: paramiko.Transport) -> None:
    shell = Shell(transport)
    started = time.monotonic()
    with pytest.raises(CommandTimeoutError, match=r"no answer within 0\.5 seconds"):
        shell.run("sleep 30", timeout=0.5)

    assert time.monotonic() - started < 1.5


@pytest.mark.parametrize("command", ["yes", "while :; do echo more; sleep 0.01; done"])
def test_a_command_that_talks_for_ever_is_given_up_in_time(transport: paramiko.Transport, command: str) -> None:
    shell = Shell(transport)
    started = time.monotonic()
    with pytest.raises(CommandTimeoutError):
        shell.run(command, timeout=0.5)

    assert time.monotonic() - started < 1.5


def test_the_next_shell_works_after_a_timeout(transport: paramiko.Transport) -> None:
    with pytest.raises(CommandTimeoutError):
        Shell(transport).run("sleep 30", timeout=0.2)

    assert Shell(transport).run("echo here", timeout=SECONDS).stdout == b"here\n"


def test_a_shell_given_up_in_mid_output_leaves_the_connection_whole(transport: paramiko.Transport) -> None:
    """Paramiko's own notification pipe wrote into another connection's descriptor here, one time in ten."""
    for _ in range(20):
        with pytest.raises(CommandTimeoutError):
            Shell(transport).run("yes", timeout=0.05)

    assert Shell(transport).run("echo here", timeout=SECONDS).stdout == b"here\n"


def test_a_shell_that_ends_is_noticed_at_once(transport: paramiko.Transport) -> None:
    shell = Shell(transport)
    started = time.monotonic()
    with pytest.raises(MachineLostError, match="the shell ended"):
        shell.run("kill -9 $PPID", timeout=SECONDS)
    with pytest.raises(MachineLostError):
        shell.run("true", timeout=SECONDS)

    assert time.monotonic() - started < 1


def test_a_connection_that_breaks_is_noticed_at_once(served: Served) -> None:
    transport = connection.connect(served.address)
    shell = Shell(transport)
    served.gateway.close()
    started = time.monotonic()
    with pytest.raises(MachineLostError):
        shell.run("sleep 30", timeout=SECONDS)
    with pytest.raises(MachineLostError):
        Shell(transport)

    assert time.monotonic() - started < 1
    transport.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("command", ["sleep 30", "yes"])
def test_a_command_that_runs_is_interrupted_soon(transport: paramiko.Transport, number: int, command: str) -> None:
    interrupts.install()
    try:
        shell = Shell(transport)
        threading.Timer(0.2, os.kill, (os.getpid(), number)).start()
        started = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            shell.run(command, timeout=SECONDS)
    finally:
        interrupts.restore()

    assert time.monotonic() - started < 1
