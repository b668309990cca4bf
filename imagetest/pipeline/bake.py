"""Bake an image, unless nothing that it depends on has changed since an earlier bake."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from imagetest.errors import EngineError, ProcessError, StorageError
from imagetest.execute import process
from imagetest.execute.leases import Leases
from imagetest.model.image import Bake, Image
from imagetest.model.plan import BakeOrder
from imagetest.model.text import cleaned
from imagetest.pipeline.claims import leased
from imagetest.pipeline.report import save
from imagetest.ports import Artifact, Builder, Driver, Event, Expiring, Ingredients, Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Baked:
    """The images of an order by source, and what must be masked from now on."""

    images: Mapping[str, tuple[Image, Bake]]
    secrets: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """An earlier bake, as it is kept in the project's state."""

    artifact: Artifact
    digest: str
    bake: Bake


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Whether one source has to be baked, and why."""

    source: str
    ingredients: Ingredients
    key: str
    record: Record | None
    reasons: tuple[str, ...]
    """Why it is baked; empty when the earlier bake is taken."""


class Kitchen:
    """Where bakes are planned, run and remembered."""

    def __init__(
        self,
        *,
        builder: Callable[[], Builder],
        driver: Callable[[str], Driver],
        leases: Leases,
        state: Path,
        folder: Path,
        progress: Progress,
        rebake: bool = False,
    ) -> None:
        self._make_builder = builder
        self._driver = driver
        self._records = state / "bakes"
        self._leases = leases
        self._folder = folder
        self._progress = progress
        self._rebake = rebake

    def bake(self, order: BakeOrder) -> Baked:
        """Bake the sources that have to be, take the others from earlier bakes.

        Raises BakeError with what the builder reported, and EngineError when the artifact is not there.
        """
        builder = self._make_builder()
        plans = self.plan(order, builder)
        for plan in plans:
            said = (
                f"baking: {'; '.join(plan.reasons)}"
                if plan.reasons
                else "unchanged since it was baked, not baked again"
            )
            self._progress(Event(subject=plan.source, text=said))
        secrets = tuple({secret for plan in plans for secret in plan.ingredients.secrets})
        fresh = self._build(order, builder, [plan for plan in plans if plan.reasons], secrets)
        taken = {plan.source: self._reused(order, plan) for plan in plans if not plan.reasons}
        return Baked(images={**fresh, **taken}, secrets=secrets)

    def plan(self, order: BakeOrder, builder: Builder | None = None) -> tuple[Plan, ...]:
        """Say of each source whether it has to be baked, and which of its inputs changed."""
        builder = builder or self._make_builder()
        plans = []
        for found in builder.ingredients(order):
            key = _key(found)
            record = self._load(order, found.source, key)
            plans.append(
                Plan(source=found.source, ingredients=found, key=key, record=record,
                     reasons=tuple(self._reasons(order, found, key, record)))
            )  # fmt: skip
        return tuple(plans)

    def _reasons(self, order: BakeOrder, found: Ingredients, key: str, record: Record | None) -> list[str]:
        if record is None:
            return ["it was not baked before"]
        if self._rebake:
            return ["--rebake was given"]
        if order.reuse == "never":
            return ["reuse is 'never'"]
        if record.bake.key != key:
            return changes(record.bake, found)
        if found.unknown and order.reuse != "always":
            return [f"not all it depends on can be known: {'; '.join(found.unknown)}"]
        return [] if self._is_there(record) else ["the image is gone"]

    def _is_there(self, record: Record) -> bool:
        return self._find(record, name="") is not None

    def _find(self, record: Record, *, name: str) -> Image | None:
        """Find an image by its digest, or where it was baked to: a disk is known by its path."""
        for reference in (record.digest, record.artifact.reference):
            with suppress(EngineError):
                image = self._driver(record.artifact.kind).identify(reference, name=name)
                if image.digest == record.digest:
                    return image
        return None

    def _build(
        self, order: BakeOrder, builder: Builder, plans: list[Plan], secrets: tuple[str, ...]
    ) -> dict[str, tuple[Image, Bake]]:
        if not plans:
            return {}
        started, log = datetime.now(UTC), self._folder / f"bake-{order.name}.log"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with leased(self._leases, self._driver, order.name, self._progress) as claim:
                artifacts = builder.build(
                    order, [plan.source for plan in plans], log=log, secrets=secrets, progress=self._progress,
                    claim=claim,
                )  # fmt: skip
                return self._remember(order, builder, plans, artifacts, started=started, log=log)
        except OSError as error:
            raise StorageError(
                f"cannot write {log}: {error.strerror}", hint="make room or permissions there"
            ) from error

    def _remember(
        self,
        order: BakeOrder,
        builder: Builder,
        plans: list[Plan],
        artifacts: tuple[Artifact, ...],
        *,
        started: datetime,
        log: Path,
    ) -> dict[str, tuple[Image, Bake]]:
        """Record what was baked; until then what it made elsewhere is leased, and carries an expiry."""
        finished, digest = datetime.now(UTC), _digest(log)
        after = {found.source: _key(found) for found in builder.ingredients(order)}
        made: dict[str, tuple[Image, Bake]] = {}
        for plan, artifact in zip(plans, artifacts, strict=True):
            driver = self._driver(artifact.kind)
            image = driver.identify(artifact.reference, name=order.name)
            bake = _bake(order, plan, builder, started=started, finished=finished, log_digest=digest)
            if after.get(plan.source) == plan.key:
                self._save(order, plan.source, Record(artifact=artifact, digest=image.digest, bake=bake), log)
            else:  # nobody knows which of the two it was baked from
                said = "what it depends on changed while it was baked: it will be baked again"
                self._progress(Event(subject=plan.source, text=said))
            self._settle(plan.source, artifact.reference, driver)
            made[plan.source] = (image, bake)
        return made

    def _reused(self, order: BakeOrder, plan: Plan) -> tuple[Image, Bake]:
        assert plan.record is not None  # noqa: S101 - a plan without reasons has one
        image = self._find(plan.record, name=order.name)
        if image is None:
            raise EngineError(f"the image that was baked of {plan.source!r} is gone", hint="try again")
        self._settle(plan.source, image.reference, self._driver(image.kind))
        kept = self._path(order, plan.source, plan.key).with_suffix(".log")
        if kept.is_file():
            save(self._folder / plan.record.bake.log, kept.read_bytes())
        return image, replace(plan.record.bake, reused=True)

    def _settle(self, source: str, reference: str, driver: Driver) -> None:
        """Have an image stay; one that cannot be made to is there all the same, and worth its bake: that is told."""
        if not isinstance(driver, Expiring):
            return
        try:
            driver.settle(reference)
        except EngineError as error:
            said = f"{reference} may go with 'imagetest reap --expired' some hours from now: {error}; any run retries"
            self._progress(Event(subject=source, text=said))

    def _path(self, order: BakeOrder, source: str, key: str) -> Path:
        return self._records / order.name / source / f"{key.removeprefix('sha256:')[:16]}.json"

    def _load(self, order: BakeOrder, source: str, key: str) -> Record | None:
        """Return the bake with this key, else the newest, to say what changed since."""
        exact = self._path(order, source, key)
        others = sorted(exact.parent.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in [exact, *others]:
            try:
                return msgspec.json.decode(path.read_bytes(), type=Record)
            except (FileNotFoundError, msgspec.MsgspecError):
                continue  # never baked, or remembered by a version that wrote otherwise: bake again
        return None

    def _save(self, order: BakeOrder, source: str, record: Record, log: Path) -> None:
        path = self._path(order, source, record.bake.key)
        save(path.with_suffix(".log"), log.read_bytes())
        save(path, msgspec.json.encode(record))


def changes(before: Bake, now: Ingredients) -> list[str]:
    """Name every input that was added, removed or changed."""
    old = {one.name: one.digest for one in before.inputs}
    new = {one.name: one.digest for one in now.inputs}
    named = [f"{name} is new" for name in new if name not in old]
    named += [f"{name} is gone" for name in old if name not in new]
    return named + [f"{name} changed" for name, digest in new.items() if name in old and old[name] != digest]


def _key(found: Ingredients) -> str:
    lines = "".join(f"{one.name}\0{one.digest}\n" for one in found.inputs)
    return "sha256:" + hashlib.sha256(lines.encode()).hexdigest()


def _bake(
    order: BakeOrder, plan: Plan, builder: Builder, *, started: datetime, finished: datetime, log_digest: str
) -> Bake:
    try:
        template = str(order.template.relative_to(order.project))
    except ValueError:
        template = str(order.template)
    return cleaned(Bake(
        builder=builder.name, builder_version=builder.version(), template=template, source=plan.source,
        base=plan.ingredients.base, commit=_commit(order.template), key=plan.key, inputs=plan.ingredients.inputs,
        unknown=plan.ingredients.unknown, started=started, finished=finished, log=f"bake-{order.name}.log",
        log_digest=log_digest,
    ))  # fmt: skip


def _commit(template: Path) -> str:
    """Return the commit that the template's folder is at, `+` behind it when something there differs from it."""
    folder = template if template.is_dir() else template.parent
    try:
        commit = process.output("git", "-C", str(folder), "rev-parse", "HEAD", timeout=10)
        dirty = process.output("git", "-C", str(folder), "status", "--porcelain", "--", ".", timeout=30)
    except ProcessError:
        return ""  # no repository, or no git
    return commit + ("+" if dirty else "")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
