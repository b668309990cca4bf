"""The report for people: one HTML file that needs nothing from outside and no script."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable

import jinja2

from imagetest.model.assessment import Assessment, Verdict
from imagetest.model.control import Severity
from imagetest.model.drift import Side
from imagetest.model.finding import Status
from imagetest.policy.coverage import Row, elapsed, measure, utc
from imagetest.policy.standing import alike, missing, standing, unallowed, unread_of, unread_words_of, verdict_words
from imagetest.reporters import comparison, text

_ANCHOR = re.compile(r"[a-z][a-z0-9._-]*")
"""Control ids that are their own address within the page."""


class HtmlReporter:
    """Writes a page for an auditor: the verdict first, the evidence folded under each control."""

    filename = "report.html"

    def __init__(self) -> None:
        """Compile the templates, which takes a tenth of a second that whoever makes the reporter may have to spare."""
        self._environment = environment()
        for name in self._environment.list_templates(filter_func=_is_of_the_report):
            self._environment.get_template(name)

    def render(self, assessment: Assessment, verdict: Verdict) -> bytes:
        """Return the page."""
        coverage = measure(assessment, verdict)
        page = self._environment.get_template("report.html").render(
            assessment=assessment,
            verdict=verdict,
            coverage=coverage,
            anchors=_anchors(coverage.rows),
            homes=_homes(coverage.rows),
        )
        return page.encode()


@functools.cache
def environment() -> jinja2.Environment:
    """Return an environment that escapes every value and shows what would otherwise be hidden or obeyed."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("imagetest.reporters"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "moment": text.moment,
        "duration": text.duration,
        "size": text.size,
        "line": text.line,
        "short": text.short,
        "word": text.WORDS.__getitem__,
        "exit_of": text.exit_of,
        "elapsed": lambda phase: text.duration(elapsed(phase.started, phase.finished)),
        "machine_time": lambda value: utc(value).isoformat(timespec="milliseconds"),
    }
    environment.globals |= {
        "STATUSES": tuple(text.WORDS),
        "Status": Status,
        "Severity": Severity,
        "plural": text.plural,
        "Side": Side,
        "alike": alike,
        "difference_words": comparison.difference_words,
        "missing": missing,
        "side_words": comparison.side_words,
        "standing": standing,
        "unallowed": unallowed,
        "unread_of": unread_of,
        "unread_words_of": unread_words_of,
        "verdict_words": verdict_words,
    }
    return environment


def _is_of_the_report(name: str) -> bool:
    return not name.endswith("_page.html")


def _finalize(value: object) -> object:
    return text.readable(value) if type(value) is str else value


def _anchors(rows: Iterable[Row]) -> dict[str, str]:
    """Return the address of each control within the page: its id where that can be one, else its place."""
    return {
        row.control.id: f"control-{row.control.id if _ANCHOR.fullmatch(row.control.id) else number}"
        for number, row in enumerate(rows, start=1)
    }


def _homes(rows: Iterable[Row]) -> dict[str, str]:
    """Return the control under which each check's evidence stands: the first one that rests on it."""
    homes: dict[str, str] = {}
    for row in rows:
        for check in row.checks:
            homes.setdefault(check.id, row.control.id)
    return homes
