"""How the machines of a check's own came up stands beside its finding."""

from __future__ import annotations

from dataclasses import replace

from lxml import html as lxml_html  # type: ignore[import-untyped]

from imagetest.model.instance import Attempt, Boot, Moment
from imagetest.reporters.html import HtmlReporter
from tests.reporters.regenerate import load

BOOT = Boot(
    driver="docker", ready_seconds=1.5, reachable_seconds=0.25, notes=("nothing <b>outside</b> could be reached",),
    timeline=(Moment(name="ssh.service", seconds=0.278), Moment(name="ready", seconds=1.5)),
    attempts=(Attempt(address="192.0.2.53", protocol="udp", port=53, name="<x>.example.com", times=4),
              Attempt(address="198.51.100.7", protocol="tcp", port=443)),
)  # fmt: skip


def test_the_timeline_and_what_it_tried_to_reach_are_shown() -> None:
    document = load()
    first = replace(document.assessment.checks[0], boots=(BOOT,))
    assessment = replace(document.assessment, checks=(first, *document.assessment.checks[1:]))
    tree = lxml_html.document_fromstring(HtmlReporter().render(assessment, document.verdict).decode())
    (shown,) = tree.xpath("//details[starts-with(normalize-space(summary), 'booted a machine of its own')]")
    text = shown.text_content()

    assert "ready after 1.5 s" in " ".join(text.split())
    assert "nothing <b>outside</b> could be reached" in text
    assert "DNS for <x>.example.com at 192.0.2.53 (4 times)\n198.51.100.7 tcp/443\n" in text
    assert "    0.278 s  ssh.service\n    1.500 s  ready\n" in text


def test_the_console_of_the_machine_under_test_is_folded_evidence() -> None:
    document = load()
    boot = replace(BOOT, driver="qemu", console="Linux version 6.1\n<b>panic</b>")
    page = HtmlReporter().render(replace(document.assessment, boot=boot), document.verdict).decode()
    tree = lxml_html.document_fromstring(page)
    (shown,) = tree.xpath("//details[normalize-space(summary) = '2 lines of its console']/pre")

    assert shown.text_content() == "Linux version 6.1\n<b>panic</b>"
    assert "after it was started" in page
    assert "after process 1 started" not in page
