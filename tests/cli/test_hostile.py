"""What a hostile host says is shown, and obeyed by no terminal."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from imagetest.cli import main
from imagetest.cli.looking import say, say_gaps
from imagetest.model.snapshot import Family, Gap, Snapshot

HOSTILE = "\x1b]0;pwned\x07\x9b31m\u202egnp.exe\r"
SHOWN = "␛]0;pwned␇<U+009B>31m<U+202E>gnp.exe␍"


def test_what_goes_on_is_readable(capsys: pytest.CaptureFixture[str]) -> None:
    say(HOSTILE)

    assert capsys.readouterr().err == f"{SHOWN}\n"


def test_an_error_is_readable(capsys: pytest.CaptureFixture[str]) -> None:
    main.run([HOSTILE])

    said = capsys.readouterr().err
    assert "pwned" in said
    assert not set(said) & set("\x1b\x07\x9b\u202e\r")


def test_a_gap_is_readable(capsys: pytest.CaptureFixture[str]) -> None:
    gap = Gap(reason=HOSTILE, key=f"/srv/{HOSTILE}")
    family = Family(name="files", noun="file", facts={}, gaps=(gap,))
    snapshot = Snapshot(
        subject="web", digest="", user="root", taken=datetime(2026, 1, 1, tzinfo=UTC), seconds=1, families=(family,)
    )

    assert say_gaps(snapshot) == 1
    said = capsys.readouterr().err
    assert SHOWN in said
    assert not set(said) & set("\x1b\x07\x9b\u202e\r")
