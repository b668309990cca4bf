"""The end of a run: verdicts, reports, promotions and the exit code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from imagetest.config import wiring
from imagetest.config.settings import Settings
from imagetest.config.targets import Target
from imagetest.errors import ImagetestError
from imagetest.execute.interrupts import interrupts
from imagetest.model.assessment import Assessment, Sibling, Verdict
from imagetest.model.codec import Document, encode
from imagetest.model.control import Control
from imagetest.model.promotion import Promotion
from imagetest.pipeline import report
from imagetest.pipeline.promote import promote
from imagetest.pipeline.verify import Verification, conclude, invocation
from imagetest.policy import exit_code, gate
from imagetest.ports import Booted, Store
from imagetest.pytest_plugin.display import Display
from imagetest.pytest_plugin.machines import Machines
from imagetest.pytest_plugin.runs import Run
from imagetest.reporters.terminal import Line, Style, summary

BUILT = {"docker": "docker", "qemu": "qemu", "amazon-ebs": "ec2"}
"""The kind of image that each of Packer's builders makes whose images can be promoted."""


@dataclass(kw_only=True)
class Judged:
    """One image that was judged, and what became of it."""

    assessment: Assessment
    verdict: Verdict
    reports: tuple[Path, ...] = ()
    promotion: Promotion | None = None
    trouble: ImagetestError | None = None
    """Why its verdict could not be kept or acted upon."""


