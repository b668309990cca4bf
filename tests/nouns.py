"""Nouns to test with: plain ones by hand, and strategies that make any."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from hypothesis import strategies as st

from imagetest.model.assessment import Assessment, Objection, Phase, Tool, Verdict
from imagetest.model.control import Control, Profile, Reference, Severity
from imagetest.model.finding import Check, Command, Finding, Output, Status, Waiver
from imagetest.model.image import Bake, Image, Input
from imagetest.model.instance import Boot
from imagetest.model.promotion import Action, Promotion

NOW = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)
TODAY = NOW.date()
IMAGE = Image(name="web", kind="docker", reference="sha256:" + "a" * 64, digest="sha256:" + "a" * 64)
BOOT = Boot(driver="docker")


def judged(*findings: Finding, required: tuple[str, ...] = (), severity: Severity = Severity.MEDIUM) -> Assessment:
    """Return an assessment with these findings, all of one severity."""
    return Assessment(
        id="run-web",
        image=IMAGE,
        boot=BOOT,
        profile=Profile(name="web", required=required),
        controls=tuple(Control(id=one.control_id, title=one.control_id, severity=severity) for one in findings),
        findings=findings,
        started=NOW,
        finished=NOW,
    )


def found(control: str, status: Status = Status.PASSED, waiver: Waiver | None = None) -> Finding:
    """Return a finding."""
    return Finding(control_id=control, status=status, waiver=waiver)


def waiver(control: str = "a", *, days: int = 1, image: str = "*") -> Waiver:
    """Return a waiver that holds for some days from today."""
    expires = TODAY + timedelta(days=days)
    return Waiver(control_id=control, reason="it is known", approved_by="maria", expires=expires, image=image)


def record(action: Action, digest: str, *, number: int = 0, channel: str = "stable", image: str = "web") -> Promotion:
    """Return a record of a channel's history."""
    return Promotion(
        number=number, channel=channel, action=action, image=image, kind="docker", reference=digest, digest=digest,
        assessment_id="run-web", gate="default", by="maria@desk", at=NOW,
    )  # fmt: skip


# -- any noun

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
NAMES = st.sampled_from(["a", "b", "c", "d"])
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)).map(lambda one: one.replace(tzinfo=UTC))  # noqa: DTZ001 - a bound
DATES = st.dates(date(2020, 1, 1), date(2030, 1, 1))
SECONDS = st.floats(0, 1e6, allow_nan=False)


def waivers(controls: st.SearchStrategy[str] = NAMES) -> st.SearchStrategy[Waiver]:
    """Make waivers, in force or not."""
    images = st.sampled_from(["*", "web", "other"])
    return st.builds(Waiver, control_id=controls, reason=TEXT, approved_by=TEXT, expires=DATES, image=images)


@st.composite
def findings(draw: st.DrawFn, names: st.SearchStrategy[str] = NAMES) -> Finding:
    """Make a finding, waived or not, in force or not."""
    name = draw(names)
    excuse = draw(st.none() | waivers(st.just(name)))
    return Finding(control_id=name, status=draw(st.sampled_from(Status)), message=draw(TEXT), waiver=excuse)


OUTPUTS = st.builds(Output, text=TEXT, size=st.integers(0, 10**9), sha256=TEXT, truncated=st.booleans())
COMMANDS = st.builds(
    Command, command=TEXT, exit_code=st.none() | st.integers(0, 255), stdout=OUTPUTS, stderr=OUTPUTS, started=MOMENTS,
    seconds=SECONDS, machine=TEXT,
)  # fmt: skip
CHECKS = st.builds(
    Check, id=TEXT, title=TEXT, controls=st.lists(NAMES, max_size=2).map(tuple), status=st.sampled_from(Status),
    message=TEXT, detail=TEXT, started=st.none() | MOMENTS, seconds=SECONDS,
    commands=st.lists(COMMANDS, max_size=2).map(tuple),
)  # fmt: skip
CONTROLS = st.builds(
    Control, id=NAMES, title=TEXT, severity=st.sampled_from(Severity), rationale=TEXT,
    references=st.lists(st.builds(Reference, framework=TEXT, id=TEXT), max_size=2).map(tuple),
)  # fmt: skip
BAKES = st.builds(
    Bake, builder=TEXT, base=TEXT, key=TEXT, inputs=st.lists(st.builds(Input, name=TEXT, digest=TEXT)).map(tuple),
    unknown=st.lists(TEXT, max_size=2).map(tuple), reused=st.booleans(), started=st.none() | MOMENTS,
)  # fmt: skip
BOOTS = st.builds(Boot, driver=TEXT, command=TEXT, started=st.none() | MOMENTS, notes=st.lists(TEXT).map(tuple))
ASSESSMENTS = st.builds(
    Assessment,
    id=TEXT,
    image=st.just(IMAGE),
    bake=st.none() | BAKES,
    boot=st.none() | BOOTS,
    profile=st.builds(Profile, name=TEXT, required=st.lists(NAMES, max_size=3).map(tuple)),
    controls=st.lists(CONTROLS, max_size=4).map(tuple),
    checks=st.lists(CHECKS, max_size=2).map(tuple),
    findings=st.lists(findings(), max_size=5).map(tuple),
    errors=st.lists(TEXT, max_size=1).map(tuple),
    tools=st.lists(st.builds(Tool, name=TEXT, version=TEXT), max_size=1).map(tuple),
    phases=st.lists(st.builds(Phase, name=TEXT, seconds=SECONDS), max_size=1).map(tuple),
    invocation=TEXT,
    operator=TEXT,
    started=MOMENTS,
    finished=MOMENTS,
)
VERDICTS = st.builds(
    Verdict,
    gate=TEXT,
    objections=st.lists(st.builds(Objection, rule=TEXT, message=TEXT, control_id=TEXT), max_size=2).map(tuple),
    decided=MOMENTS,
    tolerated=st.lists(NAMES, max_size=2).map(tuple),
)
