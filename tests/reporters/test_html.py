"""The page is one file, needs nothing from outside, and says everything that an auditor asks."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from itertools import pairwise

import pytest
from lxml import etree  # type: ignore[import-untyped]
from lxml import html as lxml_html

from imagetest.model.assessment import Assessment, Verdict
from imagetest.model.control import Profile
from imagetest.model.finding import Check, Status
from imagetest.ports import Reporter
from imagetest.reporters.html import HtmlReporter
from imagetest.reporters.text import WORDS, readable
from tests.reporters.regenerate import load

DOCUMENT = load()
ASSESSMENT, VERDICT = DOCUMENT.assessment, DOCUMENT.verdict


def page_of(assessment: Assessment = ASSESSMENT, verdict: Verdict = VERDICT) -> str:
    reporter: Reporter = HtmlReporter()
    return reporter.render(assessment, verdict).decode()


PAGE = page_of()
TREE = lxml_html.document_fromstring(PAGE)


def text_of(selector: str, tree: etree._Element = TREE) -> str:
    return " ".join(" ".join(" ".join(one.itertext()) for one in tree.xpath(selector)).split())


def test_the_page_refers_to_nothing_outside_itself() -> None:
    for name in ("href", "src", "srcset", "data", "action", "poster", "background", "formaction", "ping"):
        for value in TREE.xpath(f"//@{name}"):
            assert value.startswith("#") or value == "data:,", value
    style = text_of("//style")

    assert "url(" not in style
    assert "@import" not in style


def test_the_page_has_no_script_and_forbids_any() -> None:
    assert not TREE.xpath("//script | //iframe | //object | //embed | //form | //img | //svg | //base")
    assert not [name for one in TREE.iter(etree.Element) for name in one.attrib if name.startswith("on")]
    assert "default-src 'none'" in TREE.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")[0]


def test_every_link_leads_somewhere_and_no_address_is_given_twice() -> None:
    addresses = TREE.xpath("//@id")

    assert len(set(addresses)) == len(addresses)
    assert {href[1:] for href in TREE.xpath("//a/@href")} <= set(addresses)


def test_headings_descend_without_a_gap() -> None:
    levels = [int(one.tag[1]) for one in TREE.xpath("//h1 | //h2 | //h3 | //h4 | //h5 | //h6")]

    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_the_page_can_be_read_by_a_machine_that_reads_aloud() -> None:
    assert TREE.get("lang") == "en"
    assert TREE.xpath("//a[@class='skip']/@href") == ["#content"]
    assert not TREE.xpath("//table[not(thead//th[@scope='col'])]")
    for section in TREE.xpath("//section"):
        assert TREE.xpath(f"//h2[@id='{section.get('aria-labelledby')}']")


def test_a_status_is_always_a_word() -> None:
    words = {one.text_content().strip() for one in TREE.xpath("//*[contains(concat(' ', @class, ' '), ' st ')]")}
    plain = {word.partition(":")[0] for word in words}

    assert plain - {"alike", "not alike", "odd one out", "not read"} == set(WORDS.values())
    assert "not alike: web2, web3, web4 of 4" in words


def test_a_parity_names_what_nobody_explains_before_what_is_allowed() -> None:
    article = text_of("(//article[@class='parity'])[1]")
    places = [
        article.index(one)
        for one in (
            "9 differ, unexplained", "cannot reach 'web4'", "account eve photoapp: (absent)",
            "web3 does not tell files /etc/ssl/private/", "odd one out", "allowed to differ", "maria@example.org",
            "matched nothing", "until all hosts have chrony",
        )
    ]  # fmt: skip

    assert places == sorted(places)


def test_what_one_check_compared_stands_with_its_evidence() -> None:
    drift = " ".join(TREE.xpath("//article[@class='check']/div[@class='drift']")[0].text_content().split())

    assert "photoapp and throwaway 2: 82 facts compared, 81 equal, 0 allowed, 1 unexplained" in drift


def test_without_parity_there_is_no_section_of_it() -> None:
    bare = page_of(replace(ASSESSMENT, parities=()))

    assert 'href="#parity"' not in bare
    assert 'id="parity"' not in bare


def test_the_verdict_and_its_objections_come_first() -> None:
    sections = TREE.xpath("//section/@id")
    verdict = text_of("//section[@id='verdict']")

    assert sections[0] == "verdict"
    assert "Gate closed 8 objections" in verdict
    for objection in VERDICT.objections:
        assert " ".join(objection.message.split()) in verdict
        assert objection.rule in verdict
    assert "No module named '<frobnicate>'" in text_of("//ol[contains(@class, 'errors')]")


def test_an_open_gate_says_so() -> None:
    tree = lxml_html.document_fromstring(page_of(verdict=replace(VERDICT, objections=())))

    assert "Gate open Nothing objects" in text_of("//section[@id='verdict']", tree)


def test_what_is_waived_keeps_its_status_and_names_who_approved_it_until_when() -> None:
    excused = text_of("//section[@id='excused']")

    assert "failed no-setuid-surprises medium" in excused
    assert "Waived · approved by R. Okafor, security · until the end of 2026-12-31 UTC" in excused
    assert "Tolerated" in excused
    assert "expired-waiver" not in excused
    assert "Waiver not in force" in text_of("//details[div/@id='control-expired-waiver']")


def test_what_nobody_evaluated_is_listed_with_its_reason() -> None:
    unseen = text_of("//section[@id='unseen']")

    assert "never-heard-of unrated required no finding was recorded" in unseen
    assert "systemd-detect-virt says docker" in unseen


def test_the_page_says_what_the_image_is_and_how_it_was_made_and_booted() -> None:
    bake, boot = ASSESSMENT.bake, ASSESSMENT.boot
    assert bake
    assert boot
    image_text, bake_text, boot_text = (text_of(f"//section[@id='{name}']") for name in ("image", "bake", "boot"))

    for value in (
        ASSESSMENT.image.digest,
        ASSESSMENT.image.reference,
        "linux/amd64",
        "187.4 MB",
        "2026-11-02 14:03:34",
    ):
        assert value in image_text
    for value in (bake.base, bake.commit, bake.key, bake.log, bake.unknown[0], "packer 1.14.2", "Reused", "1 min 23 s"):
        assert value in bake_text
    for known in bake.inputs:
        assert f"{known.name} {known.digest}" in bake_text
    for value in (boot.host_key_fingerprint, "systemd", "the SSH server that imagetest brings", boot.notes[0]):
        assert value in boot_text


def test_the_page_says_what_it_does_not_know() -> None:
    tree = lxml_html.document_fromstring(page_of(replace(ASSESSMENT, bake=None, boot=None)))

    assert "How this image was made is not recorded" in text_of("//section[@id='bake']", tree)
    assert "No machine was booted" in text_of("//section[@id='boot']", tree)


def test_every_piece_of_evidence_stands_escaped_under_its_control() -> None:
    shown = TREE.xpath("string(//main)")

    for check in ASSESSMENT.checks:
        assert readable(check.detail) in shown
        for command in check.commands:
            for output in (command.stdout, command.stderr):
                assert readable(output.text) in shown
                assert output.sha256 in shown
    assert "</code></pre></details></main></body></html><script>alert(3)</script>" in shown
    assert "␛[31mred␛[0m␇␀" in shown
    assert "<U+202E>gnp.exe" in shown
    assert "\x1b" not in PAGE


def test_a_truncated_output_and_a_missing_exit_code_are_marked() -> None:
    assert "stdout 338.4 kB sha256" in text_of("//details[contains(., 'big.log')]")
    assert "truncated" in text_of("//strong[@class='cut']")
    assert "no exit code · 30.0 s" in text_of("//details[div/@id='control-kernel-hardening']")


def test_a_command_is_shown_with_its_machine_its_exit_code_and_its_times() -> None:
    commands = text_of("//details[div/@id='control-no-cloud-credentials']//details")

    assert "exit 1 · 3.9 s started 2026-11-03 14:03:51 UTC · on the image at rest" in commands


def test_evidence_that_two_controls_rest_on_is_written_once() -> None:
    findings = tuple(
        replace(one, checks=(*one.checks, "suites/boot/test_boot.py::test_the_service_answers"))
        if one.control_id == "logs-persist"
        else one
        for one in ASSESSMENT.findings
    )
    tree = lxml_html.document_fromstring(page_of(replace(ASSESSMENT, findings=findings)))

    assert "its evidence stands under boot-ready" in text_of("//details[div/@id='control-logs-persist']", tree)


def test_evidence_that_is_missing_or_belongs_to_no_finding_is_pointed_out() -> None:
    assert "suites/lost/test_lost.py::test_lost , which was not recorded" in text_of("//details").replace(
        "lost,", "lost ,"
    )
    assert "A skipped test that no finding rests on." in text_of("//section[@id='controls']/article")


def test_each_framework_lists_reference_control_and_status() -> None:
    frameworks = text_of("//section[@id='frameworks']")

    assert "NIST SP 800-53 Rev. 5" in frameworks
    assert "IA-5 SSH accepts keys only sshd-no-passwords failed" in frameworks


def test_failures_are_unfolded_and_what_passed_is_folded() -> None:
    unfolded = set(TREE.xpath("//details[@class='control' and @open]/div/@id"))

    assert "control-sshd-no-passwords" in unfolded
    assert "control-boot-ready" not in unfolded
    assert "control-no-setuid-surprises" not in unfolded


def test_the_run_names_its_operator_its_command_line_its_tools_and_phases() -> None:
    run = text_of("//section[@id='run']")

    for value in (ASSESSMENT.operator, ASSESSMENT.invocation, ASSESSMENT.id, "2026-11-03 14:02:11 UTC", "pytest 9.2.0"):
        assert value in run
    assert "check 16.2 s" in run


def test_an_assessment_of_nothing_is_still_a_page() -> None:
    empty = page_of(replace(ASSESSMENT, controls=(), findings=(), checks=(), profile=Profile(name="")))

    assert "No control refers to a framework" in empty
    assert "Gate <code>default</code>, decided" in empty


@pytest.mark.parametrize("colours", range(2), ids=["light", "dark"])
def test_every_status_can_be_read_on_its_background(colours: int) -> None:
    style = TREE.xpath("string(//style)")
    block = re.findall(r":root \{([^}]*--paper[^}]*)\}", style)[colours]
    values = dict(re.findall(r"--(\w+(?:-wash)?): (#\w+)", block))

    for name in ("passed", "failed", "error", "not_reviewed", "not_applicable"):
        assert contrast(values[name], values["paper"]) >= 4.5, name
        assert contrast(values[name], values[f"{name}-wash"]) >= 4.5, name
    for name in ("soft", "link", "ink"):
        assert contrast(values[name], values["paper"]) >= 4.5, name
        assert contrast(values[name], values["wash"]) >= 4.5, name


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours as WCAG 2 defines it."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_a_thousand_checks_with_three_thousand_commands_stay_small_and_quick() -> None:
    command = next(check.commands[0] for check in ASSESSMENT.checks if "sshd" in check.id)
    checks = tuple(
        Check(id=f"suites/x.py::test_{n}", title="One of many.", status=Status.PASSED, commands=(command,) * 3)
        for n in range(1000)
    )
    controls = tuple(replace(ASSESSMENT.controls[0], id=f"c{n}") for n in range(1000))
    findings = tuple(
        replace(ASSESSMENT.findings[0], control_id=f"c{n}", checks=(check.id,)) for n, check in enumerate(checks)
    )
    many = replace(ASSESSMENT, checks=checks, controls=controls, findings=findings)

    started = time.perf_counter()
    page = page_of(many)

    assert len(page) < 5_000_000
    assert time.perf_counter() - started < 5
