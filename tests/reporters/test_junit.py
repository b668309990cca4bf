"""The JUnit file is valid, names its subject, and is never green when the gate is closed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from lxml import etree  # type: ignore[import-untyped]

from imagetest.model.assessment import Assessment, Verdict
from imagetest.ports import Reporter
from imagetest.reporters.junit import JunitReporter
from tests.reporters.regenerate import load

DOCUMENT = load()
PLAUSIBLE = load("photoapp.json")

SCHEMA = """
<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">
  <!-- what consumers of the format agree on; notably no properties in a test case -->
  <xs:simpleType name="seconds"><xs:restriction base="xs:string"><xs:pattern value="[0-9]+\\.[0-9]{3}"/>
  </xs:restriction></xs:simpleType>
  <xs:complexType name="conclusion"><xs:simpleContent><xs:extension base="xs:string">
    <xs:attribute name="type" use="required"/><xs:attribute name="message" use="required"/>
  </xs:extension></xs:simpleContent></xs:complexType>
  <xs:element name="testsuites"><xs:complexType><xs:sequence>
    <xs:element name="testsuite" maxOccurs="unbounded"><xs:complexType><xs:sequence>
      <xs:element name="properties"><xs:complexType><xs:sequence>
        <xs:element name="property" minOccurs="0" maxOccurs="unbounded"><xs:complexType>
          <xs:attribute name="name" use="required"/><xs:attribute name="value" use="required"/>
        </xs:complexType></xs:element>
      </xs:sequence></xs:complexType></xs:element>
      <xs:element name="testcase" minOccurs="0" maxOccurs="unbounded"><xs:complexType><xs:sequence>
        <xs:choice minOccurs="0">
          <xs:element name="skipped" type="conclusion"/>
          <xs:element name="error" type="conclusion"/>
          <xs:element name="failure" type="conclusion"/>
        </xs:choice>
        <xs:element name="system-out" type="xs:string" minOccurs="0"/>
      </xs:sequence>
        <xs:attribute name="name" use="required"/><xs:attribute name="classname" use="required"/>
        <xs:attribute name="time" type="seconds" use="required"/>
      </xs:complexType></xs:element>
    </xs:sequence>
      <xs:attribute name="name" use="required"/>
      <xs:attribute name="tests" type="xs:nonNegativeInteger" use="required"/>
      <xs:attribute name="failures" type="xs:nonNegativeInteger" use="required"/>
      <xs:attribute name="errors" type="xs:nonNegativeInteger" use="required"/>
      <xs:attribute name="skipped" type="xs:nonNegativeInteger" use="required"/>
      <xs:attribute name="time" type="seconds" use="required"/>
      <xs:attribute name="timestamp" type="xs:dateTime" use="required"/>
      <xs:attribute name="hostname" use="required"/><xs:attribute name="id"/>
    </xs:complexType></xs:element>
  </xs:sequence></xs:complexType></xs:element>
