"""The summary fits a screen and says what decides."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagetest.model.assessment import Objection
from imagetest.model.finding import Status
from imagetest.reporters.terminal import NARROWEST, Style, summary
from tests.reporters.regenerate import load

DOCUMENT = load("photoapp.json")
HOSTILE = load()


def test_the_last_line_is_the_verdict() -> None:
    opened = replace(DOCUMENT.verdict, objections=())

    assert summary(DOCUMENT.assessment, opened)[-1] == (Style.GOOD, "verdict: OPEN (gate 'default')")
    assert summary(DOCUMENT.assessment, DOCUMENT.verdict)[-1] == (
        Style.BAD,
        "verdict: CLOSED (gate 'default'), 2 objections",
    )


def test_a_waived_control_is_shown_as_failed_and_never_in_green() -> None:
    lines = summary(DOCUMENT.assessment, DOCUMENT.verdict, width=200)
    waived = next(line for line in lines if "no-setuid-surprises" in line.text)

    assert waived.style is Style.WARN
    assert "failed" in waived.text
    assert "waived until 2026-12-31 by R. Okafor, security" in waived.text


def test_a_waiver_that_is_over_does_not_excuse() -> None:
    lines = summary(HOSTILE.assessment, HOSTILE.verdict, width=200)
    over = next(line for line in lines if "expired-waiver" in line.text)

    assert over.style is Style.BAD
    assert "waiver not in force" in over.text


def test_run_errors_and_required_controls_that_nobody_reviewed_are_named() -> None:
    lines = [text for _, text in summary(HOSTILE.assessment, HOSTILE.verdict, width=200)]

    assert any("run error: interrupted by the user" in text for text in lines)
    assert any("not reviewed never-heard-of (unrated, required)" in text for text in lines)


def test_many_failures_and_objections_stay_on_one_screen() -> None:
    findings = tuple(replace(one, status=Status.FAILED) for one in DOCUMENT.assessment.findings) * 9
    findings = tuple(replace(one, control_id=f"c{number}") for number, one in enumerate(findings))
    assessment = replace(DOCUMENT.assessment, controls=(), findings=findings)
    objections = tuple(Objection(rule="no-control-failed", message="x", control_id=one.control_id) for one in findings)

    lines = summary(assessment, replace(DOCUMENT.verdict, objections=objections))

    assert len(lines) <= 40
    assert any("more in the report" in text for _, text in lines)


@pytest.mark.parametrize("width", [1, 40, 80, 133])
def test_no_line_is_wider_than_the_terminal_but_what_is_copied(width: int) -> None:
    path = "/a/very/long/path" * 20
    lines = summary(HOSTILE.assessment, HOSTILE.verdict, width=width, report=path)
    whole = ("  report ", "  run error: ")

    assert all(len(text) <= max(width, NARROWEST) for _, text in lines if not text.startswith(whole))
    assert f"  report {path}" in [text for _, text in lines]


@given(st.text())
@settings(max_examples=50)
def test_no_text_moves_the_cursor_or_breaks_a_line(text: str) -> None:
    image = replace(DOCUMENT.assessment.image, name=text)
    errors = (text, "日本語" * 40)

    for line in summary(replace(DOCUMENT.assessment, image=image, errors=errors), DOCUMENT.verdict):
        assert "\x1b" not in line.text
        assert len(line.text.splitlines()) <= 1
