"""A gate of today judges the other cells of a matrix as it judges the image: by what was found, not what was said."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from imagetest.model.assessment import Assessment, Sibling, Verdict
from imagetest.model.codec import Document, encode
from imagetest.model.control import Severity
from imagetest.model.finding import Status
from imagetest.model.promotion import Promotion
from imagetest.pipeline.judge_again import judge_again
from imagetest.policy.gate import ALL, Gate
from tests.nouns import NOW, found, judged, waiver

STRICT = Gate(name="strict", matrix=frozenset({ALL}))
LENIENT = replace(STRICT, name="lenient", tolerate=frozenset({Severity.MEDIUM}))


class Book:
    """A registry that holds some assessments by their ids."""

    def __init__(self, *held: Assessment) -> None:
        verdict = Verdict(gate="lenient", objections=(), decided=NOW)
        self._held = {one.id: encode(Document(assessment=one, verdict=verdict)) for one in held}

    def check(self) -> None:
        return

    def record(self, assessment: Assessment, verdict: Verdict, document: bytes) -> None:
        del verdict
        self._held[assessment.id] = document

    def document(self, key: str) -> bytes | None:
        return self._held.get(key)

    def promote(self, promotion: Promotion) -> Promotion:
        return promotion

    def history(self, channel: str | None = None) -> tuple[Promotion, ...]:
        del channel
        return ()


def cell(name: str, status: Status = Status.PASSED) -> Assessment:
    plain = judged(found("a", status))
    image = replace(plain.image, name=f"web.{name}", digest="sha256:" + name[0] * 64)
    return replace(plain, id=f"run-web.{name}", image=image, cell=name)


def sibling(of: Assessment, **said: object) -> Sibling:
    return replace(Sibling(name=of.image.name, cell=of.cell, digest=of.image.digest), **said)  # type: ignore[arg-type]


BIOS, UEFI = cell("bios"), cell("uefi", Status.FAILED)


def objections(mine: Assessment, chosen: Gate, *held: Assessment) -> list[str]:
    _, verdict = judge_again(mine, chosen, Book(*held), now=NOW)
    return [f"{one.rule}: {one.message}" for one in verdict.objections]


def test_a_cell_that_was_open_under_a_lenient_gate_is_closed_under_a_strict_one() -> None:
    mine = replace(BIOS, siblings=(sibling(UEFI),))

    assert objections(mine, LENIENT, UEFI) == []
    assert objections(mine, STRICT, UEFI) == [
        "required-cells-are-open: web.uefi is closed: a: failed",
    ]


def test_a_cell_that_was_closed_under_a_strict_gate_is_open_under_a_lenient_one() -> None:
    mine = replace(BIOS, siblings=(sibling(UEFI, objections=1, reason="a: failed"),))

    assert objections(mine, LENIENT, UEFI) == []


def test_a_cells_waivers_are_those_of_today() -> None:
    mine, waived = replace(BIOS, siblings=(sibling(UEFI),)), replace(STRICT, waivers=(waiver("a"),))
    _, verdict = judge_again(mine, waived, Book(UEFI), now=NOW)
    _, later = judge_again(mine, waived, Book(UEFI), now=NOW + timedelta(days=9))

    assert verdict.open
    assert not later.open


@pytest.mark.parametrize(
    ("held", "said"),
    [((), "is not in the registry"), ((replace(UEFI, image=BIOS.image),), "is of another image")],
    ids=["nothing", "another"],
)
def test_a_cell_of_which_nothing_fitting_is_recorded_is_closed(held: tuple[Assessment, ...], said: str) -> None:
    mine = replace(BIOS, siblings=(sibling(UEFI),))
    (objection,) = objections(mine, LENIENT, *held)

    assert said in objection


def test_a_cell_that_could_not_be_judged_stays_closed() -> None:
    mine = replace(BIOS, siblings=(sibling(UEFI, digest="", objections=1, reason="it did not boot"),))

    assert objections(mine, LENIENT, UEFI) == ["required-cells-are-open: web.uefi is closed: it did not boot"]
