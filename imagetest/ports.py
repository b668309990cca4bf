"""The seams: what the use cases ask of the world, as protocols and nothing else."""

from __future__ import annotations

from typing import Protocol

from imagetest.model.assessment import Assessment, Verdict


class Reporter(Protocol):
    """Renders an assessment and its verdict as one file; it decides nothing."""

    filename: str
    """The name of the file, without a folder: `report.html`."""

    def render(self, assessment: Assessment, verdict: Verdict) -> bytes:
        """Return the whole content of the file."""
        ...
