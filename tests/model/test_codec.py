"""Documents: nothing is lost on the way to disk and back, and nothing else is taken for one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imagetest.errors import DocumentError
from imagetest.model.assessment import Assessment, Verdict
from imagetest.model.codec import FORMAT, Document, decode, encode
from imagetest.model.finding import Check, Status
from imagetest.model.text import cleaned, legible
from imagetest.policy.coverage import measure
from tests.nouns import ASSESSMENTS, NOW, VERDICTS, found, judged

DATA = Path(__file__).parents[1] / "data"
VERDICT = Verdict(gate="default", objections=(), decided=NOW)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(assessment=ASSESSMENTS, verdict=VERDICTS)
def test_a_document_comes_back_as_it_was(assessment: Assessment, verdict: Verdict) -> None:
    document = Document(assessment=assessment, verdict=verdict)

    assert decode(encode(document)) == document
    assert encode(decode(encode(document))) == encode(document)


@pytest.mark.parametrize("name", ["assessment.json", "assessment-first.json", "photoapp.json"])
def test_documents_of_earlier_versions_still_load(name: str) -> None:
    document = decode((DATA / name).read_bytes(), origin=name)

    assert document.format == FORMAT
    assert measure(document.assessment, document.verdict).total.total > 0


def plain() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(encode(Document(assessment=judged(found("a")), verdict=VERDICT)))
    return document


def test_a_field_that_a_later_version_added_is_no_mistake() -> None:
    document = plain()
    document["assessment"]["weather"] = "fine"

    assert decode(json.dumps(document).encode()).assessment == judged(found("a"))


@pytest.mark.parametrize("named", ["imagetest/assessment/2", "", None, 1])
def test_a_format_that_is_not_known_is_refused(named: object) -> None:
    with pytest.raises(DocumentError, match="expected 'imagetest/assessment/1'"):
        decode(json.dumps({**plain(), "format": named}).encode(), origin="x.json")


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"nonsense", b"\xff\xfe", b"[" * 100_000, encode(Document(assessment=judged(), verdict=VERDICT))[:-20]],
)
def test_what_is_no_json_is_refused(data: bytes) -> None:
    with pytest.raises(DocumentError, match=r"x\.json is not JSON"):
        decode(data, origin="x.json")


@pytest.mark.parametrize("data", [b"[]", b"1", b'"text"', b"null", b"{}"])
def test_json_that_is_no_document_is_refused(data: bytes) -> None:
    with pytest.raises(DocumentError, match="format None"):
        decode(data)


@pytest.mark.parametrize(
    "place",
    [("assessment",), ("assessment", "id"), ("assessment", "image", "digest"), ("assessment", "started"), ("verdict",),
     ("assessment", "findings", 0, "status"), ("verdict", "objections")],
)  # fmt: skip
@pytest.mark.parametrize("wrong", ["drop", 7, "nonsense"])
def test_a_field_that_is_missing_or_of_the_wrong_type_is_refused(place: tuple[Any, ...], wrong: object) -> None:
    document = plain()
    node: Any = document
    for part in place[:-1]:
        node = node[part]
    if wrong == "drop":
        del node[place[-1]]
    else:
        node[place[-1]] = wrong
    if place[-1] in {"id", "digest"} and wrong == "nonsense":
        return  # a text where a text belongs

    with pytest.raises(DocumentError, match="is not a valid assessment"):
        decode(json.dumps(document).encode())


# -- text that is none


@given(st.text(st.characters(), max_size=30))
def test_any_text_can_be_made_legible(text: str) -> None:
    clean = legible(text)

    clean.encode()

    assert legible(clean) == clean
    assert clean == text or any("\ud800" <= one <= "\udfff" for one in text)


def test_a_noun_is_cleaned_through_and_through() -> None:
    strange = "caf\udce9"
    dirty = judged(found(strange, Status.FAILED))
    dirty = type(dirty)(
        id=strange, image=dirty.image, profile=dirty.profile, findings=dirty.findings, errors=(strange,),
        checks=(Check(id="t", status=Status.FAILED, message=strange),), started=NOW, finished=NOW, invocation=strange,
    )  # fmt: skip
    clean = cleaned(dirty)

    assert clean.checks[0].message == clean.errors[0] == clean.findings[0].control_id == r"caf\udce9"
    assert decode(encode(Document(assessment=clean, verdict=VERDICT))).assessment == clean


def test_a_clean_noun_stays_the_very_same() -> None:
    assessment = judged(found("a"))

    assert cleaned(assessment) is assessment
