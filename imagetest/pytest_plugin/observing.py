"""Hear every test: what it concluded, why, and each command that it ran."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import msgspec
import pytest

from imagetest.marks import NOT_APPLICABLE
from imagetest.model.finding import Check, Command, Status
from imagetest.pytest_plugin.binding import check_id, controls_of, image_of, title_of
from imagetest.transport.recorder import CAP, Recorder

ATTRIBUTE = "imagetest"
"""Where a report carries its observation; pytest-xdist brings it to the controller as plain data."""

MESSAGE_CAP = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What one phase of one test said."""

    image: str
    check: Check
    concluded: bool
    """False for a phase that only prepared or cleaned up."""
    lost: str = ""
    """Set when the machine stopped answering."""


Reporting = Generator[None, pytest.TestReport, pytest.TestReport]


class Observer:
    """Attaches an observation to each report, in the process that runs the test."""

    def __init__(self, recorder: Recorder, redact: Callable[[str], str]) -> None:
        self._recorder = recorder
        self.redact = redact
        self.lost: dict[str, str] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Reporting:
        """Attach the observation."""
        report = yield
        image = image_of(item)
        status = _status(report, call)
        check = Check(
            id=check_id(item, image),
            title=title_of(item),
            controls=controls_of(item),
            status=status or Status.NOT_REVIEWED,
            message=self._clean(_message(report, status), MESSAGE_CAP),
            detail=self._clean(report.longreprtext if report.failed else "", CAP),
            started=datetime.fromtimestamp(call.start, UTC),
            seconds=round(call.duration, 6),
            commands=self._recorder.take(),
            drifts=self._recorder.take_drifts(),
            boots=self._recorder.take_boots(),
        )
        observation = Observation(image=image, check=check, concluded=status is not None, lost=self.lost.get(image, ""))
        setattr(report, ATTRIBUTE, msgspec.to_builtins(observation))
        return report

    def _clean(self, text: str, cap: int) -> str:
        whole = self.redact(text.encode("utf-8", "backslashreplace").decode())
        return whole if len(whole) <= cap else whole[:cap] + " ..."


def observed(report: pytest.TestReport) -> Observation | None:
    """Return the observation that a report carries."""
    data = getattr(report, ATTRIBUTE, None)
    return None if data is None else msgspec.convert(data, Observation)


def merged(before: Check | None, now: Observation) -> Check:
    """Join the phases of one test: a conclusion replaces none, and the worse of two stays."""
    if before is None:
        return now.check
    commands: tuple[Command, ...] = before.commands + now.check.commands
    seconds = round(before.seconds + now.check.seconds, 6)
    drifts, boots = before.drifts + now.check.drifts, before.boots + now.check.boots
    whole = replace(before, commands=commands, seconds=seconds, drifts=drifts, boots=boots)
    if not now.concluded:
        return whole
    return replace(whole, status=now.check.status, message=now.check.message, detail=now.check.detail)


def _status(report: pytest.TestReport, call: pytest.CallInfo[None]) -> Status | None:
    """Return what a phase concluded; None for setting up and tearing down that went well.

    A test that fails judged the image and found it wanting; one that crashes judged nothing. An expected failure is a
    failure.
    """
    if report.skipped:
        if hasattr(report, "wasxfail"):
            return Status.FAILED
        return Status.NOT_APPLICABLE if _skip_reason(report).startswith(NOT_APPLICABLE) else Status.NOT_REVIEWED
    if report.passed:
        return Status.PASSED if report.when == "call" else None
    judged = call.excinfo is None or call.excinfo.errisinstance((AssertionError, pytest.fail.Exception))
    return Status.FAILED if report.when == "call" and judged else Status.ERROR


def _message(report: pytest.TestReport, status: Status | None) -> str:
    if status is None or status is Status.PASSED:
        return ""
    if hasattr(report, "wasxfail"):
        return f"expected to fail: {report.wasxfail}".removesuffix(": ")
    if report.skipped:
        return _skip_reason(report).removeprefix(NOT_APPLICABLE)
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash is not None else report.longreprtext
    first = text.removeprefix("AssertionError: ").removeprefix("Failed: ").partition("\nassert ")[0].strip()
    place = (
        "" if report.when == "call" else f"while the test was {'set up' if report.when == 'setup' else 'torn down'}: "
    )
    return place + first


def _skip_reason(report: pytest.TestReport) -> str:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return str(reason).removeprefix("Skipped: ")
