"""Values are written so that nothing hides in them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagetest.reporters import text


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain\ttext\n", "plain\ttext\n"),
        ("\x1b[31mred\x1b[0m", "␛[31mred␛[0m"),
        ("a\r\nb\x00\x7f", "a␍\nb␀␡"),
        ("\x9b1m", "<U+009B>1m"),
        ("\u202egnp.exe", "<U+202E>gnp.exe"),
        ("\u200b\ufeff", "<U+200B><U+FEFF>"),
        ("\ud800\uffff", "<U+D800><U+FFFF>"),
        ("caf\ufffd \N{GRINNING FACE} 日本", "caf\ufffd \N{GRINNING FACE} 日本"),
    ],
)
def test_what_would_be_obeyed_or_hidden_is_shown(raw: str, shown: str) -> None:
    assert text.readable(raw) == shown


@given(st.text())
def test_readable_text_can_be_encoded_and_stays_as_it_is_when_read_again(raw: str) -> None:
    shown = text.readable(raw)

    assert shown.encode().decode() == shown
    assert text.readable(shown) == shown


def test_readable_text_of_a_lone_surrogate_can_be_encoded() -> None:
    assert text.readable("\udcff").encode() == b"<U+DCFF>"


@given(st.text())
def test_a_line_has_no_line_break(raw: str) -> None:
    assert len(text.line(raw).splitlines()) <= 1


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, ""), (0.0, "0 ms"), (0.12, "120 ms"), (4.21, "4.2 s"), (192.4, "3 min 12 s"), (3725.0, "1 h 02 min")],
)
def test_durations_read_as_people_say_them(seconds: float | None, words: str) -> None:
    assert text.duration(seconds) == words


@pytest.mark.parametrize("seconds", [0.9997, 59.97, 119.7, 3599.8])
def test_a_duration_never_shows_sixty_of_a_unit(seconds: float) -> None:
    shown = text.duration(seconds)

    assert "60" not in shown
    assert "1000" not in shown


@pytest.mark.parametrize(
    ("number", "words"),
    [(None, ""), (0, "0 B"), (999, "999 B"), (4096, "4.1 kB"), (187_412_331, "187.4 MB"), (3 * 10**15, "3000.0 TB")],
)
def test_sizes_are_decimal(number: int | None, words: str) -> None:
    assert text.size(number) == words


def test_a_moment_is_written_in_utc() -> None:
    noon = datetime(2026, 7, 1, 12, 0, tzinfo=timezone(timedelta(hours=2)))

    assert text.moment(noon) == "2026-07-01 10:00:00 UTC"
    assert text.moment(noon.astimezone(UTC).replace(tzinfo=None)) == "2026-07-01 10:00:00 UTC"
    assert text.moment(None) == ""


def test_a_digest_is_shortened_wherever_it_stands() -> None:
    assert text.short("debian@sha256:" + "0123456789abcdef" * 4) == "debian@sha256:0123456789ab"
    assert text.short("debian:12") == "debian:12"
