"""The assessment as JUnit XML, in the form that Jenkins, GitLab and pytest's `xunit2` agree on.

The schema allows no properties in a test case: a case names its controls in its output, and the suite has a property
for each control.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree as ET

from imagetest.model.assessment import Assessment, Verdict
from imagetest.model.finding import Check, Status
from imagetest.policy.coverage import Coverage, Row, elapsed, measure, utc
from imagetest.policy.standing import unallowed
from imagetest.policy.wording import comparison_words, words
from imagetest.reporters.text import exit_of, plural, readable

TAGS = {
    Status.FAILED: "failure",
    Status.ERROR: "error",
    Status.NOT_REVIEWED: "skipped",
    Status.NOT_APPLICABLE: "skipped",
}
"""What a case contains to say its status; a case that passed contains nothing."""


class JunitReporter:
    """Writes one suite for the image: a case for each check and each machine compared, then the gate's own."""

    filename = "junit.xml"

    def render(self, assessment: Assessment, verdict: Verdict) -> bytes:
        """Return the XML document."""
        coverage = measure(assessment, verdict)
        suite = ET.Element("testsuite", name=readable(assessment.image.name))
        suite.append(_properties(assessment, verdict, coverage))
        judged: dict[str, list[Row]] = {}
        for row in coverage.rows:
            for check_id in row.finding.checks:
                judged.setdefault(check_id, []).append(row)
        image = assessment.image.name
        suite.extend(_case_of_check(check, judged.get(check.id, []), image) for check in assessment.checks)
        suite.extend(_cases_without_check(coverage, image))
        suite.extend(_case_of_error(number, error) for number, error in enumerate(assessment.errors, start=1))
        suite.extend(_cases_of_parities(assessment))
        suite.append(_case_of_gate(verdict))
        _sum_up(suite, assessment)
        root = ET.Element("testsuites")
        root.append(suite)
        ET.indent(root)
        document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
        return document + b"\n"


def _sum_up(suite: ET.Element, assessment: Assessment) -> None:
    suite.set("tests", str(len(suite.findall("testcase"))))
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(attribute, str(len(suite.findall(f"testcase/{tag}"))))
    suite.set("time", _seconds(elapsed(assessment.started, assessment.finished)))
    suite.set("timestamp", utc(assessment.started).isoformat(timespec="seconds"))
    suite.set("hostname", readable(assessment.operator.rpartition("@")[2]))
    suite.set("id", readable(assessment.id))


def _properties(assessment: Assessment, verdict: Verdict, coverage: Coverage) -> ET.Element:
    image, bake, boot = assessment.image, assessment.bake, assessment.boot
    known = {
        "assessment": assessment.id,
        "image.name": image.name,
        "image.kind": image.kind,
        "image.reference": image.reference,
        "image.digest": image.digest,
        "image.platform": image.platform,
        "bake.base": bake.base if bake else "",
        "bake.commit": bake.commit if bake else "",
        "bake.key": bake.key if bake else "",
        **({"boot.taken-over-from": boot.taken_over_from} if boot and boot.taken_over_from else {}),
        "profile": assessment.profile.name,
        "gate": verdict.gate,
        "verdict": "open" if verdict.open else "closed",
    }
    parent = ET.Element("properties")
    for name, value in known.items():
        ET.SubElement(parent, "property", name=name, value=readable(value))
    for row in coverage.rows:
        value = " ".join((row.control.severity.value, row.finding.status.value, *_excuses(row)))
        ET.SubElement(parent, "property", name=f"control.{readable(row.control.id)}", value=readable(value))
    return parent


def _excuses(row: Row) -> Iterator[str]:
    if row.waived and row.finding.waiver:
        yield f"waived by {row.finding.waiver.approved_by} until {row.finding.waiver.expires}"
    if row.tolerated:
        yield "tolerated by the gate"


def _case_of_check(check: Check, rows: list[Row], image: str) -> ET.Element:
    path, _, name = check.id.partition("::")
    module = path.removesuffix(".py").replace("/", ".")
    case = _case(module, f"{name.replace('::', '.') or module} [{image}]", seconds=check.seconds)
    excuses = [f"{row.control.id}: {excuse}" for row in rows for excuse in _excuses(row)]
    _conclude(case, check.status, message="; ".join(filter(None, (check.message, *excuses))), detail=check.detail)
    _say(case, "\n".join((*_bindings(rows), *_commands(check))))
    return case


def _cases_without_check(coverage: Coverage, image: str) -> Iterator[ET.Element]:
    """Yield a case for each control that rests on no check: a reader of this file alone must not miss it."""
    for row in coverage.rows:
        if row.finding.checks:
            continue
        case = _case("controls", f"{row.control.id} [{image}]")
        message = "; ".join((row.finding.message or "no check is bound to this control", *_excuses(row)))
        _conclude(case, row.finding.status, message=message)
        _say(case, "\n".join(_bindings([row])))
        yield case


def _case_of_error(number: int, error: str) -> ET.Element:
    case = _case("imagetest", f"run error {number}")
    _conclude(case, Status.ERROR, message=error.partition("\n")[0], detail=error)
    return case


def _cases_of_parities(assessment: Assessment) -> Iterator[ET.Element]:
    """Yield a case for each machine that was held against another."""
    for parity in assessment.parities:
        name = f"{parity.kind.value} parity of {parity.name}"
        if not parity.comparisons:
            case = _case("parity", name)
            _conclude(case, Status.ERROR, message="nothing was compared")
            yield case
        for one in parity.comparisons:
            case = _case("parity", f"{name}: {one.right}")
            if not one.holds:
                differs = one.outcomes or (one.drift is not None and one.drift.unexplained)
                detail = [words(each) for each in unallowed(one.drift)] if one.drift else []
                detail += [f"{each.check}: {each.left.value}, {each.right.value}" for each in one.outcomes]
                _conclude(
                    case, Status.FAILED if differs else Status.ERROR, message=comparison_words(one),
                    detail="\n".join(detail),
                )  # fmt: skip
            yield case


def _case_of_gate(verdict: Verdict) -> ET.Element:
    case = _case("imagetest", "gate")
    if not verdict.open:
        lines = (" ".join(filter(None, (o.rule, o.control_id))) + f": {o.message}" for o in verdict.objections)
        message = f"gate {verdict.gate!r} is closed: {plural(len(verdict.objections), 'objection')}"
        _conclude(case, Status.FAILED, message=message, detail="\n".join(lines))
    return case


def _bindings(rows: list[Row]) -> Iterator[str]:
    for row in rows:
        yield f"control {row.control.id} severity {row.control.severity.value} status {row.finding.status.value}"


def _commands(check: Check) -> Iterator[str]:
    for command in check.commands:
        yield f"$ {command.command}  # {exit_of(command)}"


def _case(classname: str, name: str, *, seconds: float = 0.0) -> ET.Element:
    return ET.Element("testcase", classname=readable(classname), name=readable(name), time=_seconds(seconds))


def _conclude(case: ET.Element, status: Status, *, message: str, detail: str = "") -> None:
    if tag := TAGS.get(status):
        conclusion = ET.SubElement(case, tag, type=status.value, message=readable(message))
        conclusion.text = readable(detail) or None


def _say(case: ET.Element, text: str) -> None:
    if text:
        ET.SubElement(case, "system-out").text = readable(text)


def _seconds(seconds: float | None) -> str:
    return f"{max(seconds or 0.0, 0.0):.3f}"