class Ending:
    """What happens once the last test has run."""

    def __init__(self, settings: Settings, *, promote: str | None, gated: bool) -> None:
        if promote is not None:
            settings.channel(promote)
        self._settings = settings
        self._channel = promote
        self._gated = gated
        self._store: Store | None = None
        self.judged: list[Judged] = []
        self.leaks: list[str] = []
        self.page: Path | None = None
        """The page over all images, where there are several."""
        self.stopped: ImagetestError | None = None
        """Set when the run could not even begin."""

    def check(self, targets: Iterable[Target] = ()) -> None:
        """Find out before the bake that a verdict could be kept, and that the channel takes such images.

        Raises RegistryError, and ConfigError for a channel that lacks what an image of a kind needs, or in which one
        would be written over another.
        """
        if self._gated:
            self._registry().check()
        if not self._channel:
            return
        kinds = {target.name: _kind(target) for target in targets}
        for name, kind in kinds.items():
            if kind:
                wiring.promoter(kind).check(self._settings.outlet(self._channel, name))
        wiring.check_apart(self._settings, self._channel, kinds, self._registry())

    def judge(self, machines: Machines, *, run: Run, catalogue: Mapping[str, Control]) -> None:
        """Assess, decide, report, record and promote each image that there is."""
        several = len(machines.targets) > 1
        now = datetime.now(UTC)
        alone = {
            name: self._assess(machines.targets[name], verification, run, catalogue, now)
            for name, verification in machines.verifications.items()
        }
        for name, one in self._decide(machines, alone, now).items():
            folder = run.reports / name if several else run.reports
            self.judged.append(one)
            try:
                self._keep(one, folder, machines)
            except ImagetestError as error:
                one.trouble = error
        if several and self.judged:
            self._overview(run, machines)
        if self.judged and not any(one.trouble for one in self.judged):
            run.link()

    def _overview(self, run: Run, machines: Machines) -> None:
        """Write the page over all images. What keeps it from being written stands with the last of them."""
        from imagetest.reporters import overview

        rows = [
            overview.Row(
                assessment=one.assessment, verdict=one.verdict, link=f"{one.assessment.image.name}/report.html"
            )
            for one in self.judged
        ]
        lost = {name: str(machines.not_judged.get(name, "it was not there")) for name in machines.targets}
        lost = {name: why for name, why in lost.items() if name not in machines.verifications}
        try:
            self.page = report.save(run.reports / overview.FILENAME, overview.page(run.id, rows, lost))
        except ImagetestError as error:
            self.judged[-1].trouble = self.judged[-1].trouble or error

    def exit_code(self, pytest_said: int, machines: Machines | None) -> int:
        """Return the exit code of the run."""
        if interrupts.pending:
            return exit_code.ExitCode.INTERRUPTED
        if self.stopped is not None:
            return self.stopped.exit_code
        return exit_code.of_run(
            pytest_said=pytest_said,
            verdicts=[one.verdict for one in self.judged],
            gated=self._gated,
            not_judged=bool(
                self.leaks or (machines and machines.not_judged) or any(one.trouble for one in self.judged)
            ),
        )

    def show(self, display: Display, machines: Machines | None, kept: Mapping[str, Booted]) -> None:
        """Show what a person should read first."""
        if machines is None and self.stopped is None and not self.leaks:
            return
        display.section("imagetest")
        if not (self.judged or self.stopped or (machines and machines.not_judged)):
            display.lines([Line(Style.WARN, "nothing was judged, nothing was promoted")])
        for one in self.judged:
            pages = [path for path in one.reports if path.suffix == ".html"] or one.reports
            display.lines(
                summary(one.assessment, one.verdict, width=display.width, report=str(pages[0]) if pages else "")
            )
            if one.promotion is not None:
                places = [Line(Style.PLAIN, f"  {place.where}") for place in one.promotion.placements]
                display.lines([Line(Style.GOOD, _promoted(one.promotion)), *places])
            if one.trouble is not None:
                display.trouble(one.assessment.image.name, one.trouble)
        if self.page is not None:
            display.lines([Line(Style.PLAIN, f"all of them: {self.page}")])
        for name, error in (machines.not_judged if machines else {}).items():
            display.trouble(f"{name} could not be judged", error)
        if self.stopped is not None:
            display.trouble("nothing was judged", self.stopped)
        for name, up in kept.items():
            end = f", and ends by itself at {up.until:%H:%M %Z}" if up.until else ""
            display.lines([Line(Style.WARN, f"{name} is still up{end}; get in with:"),
                           Line(Style.PLAIN, f"  {up.instance.login}"),
                           Line(Style.PLAIN, "remove it with: imagetest reap --kept")])  # fmt: skip
        display.lines([Line(Style.BAD, leak) for leak in self.leaks])

    def _gate(self, target: Target) -> gate.Gate:
        return self._settings.gates[self._settings.channels[self._channel].gate] if self._channel else target.gate

    def _assess(
        self, target: Target, verification: Verification, run: Run, catalogue: Mapping[str, Control], now: datetime
    ) -> Assessment:
        if interrupts.pending:
            verification.errors.append("the run was interrupted")
        waivers = self._gate(target).waivers
        found = conclude(
            verification, run=run.id, catalogue=catalogue, waivers=waivers, invocation=invocation(), now=now
        )
        return replace(found, cell=target.cell)

    def _decide(self, machines: Machines, alone: Mapping[str, Assessment], now: datetime) -> dict[str, Judged]:
        """Decide each by itself, then by what became of the other cells of its matrix, where its gate asks for them."""
        cells = [
            self._cell(target, alone.get(name), machines.not_judged.get(name), now)
            for name, target in machines.targets.items()
        ]
        family = {name: target.family for name, target in machines.targets.items()}
        judged = {}
        for name, found in alone.items():
            siblings = tuple(one for one in cells if one.name != name and family[one.name] == family[name])
            known = replace(found, siblings=siblings)
            judged[name] = Judged(
                assessment=known, verdict=gate.decide(self._gate(machines.targets[name]), known, now=now)
            )
        return judged

    def _cell(self, target: Target, found: Assessment | None, error: ImagetestError | None, now: datetime) -> Sibling:
        if found is None:
            reason = f"it could not be judged: {error or 'it was not there'}"
            return Sibling(name=target.name, cell=target.cell, objections=1, reason=reason)
        verdict = gate.decide(replace(self._gate(target), matrix=frozenset()), found, now=now)
        return gate.told(Sibling(name=target.name, cell=target.cell, digest=found.image.digest), verdict)

    def _keep(self, one: Judged, folder: Path, machines: Machines) -> None:
        """Write the reports first: a verdict that nobody can read up is neither recorded nor acted upon."""
        one.reports = report.write(folder, one.assessment, one.verdict, wiring.reporters())
        if not self._gated:
            return
        document = encode(Document(assessment=one.assessment, verdict=one.verdict))
        self._registry().record(one.assessment, one.verdict, document)
        if self._channel and one.verdict.open and self._may_promote(machines):
            one.promotion = self._promote(one, machines)

    def _may_promote(self, machines: Machines) -> bool:
        return not interrupts.pending and not machines.not_judged and not self.leaks

    def _promote(self, one: Judged, machines: Machines) -> Promotion:
        image, channel = one.assessment.image, str(self._channel)
        wiring.check_apart(self._settings, channel, {image.name: image.kind}, self._registry())
        desk = wiring.desk(self._settings, channel, image.name, kind=image.kind, registry=self._registry())
        return promote(
            one.assessment, one.verdict, desk=desk, driver=machines.driver(image.kind), by=one.assessment.operator,
            now=datetime.now(UTC),
        )  # fmt: skip

    def _registry(self) -> Store:
        if self._store is None:
            self._store = wiring.store(self._settings)
        return self._store


def _kind(target: Target) -> str:
    """Return the kind of image that a target will be, as far as that can be told before the bake."""
    if target.plan.driver != "auto":
        return target.plan.driver
    parts = target.source.split(".")
    return BUILT.get(parts[-2], "") if len(parts) > 1 else ""


def _promoted(promotion: Promotion) -> str:
    return f"promoted to {promotion.channel!r} as record {promotion.number}: {promotion.digest[:19]}"
