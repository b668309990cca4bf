"""What a real browser makes of the page: on a desk, on a phone, in the dark and on paper."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagetest.reporters.html import HtmlReporter
from tests.reporters.chromium import PROGRAM, Page, browse
from tests.reporters.regenerate import load

pytestmark = [pytest.mark.browser, pytest.mark.skipif(PROGRAM is None, reason="no Chromium is installed")]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """Return the canonical report in a browser; one launch for all tests."""
    document = load()
    report = tmp_path_factory.mktemp("report") / "report.html"
    report.write_bytes(HtmlReporter().render(document.assessment, document.verdict))
    with browse() as opened:
        opened.open(report)
        yield opened


@pytest.mark.parametrize("width", [320, 390, 768, 1400])
def test_nothing_has_to_be_scrolled_sideways(page: Page, width: int) -> None:
    page.look_like(width=width)
    page.value("document.querySelectorAll('details').forEach(one => one.open = true)")

    assert page.value("document.documentElement.scrollWidth") <= width


def test_following_a_link_to_a_control_unfolds_its_evidence(page: Page) -> None:
    unfolded = "document.getElementById('control-boot-ready').parentElement.open"
    page.value("document.querySelectorAll('details').forEach(one => one.open = false)")
    before = page.value(unfolded)
    page.value("document.querySelector('a[href=\"#control-boot-ready\"]').click()")

    assert before is False
    assert page.value(unfolded) is True


def test_the_parity_says_first_how_much_then_what(page: Page) -> None:
    page.look_like(width=1300)
    top = "document.querySelector({!r}).getBoundingClientRect().top"
    tiles, odd, machines, folded = (
        page.value(top.format(f"#parity .parity {part}")) for part in (".tiles", ".sides", ".machines", ".fold")
    )
    row = (
        "[...document.querySelectorAll('#parity .sides tbody tr')].find(one => one.innerText.includes('eve')).innerText"
    )

    assert tiles < odd < machines < folded
    assert page.value("document.querySelector('#parity .tiles .failed b').innerText") == "9"
    assert page.value(row).split("\t")[-1] == "uid 0, shell /bin/bash"
    assert page.value("document.querySelector('#parity .tiles').getBoundingClientRect().width") > 500
    assert "web4" in page.value("document.querySelector('#parity h3').innerText")


def test_what_a_check_compared_stands_beside_it(page: Page) -> None:
    said = page.value("document.querySelector('.check .drift').textContent")

    assert "photoapp" in said
    assert "throwaway 2" in said
    assert "/var/lib/photoapp/id" in said


def test_dark_and_light_differ(page: Page) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    page.look_like(width=1000, scheme="light")
    light = page.value(background)
    page.look_like(width=1000, scheme="dark")

    assert page.value(background) != light


def test_evidence_never_became_an_element(page: Page) -> None:
    assert page.value("document.scripts.length") == 0
    assert page.value("document.images.length") == 0
    assert page.value("document.title").startswith("photoapp: gate closed")


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="pdftotext is not installed")
def test_paper_shows_what_the_screen_has_folded(page: Page, tmp_path: Path) -> None:
    page.look_like(width=1000, scheme="dark")
    page.value("document.querySelectorAll('details').forEach(one => one.open = false)")
    printed = tmp_path / "report.pdf"
    printed.write_bytes(page.pdf())
    text = subprocess.run(["pdftotext", "-layout", printed, "-"], check=True, capture_output=True, text=True).stdout

    assert '{"status":"ok","version":"2.7.1"}' in text  # stdout of a check that passed
    assert "listenaddress 0.0.0.0:22" in text
    assert "variable photoapp_version" in text  # an input of the bake
    assert "␛[31mred" in text or "[31mred" in text
    assert "does not print folded evidence" not in text
