"""What is attested of a file: that just this was tested, and with what outcome, as in-toto's tools read it."""

from __future__ import annotations

import hashlib
import json

from imagetest.model.assessment import Verdict
from imagetest.model.codec import Document, decode
from imagetest.model.finding import Status
from imagetest.policy.coverage import Coverage, measure

STATEMENT = "https://in-toto.io/Statement/v1"
"""The format, of which this is not an envelope: nobody has signed it."""

TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"
"""The predicate (https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md)."""


def statement(document: bytes, *, name: str, sha256: str, assessment: str) -> bytes:
    """Return a statement of a file by its name and checksum, over the assessment's document, by its own name.

    Raises DocumentError when the document cannot be read.
    """
    read = decode(document, origin=assessment)
    said = {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": sha256}}],
        "predicateType": TEST_RESULT,
        "predicate": _predicate(read, {"name": assessment, "digest": {"sha256": hashlib.sha256(document).hexdigest()}}),
    }
    return json.dumps(said, indent=2).encode() + b"\n"


def _predicate(read: Document, configuration: dict[str, object]) -> dict[str, object]:
    coverage = measure(read.assessment, read.verdict)
    return {
        "result": _result(coverage, read.verdict),
        "configuration": [configuration],
        "passedTests": sorted(row.finding.control_id for row in coverage.with_status(Status.PASSED)),
        "warnedTests": sorted(row.finding.control_id for row in coverage.excused),
        "failedTests": sorted(row.finding.control_id for row in coverage.failing if not row.excused),
    }


def _result(coverage: Coverage, verdict: Verdict) -> str:
    if not verdict.open:
        return "FAILED"
    return "WARNED" if coverage.excused else "PASSED"
