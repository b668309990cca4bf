"""The page over several images of one run: which are open, which are not and why, and the way to each report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from imagetest.model.assessment import Assessment, Verdict
from imagetest.policy.coverage import Counts, measure
from imagetest.reporters.html import environment

FILENAME = "report.html"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One image that was judged."""

    assessment: Assessment
    verdict: Verdict
    link: str
    """The address of its own report, from this page."""

    @property
    def total(self) -> Counts:
        """Return its controls by status."""
        return measure(self.assessment, self.verdict).total


def page(run: str, rows: Iterable[Row], lost: Mapping[str, str]) -> bytes:
    """Return the page; `lost` says of each image that could not be judged why not."""
    template = environment().get_template("overview_page.html")
    return template.render(run=run, rows=tuple(rows), lost=tuple(lost.items())).encode()
