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
class Sibling:
    """Another cell of the matrix: of the same template on another platform, or the same image on another machine."""

    name: str
    """The name under test, such as `web.qemu.uefi`."""
    cell: str
    """Its place in the matrix, which is the name without the image's: `qemu.uefi`."""
    digest: str = ""
    objections: int = 0
    """How many reasons its own verdict found, its siblings apart."""
    reason: str = ""
    """The first of them, or why it could not be judged."""

    @property
    def open(self) -> bool:
        """Say whether it was judged and nothing objects to it."""
        return not self.objections


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
    cell: str = ""
    """Its own place in the matrix; empty where there is none."""
    siblings: tuple[Sibling, ...] = ()
    """The matrix's other cells, judged by the same run."""
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
