"""All that is known of one image after one verification, and the gate's answer to it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from imagetest.model.control import Control, Profile
from imagetest.model.finding import Check, Finding
from imagetest.model.image import Bake, Image
from imagetest.model.instance import Boot
from imagetest.model.parity import Parity


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A program or library that the result depends on."""

    name: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A part of the run and the wall-clock seconds it took."""

    name: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """The only input of the gate and of every reporter."""

    id: str
    image: Image
    bake: Bake | None = None
    """None for an image that was made elsewhere."""
    boot: Boot | None = None
    profile: Profile
    controls: tuple[Control, ...] = ()
    """Every control that is required or that a check is bound to, and an unrated one for each check bound to none."""
    checks: tuple[Check, ...] = ()
    findings: tuple[Finding, ...] = ()
    """One for each control in `controls`."""
    parities: tuple[Parity, ...] = ()
    """Whether production, its groups and the other platforms are what was tested; empty where nobody asked."""
    errors: tuple[str, ...] = ()
    """What kept the run from judging: a suite that could not be collected, a machine that was lost, an interrupt."""
    tools: tuple[Tool, ...] = ()
    phases: tuple[Phase, ...] = ()
    invocation: str = ""
    """The command line that produced this."""
    operator: str = ""
    """Who ran it and on which machine, as `user@host`."""
    started: datetime
    finished: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Objection:
    """One reason to keep the gate closed."""

    rule: str
    """The gate rule that objects."""
    message: str
    control_id: str = ""
    """The control it is about, where it is about one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A gate's answer; it is open only when nothing objects."""

    gate: str
    objections: tuple[Objection, ...]
    decided: datetime
    tolerated: tuple[str, ...] = ()
    """Ids of controls that failed and that this gate, as configured, lets pass; never silent, never green."""

    @property
    def open(self) -> bool:
        """Say whether the image may be promoted."""
        return not self.objections
