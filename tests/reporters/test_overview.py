"""The page over several images of one run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lxml import html  # type: ignore[import-untyped]

from imagetest.model.assessment import Objection, Sibling
from imagetest.model.codec import decode
from imagetest.reporters.html import HtmlReporter
from imagetest.reporters.overview import Row, page

DATA = Path(__file__).parents[1] / "data"
GOOD = decode((DATA / "photoapp.json").read_bytes())
OPEN = replace(GOOD.verdict, objections=())
CLOSED = replace(OPEN, objections=(Objection(rule="no-control-failed", control_id="a-b", message="<b>odd</b>"),))


def cells(content: bytes) -> list[list[str]]:
    rows = html.fromstring(content.decode()).xpath("//table//tr")
    return [[str(cell.text_content()).strip() for cell in row] for row in rows][1:]


def test_what_is_closed_stands_first_and_leads_to_its_report() -> None:
    other = replace(GOOD.assessment, image=replace(GOOD.assessment.image, name="web.uefi"))
    rows = [
        Row(assessment=GOOD.assessment, verdict=OPEN, link="photoapp/report.html"),
        Row(assessment=other, verdict=CLOSED, link="web.uefi/report.html"),
    ]
    content = page("20261123-1", rows, {"web.bios": "it did not come up"})
    found = cells(content)

    assert [row[:2] for row in found] == [["web.uefi", "closed"], ["photoapp", "open"], ["web.bios", "not judged"]]
    assert found[0][-1] == "a-b <b>odd</b>"
    assert found[2][-1] == "it did not come up"
    assert html.fromstring(content.decode()).xpath("//table//a/@href") == [
        "web.uefi/report.html",
        "photoapp/report.html",
    ]
    assert "Not all gates open" in content.decode()
    assert "1 open, 1 closed, 1 could not be judged" in content.decode()


def test_all_open_is_said_only_when_all_are() -> None:
    row = Row(assessment=GOOD.assessment, verdict=OPEN, link="photoapp/report.html")

    assert "All gates open" in page("1", [row], {}).decode()
    assert "Not all gates open" in page("1", [row], {"web": "it was not there"}).decode()
    assert "Not all gates open" in page("1", [], {}).decode()


def test_a_report_tells_of_the_other_cells() -> None:
    sibling = Sibling(name="web.uefi", cell="uefi", objections=3, reason="it did not come up")
    content = HtmlReporter().render(replace(GOOD.assessment, siblings=(sibling,)), OPEN).decode()

    assert "The other cells of its matrix" in content
    assert "it did not come up (2 more)" in content
    assert "The other cells" not in HtmlReporter().render(GOOD.assessment, OPEN).decode()
