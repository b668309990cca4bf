"""Requirements: a control, the catalogue of all of them, and the profile that says which are required."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Severity(enum.Enum):
    """How much a failed control matters, worst first; a test that is bound to no control is unrated."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    UNRATED = "unrated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A control's place in somebody else's framework, such as NIST SP 800-53 AC-6."""

    framework: str
    """The framework as its publisher writes it, with its edition: `NIST SP 800-53 Rev. 5`."""
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """One requirement, and why it is one."""

    id: str
    title: str
    severity: Severity = Severity.MEDIUM
    rationale: str = ""
    references: tuple[Reference, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The controls that an image must have been judged by; a required control that nobody evaluated is an objection."""

    name: str
    title: str = ""
    required: tuple[str, ...] = ()