</xs:schema>
"""


def suite_of(assessment: Assessment, verdict: Verdict) -> etree._Element:
    reporter: Reporter = JunitReporter()
    return etree.fromstring(reporter.render(assessment, verdict)).find("testsuite")


def case_of(suite: etree._Element, name: str) -> etree._Element:
    (case,) = [one for one in suite.iter("testcase") if name in one.get("name")]
    return case


@pytest.mark.parametrize("document", [DOCUMENT, PLAUSIBLE], ids=["everything", "plausible"])
def test_the_file_is_valid(document: object) -> None:
    assert isinstance(document, type(DOCUMENT))
    schema = etree.XMLSchema(etree.fromstring(SCHEMA))

    schema.assertValid(etree.fromstring(JunitReporter().render(document.assessment, document.verdict)))


def test_the_suite_names_its_subject_and_counts_its_cases() -> None:
    suite = suite_of(DOCUMENT.assessment, DOCUMENT.verdict)
    properties = {one.get("name"): one.get("value") for one in suite.iter("property")}

    assert suite.get("name") == "photoapp"
    assert suite.get("hostname") == "ci-runner-07"
    assert suite.get("timestamp") == "2026-11-03T14:02:11+00:00"
    assert properties["image.digest"] == DOCUMENT.assessment.image.digest
    assert properties["verdict"] == "closed"
    assert properties["control.sshd-no-passwords"] == "high failed"
    assert properties["control.no-setuid-surprises"] == "medium failed waived by R. Okafor, security until 2026-12-31"
    assert int(suite.get("tests")) == len(list(suite.iter("testcase")))
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        assert int(suite.get(attribute)) == len(list(suite.iter(tag)))


def test_every_check_has_one_case_with_its_controls_and_commands() -> None:
    suite = suite_of(PLAUSIBLE.assessment, PLAUSIBLE.verdict)
    names = [(case.get("classname"), case.get("name")) for case in suite.iter("testcase")]
    case = case_of(suite, "test_passwords_are_not_accepted")

    assert len(set(names)) == len(names) == len(PLAUSIBLE.assessment.checks) + 1
    assert case.get("classname") == "suites.ssh.test_sshd"
    assert case.get("name") == "test_passwords_are_not_accepted [photoapp]"
    assert case.find("failure").get("message") == "sshd accepts passwords"
    assert "AssertionError" in case.find("failure").text
    assert "control sshd-no-passwords severity high status failed" in case.find("system-out").text
    assert "$ sshd -T  # exit 0" in case.find("system-out").text


def test_each_status_is_told_as_consumers_understand_it() -> None:
    suite = suite_of(DOCUMENT.assessment, DOCUMENT.verdict)

    assert case_of(suite, "test_parameters").find("error").get("type") == "error"
    assert case_of(suite, "test_clock_is_synchronised").find("skipped").get("type") == "not_applicable"
    assert "systemd-detect-virt" in case_of(suite, "test_clock_is_synchronised").find("skipped").get("message")
    assert case_of(suite, "test_skipped").find("skipped").get("type") == "not_reviewed"
    assert case_of(suite, "test_journal_is_persistent").find("failure") is None


def test_a_waived_failure_is_still_a_failure_and_names_its_waiver() -> None:
    suite = suite_of(DOCUMENT.assessment, DOCUMENT.verdict)
    message = case_of(suite, "test_setuid_programs").find("failure").get("message")

    assert "no-setuid-surprises: waived by R. Okafor, security until 2026-12-31" in message


def test_a_required_control_that_nobody_evaluated_has_a_case_of_its_own() -> None:
    suite = suite_of(DOCUMENT.assessment, DOCUMENT.verdict)

    assert case_of(suite, "never-heard-of").find("skipped").get("message") == "no finding was recorded"


def test_a_closed_gate_fails_and_lists_its_objections() -> None:
    gate = case_of(suite_of(DOCUMENT.assessment, DOCUMENT.verdict), "gate")
    failure = gate.find("failure")

    assert failure.get("message") == "gate 'default' is closed: 8 objections"
    assert len(failure.text.splitlines()) == 9  # one of the messages has two lines
    assert "no-control-failed sshd-no-passwords: failed: sshd accepts passwords" in failure.text


def test_a_closed_gate_fails_even_when_every_check_passed() -> None:
    checks = tuple(check for check in DOCUMENT.assessment.checks if check.status.value == "passed")
    suite = suite_of(replace(DOCUMENT.assessment, checks=checks, errors=()), DOCUMENT.verdict)

    assert case_of(suite, "gate").find("failure") is not None


def test_an_open_gate_passes() -> None:
    gate = case_of(suite_of(DOCUMENT.assessment, replace(DOCUMENT.verdict, objections=())), "gate")

    assert len(gate) == 0


def test_errors_of_the_run_are_errors() -> None:
    error = case_of(suite_of(DOCUMENT.assessment, DOCUMENT.verdict), "run error 1").find("error")

    assert error.get("message") == "suites/broken/test_broken.py could not be collected:"
    assert "<frobnicate>" in error.text


def test_an_instance_that_was_taken_over_is_told_as_such() -> None:
    assessment, verdict = PLAUSIBLE.assessment, PLAUSIBLE.verdict
    assert assessment.boot is not None
    taken = replace(assessment, boot=replace(assessment.boot, taken_over_from="run-of-before"))

    properties = {one.get("name"): one.get("value") for one in suite_of(taken, verdict).iter("property")}
    assert properties["boot.taken-over-from"] == "run-of-before"
    assert b"taken-over" not in JunitReporter().render(assessment, verdict)
