"""The assessment as JSON: the one report from which every other can be made again."""

from __future__ import annotations

from imagetest.model.assessment import Assessment, Verdict
from imagetest.model.codec import Document, encode


class DocumentReporter:
    """Writes the whole assessment and its verdict, for machines."""

    filename = "assessment.json"

    def render(self, assessment: Assessment, verdict: Verdict) -> bytes:
        """Return the document as JSON."""
        return encode(Document(assessment=assessment, verdict=verdict))
