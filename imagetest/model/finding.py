"""What was found: the commands that ran, the checks that ran them, and what each control says about the image."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from imagetest.model.drift import Drift
from imagetest.model.instance import Boot


class Status(enum.Enum):
    """Outcomes from best to worst; a control with several checks takes its worst."""

    NOT_APPLICABLE = "not_applicable"
    PASSED = "passed"
    NOT_REVIEWED = "not_reviewed"
    FAILED = "failed"
    ERROR = "error"

    @classmethod
    def worst(cls, statuses: Iterable[Status]) -> Status:
        """Return the worst status; no status at all means that nobody looked."""
        order = list(cls)
        return max(statuses, key=order.index, default=cls.NOT_REVIEWED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What a command wrote to one stream: the text up to a cap, and the digest of the whole, secrets masked in both."""

    text: str = ""
    size: int = 0
    """Bytes of the whole output, as the machine sent it."""
    sha256: str = ""
    """Hex digest of the whole output; of the masked output where a secret was masked, so that it cannot be guessed."""
    truncated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command that a check ran on the instance."""

    command: str
    exit_code: int | None
    """None when no exit code came back: the command timed out or the machine was lost."""
    stdout: Output = Output()
    stderr: Output = Output()
    started: datetime
    seconds: float
    machine: str = ""
    """Which machine it ran on: empty for the booted instance, `at rest` for the image before its first boot, and the
    name of a throwaway of the check's own, such as `throwaway 2`."""
    remembered: bool = False
    """Whether the answer was known already, from another check or from asking ahead; then `started` says since when."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One test that was collected: what it concluded and everything that it did to get there."""

    id: str
    """The test's id, without the part that names the image."""
    title: str = ""
    """The first line of the test's docstring."""
    controls: tuple[str, ...] = ()
    status: Status
    message: str = ""
    """Why it did not pass, in the test's own words."""
    detail: str = ""
    """The traceback or assertion report, for whoever mends it."""
    started: datetime | None = None
    seconds: float = 0.0
    commands: tuple[Command, ...] = ()
    drifts: tuple[Drift, ...] = ()
    """What it compared, for a check that compares states."""
    boots: tuple[Boot, ...] = ()
    """How the throwaways of its own came up, and came back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """Somebody's decision to live with a failed control for a while; the finding keeps its status."""

    control_id: str
    reason: str
    approved_by: str
    expires: date
    """The last day on which it holds, in UTC."""
    image: str = "*"
    """The name of the image that it is for; `*` is any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one control said about one image, and why."""

    control_id: str
    status: Status
    message: str = ""
    checks: tuple[str, ...] = ()
    """Ids of the checks that it rests on: the evidence."""
    waiver: Waiver | None = None
