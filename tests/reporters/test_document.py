"""The JSON document is the codec's, and nothing is lost in it."""

from __future__ import annotations

from imagetest.model.codec import decode
from imagetest.ports import Reporter
from imagetest.reporters.document import DocumentReporter
from tests.reporters.regenerate import DATA, load


def test_the_document_is_byte_for_byte_the_one_that_was_read() -> None:
    reporter: Reporter = DocumentReporter()
    document = load()

    assert reporter.render(document.assessment, document.verdict) == (DATA / "assessment.json").read_bytes()


def test_the_document_reads_back_to_the_same_assessment_and_verdict() -> None:
    document = load("photoapp.json")

    assert decode(DocumentReporter().render(document.assessment, document.verdict)) == document
