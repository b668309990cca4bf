"""What Allure should know beyond the tests themselves: the image, the gate's verdict, and how to sort failures.

allure-pytest writes one result for each test; this adds the verdict as a result of its own, so that nobody who looks at
Allure alone sees green on a closed verdict. The formats are those of Allure 2: result files, environment.properties and
categories.json, as described at https://allurereport.org/docs/how-it-works/.
"""

from __future__ import annotations

import json
import uuid
from pathlib import Path

from allure_commons.logger import AllureFileLogger
from allure_commons.model2 import Label, Parameter, StatusDetails, TestResult
from allure_commons.model2 import Status as AllureStatus

from imagetest.model.assessment import Assessment, Verdict
from imagetest.model.control import Control, Severity
from imagetest.model.finding import Command

SEVERITIES = {
    Severity.CRITICAL: "blocker",
    Severity.HIGH: "critical",
    Severity.MEDIUM: "normal",
    Severity.LOW: "minor",
    Severity.UNRATED: "normal",
}
"""Allure's own scale; an unrated test is what Allure takes every test for."""

CATEGORIES = [
    {"name": "Gate closed", "matchedStatuses": ["failed"], "messageRegex": "(?s)verdict closed.*"},
    {"name": "Controls that failed", "matchedStatuses": ["failed"]},
    {"name": "Checks that could not judge", "matchedStatuses": ["broken"]},
    {"name": "Not reviewed", "matchedStatuses": ["skipped"]},
]


def write_verdict(folder: Path, assessment: Assessment, verdict: Verdict) -> None:
    """Add the verdict of one image to a folder of Allure results."""
    objections = "\n".join(f"{one.control_id or one.rule}: {one.message}" for one in verdict.objections)
    image = assessment.image
    result = TestResult(
        uuid=str(uuid.uuid4()),
        name=f"gate {verdict.gate!r} on {image.name}",
        fullName=f"imagetest.gate#{image.name}",
        historyId=f"imagetest-gate-{image.name}",
        testCaseId=f"imagetest-gate-{image.name}",
        status=AllureStatus.PASSED if verdict.open else AllureStatus.FAILED,
        statusDetails=StatusDetails(message="verdict open" if verdict.open else f"verdict closed\n{objections}"),
        start=_milliseconds(assessment),
        stop=_milliseconds(assessment),
        labels=[Label(name="suite", value="gate"), Label(name="severity", value="blocker")],
        parameters=[
            Parameter(name="image", value=repr(image.name)),
            Parameter(name="digest", value=repr(image.digest)),
        ],
    )
    AllureFileLogger(str(folder)).report_result(result)  # type: ignore[no-untyped-call]
    facts = {"image": image.name, "digest": image.digest, "verdict": "open" if verdict.open else "closed"}
    if assessment.boot and assessment.boot.taken_over_from:
        facts["instance-taken-over-from"] = assessment.boot.taken_over_from
    facts |= {tool.name.replace(" ", "-"): tool.version for tool in assessment.tools}
    with (folder / "environment.properties").open("a", encoding="utf-8") as file:
        file.writelines(f"{image.name}.{name}={value}\n" for name, value in facts.items())
    (folder / "categories.json").write_text(json.dumps(CATEGORIES, indent=2))


def evidence(command: Command) -> str:
    """Return one command as text to attach to a test."""
    head = f"$ {command.command}\nexit code {command.exit_code}, {command.seconds:.3f} s, {command.started.isoformat()}"
    streams = [
        f"--- {name} ({output.size} bytes, sha256 {output.sha256}{', cut' if output.truncated else ''})\n{output.text}"
        for name, output in (("stdout", command.stdout), ("stderr", command.stderr))
        if output.size
    ]
    return "\n".join([head, *streams]) + "\n"


def labels(control: Control) -> dict[str, str]:
    """Return Allure's labels for a test that is bound to a control."""
    return {"severity": SEVERITIES[control.severity], "story": control.title, "tag": control.id}


def _milliseconds(assessment: Assessment) -> int:
    return int(assessment.finished.timestamp() * 1000)
