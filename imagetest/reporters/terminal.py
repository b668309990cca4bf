"""The one-screen summary at the end of a run, as lines that somebody else colours and prints."""

from __future__ import annotations

import enum
import unicodedata
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from imagetest.model.assessment import Assessment, Verdict
from imagetest.model.finding import Status
from imagetest.policy.coverage import Coverage, Row, measure
from imagetest.policy.standing import standing, verdict_words
from imagetest.reporters.text import WORDS, duration, line, plural, short

AT_MOST = 8
"""How many lines each list of controls or objections may take before it refers to the report."""

NARROWEST = 40
"""A terminal narrower than this is written to as if it were this wide."""


class Style(enum.Enum):
    """What a line means, for whoever chooses its colour."""

    TITLE = "title"
    PLAIN = "plain"
    MUTED = "muted"
    GOOD = "good"
    WARN = "warn"
    BAD = "bad"


class Line(NamedTuple):
    """One line of at most the width asked for."""

    style: Style
    text: str


def summary(assessment: Assessment, verdict: Verdict, *, width: int = 80, report: str = "") -> list[Line]:
    """Return what a person should read first; `report` says where the whole of it lies."""
    coverage = measure(assessment, verdict)
    cut = [
        *_subject(assessment),
        Line(Style.PLAIN, f"  {'controls':9} {_counts(coverage)}"),
        *_some(_failing(coverage)),
        *_some(_not_reviewed(coverage)),
        *_some(_parities(assessment)),
        *_some(_objections(verdict, coverage, said=assessment.errors)),
        _answer(verdict),
    ]
    # What somebody will copy, or needs in order to act, is never cut.
    whole = [Line(Style.BAD, f"  run error: {error}") for error in assessment.errors]
    whole += [Line(Style.MUTED, f"  report {report}")] if report else []
    fitted = [Line(style, _clip(line(text), max(width, NARROWEST))) for style, text in cut]
    return [*fitted[:-1], *(Line(style, line(text)) for style, text in whole), fitted[-1]]


def _subject(assessment: Assessment) -> Iterator[Line]:
    image, bake, boot = assessment.image, assessment.bake, assessment.boot
    yield Line(Style.TITLE, f"{image.name}  {short(image.digest)}  {image.kind} {image.platform}")
    if bake:
        how = "reused an earlier bake" if bake.reused else "baked for this run"
        yield Line(Style.PLAIN, f"  {'bake':9} {how} (key {short(bake.key) or 'unknown'})")
    if boot and boot.taken_over_from:
        yield Line(Style.WARN, f"  {'boot':9} none: taken over from run {boot.taken_over_from}")
    elif boot:
        yield Line(
            Style.PLAIN, f"  {'boot':9} ready after {duration(boot.ready_seconds)}, reached by {boot.reached_by}"
        )


def _counts(coverage: Coverage) -> str:
    total = coverage.total
    parts = [f"{total.of(status)} {word}" for status, word in WORDS.items() if total.of(status)]
    parts += [
        f"{number} {word}" for number, word in ((total.waived, "waived"), (total.tolerated, "tolerated")) if number
    ]
    return ", ".join(parts) or "none"


def _failing(coverage: Coverage) -> Iterator[Line]:
    for row in coverage.failing:
        head = f"  {WORDS[row.finding.status]:9} {row.control.id} ({row.control.severity.value}{_excuse(row)})"
        yield Line(Style.WARN if row.excused else Style.BAD, f"{head} {row.reason}")


def _excuse(row: Row) -> str:
    waiver = row.finding.waiver
    if row.waived and waiver:
        return f", waived until {waiver.expires} by {waiver.approved_by}"
    if waiver:
        return ", waiver not in force"
    return ", tolerated" if row.tolerated else ""


def _not_reviewed(coverage: Coverage) -> Iterator[Line]:
    for row in coverage.with_status(Status.NOT_REVIEWED):
        need = ", required" if row.required else ""
        about = f"{row.control.id} ({row.control.severity.value}{need}{_excuse(row)})"
        yield Line(Style.WARN, f"  not reviewed {about} {row.reason}")


def _parities(assessment: Assessment) -> Iterator[Line]:
    for one in assessment.parities:
        numbers = standing(one.comparisons)
        unread = f", {numbers.unread:,} not read" if numbers.unread else ""
        counts = (
            f"{numbers.unexplained:,} unexplained, {numbers.allowed:,} allowed{unread} of {numbers.compared:,} facts"
        )
        style = Style.PLAIN if one.holds else Style.BAD
        yield Line(style, f"  {'parity':9} {one.kind.value} {one.name}: {counts}; {verdict_words(one)}")


def _objections(verdict: Verdict, coverage: Coverage, *, said: tuple[str, ...]) -> Iterator[Line]:
    """Yield every objection; a message that stands above already is not said again."""
    reasons = {row.control.id: row.reason for row in coverage.rows}
    for objection in verdict.objections:
        if objection.message in said:
            continue
        about = " ".join(filter(None, (objection.rule, objection.control_id)))
        known = reasons.get(objection.control_id)
        repeated = known and known in objection.message
        yield Line(Style.BAD, f"  objection {about}" + ("" if repeated else f": {objection.message}"))


def _some(lines: Iterable[Line]) -> list[Line]:
    """Return the lines, or the first of them and how many more there are."""
    lines = list(lines)
    if len(lines) <= AT_MOST:
        return lines
    return [*lines[: AT_MOST - 1], Line(Style.MUTED, f"  ... and {len(lines) - AT_MOST + 1} more in the report")]


def _answer(verdict: Verdict) -> Line:
    if verdict.open:
        return Line(Style.GOOD, f"verdict: OPEN (gate {verdict.gate!r})")
    return Line(Style.BAD, f"verdict: CLOSED (gate {verdict.gate!r}), {plural(len(verdict.objections), 'objection')}")


def _clip(text: str, width: int) -> str:
    """Cut the text to so many columns, with a mark where something was cut."""
    used = fits = 0
    for position, character in enumerate(text):
        if used <= width - len("..."):
            fits = position
        used += _columns(character)
        if used > width:
            return text[:fits] + "..."
    return text


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
