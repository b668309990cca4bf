"""What is kept of a command's output: masked, capped, and with the digest and size of the whole."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import pytest

from imagetest.execute.redact import Redactor
from imagetest.model.finding import Command, Output
from imagetest.transport.recorder import CAP, Recorder
from imagetest.transport.shell import Answer


def recorded(stdout: bytes, *secrets: str, command: str = "true") -> Command:
    recorder = Recorder(Redactor(secrets))
    recorder.record(
        command, Answer(exit_code=0, stdout=stdout, stderr=b""), started=0.0, seconds=0.25, machine="at rest"
    )
    (one,) = recorder.take()
    return one


def test_a_command_is_kept_with_all_that_is_known_of_it() -> None:
    one = recorded(b"said\n", command="say")

    assert (one.command, one.exit_code, one.seconds, one.machine) == ("say", 0, 0.25, "at rest")
    assert one.started == datetime.fromtimestamp(0, UTC)
    assert one.stdout == Output(text="said\n", size=5, sha256=hashlib.sha256(b"said\n").hexdigest(), truncated=False)
    assert one.stderr == Output()


@pytest.mark.parametrize(("size", "truncated"), [(CAP - 1, False), (CAP, False), (CAP + 1, True), (50 * CAP, True)])
def test_a_long_output_is_capped_and_its_digest_is_of_the_whole(size: int, truncated: bool) -> None:  # noqa: FBT001
    data = b"x" * size
    one = recorded(data)

    assert (len(one.stdout.text), one.stdout.truncated) == (min(size, CAP), truncated)
    assert (one.stdout.size, one.stdout.sha256) == (size, hashlib.sha256(data).hexdigest())


def test_bytes_that_are_no_text_are_replaced_and_the_digest_is_of_the_bytes() -> None:
    one = recorded(b"a\xff\0b")

    assert one.stdout.text == "a\ufffd\0b"
    assert one.stdout.sha256 == hashlib.sha256(b"a\xff\0b").hexdigest()


def test_a_digest_does_not_give_a_secret_away() -> None:
    """The digest of a short output would let anybody try passwords against it."""
    one = recorded(b"hunter22", "hunter22")

    assert one.stdout.sha256 == hashlib.sha256(one.stdout.text.encode()).hexdigest()


def test_a_secret_across_the_cap_is_masked() -> None:
    one = recorded(b"x" * (CAP - 4) + b"hunter22", "hunter22")

    assert "hunt" not in one.stdout.text


def test_a_command_without_an_answer_is_kept() -> None:
    recorder = Recorder(str)
    recorder.record("sleep 99 \udcff", None, started=0.0, seconds=1.0)
    (one,) = recorder.take()

    assert (one.command, one.exit_code, one.stdout) == ("sleep 99 \\udcff", None, Output())
