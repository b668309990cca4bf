"""When a bake is taken from an earlier one, and when never."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import pytest

from imagetest.errors import BakeError, EngineError, StorageError
from imagetest.execute.leases import Leases
from imagetest.model.image import Input
from imagetest.model.plan import BakeOrder
from imagetest.pipeline.bake import Baked, Kitchen
from imagetest.ports import Artifact, Claim, Event, Expired, Ingredients, Progress
from imagetest.testing.fakes import FakeDriver


@dataclass
class Oven:
    """A builder whose images are what it was given."""

    driver: FakeDriver
    inputs: dict[str, str] = field(default_factory=lambda: {"file a": "1"})
    unknown: tuple[str, ...] = ()
    names: tuple[str, ...] = ("docker.web",)
    built: list[tuple[str, ...]] = field(default_factory=list)
    during: Callable[[], object] = lambda: None
    failing: bool = False
    secrets: tuple[str, ...] = ()
    name: str = "oven"

    def version(self) -> str:
        return "1"

    def sources(self, order: BakeOrder) -> tuple[str, ...]:
        return order.sources or self.names

    def ingredients(self, order: BakeOrder) -> tuple[Ingredients, ...]:
        inputs = tuple(Input(name=name, digest=value) for name, value in sorted(self.inputs.items()))
        return tuple(
            Ingredients(source=one, inputs=inputs, unknown=self.unknown, base="base", secrets=self.secrets)
            for one in self.sources(order)
        )

    def build(
        self,
        order: BakeOrder,
        sources: Sequence[str],
        *,
        log: Path,
        secrets: Sequence[str],
        progress: Progress,
        claim: Claim,
    ) -> tuple[Artifact, ...]:
        assert tuple(secrets) == self.secrets
        claim("fake", f"pan-{len(self.built)}")
        progress(Event(subject=order.name, text="hot"))
        self.built.append(tuple(sources))
        log.write_text(f"log {len(self.built)}")
        self.during()
        if self.failing:
            raise BakeError("burnt")
        for one in sources:
            reference = f"{one}:{len(self.built)}"
            self.driver.images[reference] = reference
            digest = self.driver.identify(reference, name="").digest
            self.driver.images[digest] = reference
        return tuple(Artifact(source=one, kind="fake", reference=f"{one}:{len(self.built)}") for one in sources)

    def repeat(
        self,
        order: BakeOrder,
        source: str,
        *,
        base: str,
        log: Path,
        secrets: Sequence[str],
        progress: Progress,
        claim: Claim,
    ) -> Artifact:
        assert not base
        (made,) = self.build(order, [source], log=log, secrets=secrets, progress=progress, claim=claim)
        return made


@pytest.fixture
def oven() -> Oven:
    return Oven(FakeDriver())


@pytest.fixture
def order(tmp_path: Path) -> BakeOrder:
    return BakeOrder(name="web", template=tmp_path / "web.pkr.hcl", project=tmp_path)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def kitchen(oven: Oven, tmp_path: Path, said: list[str]) -> Callable[..., Kitchen]:
    def make(*, rebake: bool = False) -> Kitchen:
        return Kitchen(
            builder=lambda: oven, driver=lambda _: oven.driver, leases=Leases(tmp_path / "state" / "leases"),
            state=tmp_path / "state", folder=tmp_path / "run",
            progress=lambda event: said.append(f"{event.subject}: {event.text}"), rebake=rebake,
        )  # fmt: skip

    return make


Make = Callable[..., Kitchen]


def digest(baked: Baked, source: str = "docker.web") -> str:
    return baked.images[source][0].digest


def test_what_did_not_change_is_not_baked_again(kitchen: Make, oven: Oven, order: BakeOrder, said: list[str]) -> None:
    first, second = kitchen().bake(order), kitchen().bake(order)

    assert len(oven.built) == 1
    assert digest(first) == digest(second)
    assert not first.images["docker.web"][1].reused
    assert second.images["docker.web"][1].reused
    assert said[0] == "docker.web: baking: it was not baked before"
    assert said[-1] == "docker.web: unchanged since it was baked, not baked again"


class Account(FakeDriver):
    """A place whose images carry an expiry until they are told to stay."""

    def __init__(self) -> None:
        super().__init__()
        self.refuses = False
        self.settled: list[str] = []

    def expired(self, where: str, now: datetime) -> Expired:
        raise AssertionError((where, now))

    def settle(self, reference: str) -> None:
        if self.refuses:
            raise EngineError("DeleteTags is not allowed")
        self.settled.append(reference)


def test_an_image_that_cannot_be_told_to_stay_is_worth_its_bake_and_told_when_it_is_used_again(
    kitchen: Make, oven: Oven, order: BakeOrder, said: list[str]
) -> None:
    oven.driver = account = Account()
    account.refuses = True
    baked = kitchen().bake(order)
    account.refuses = False
    before = list(account.settled)
    kitchen().bake(order)

    assert "docker.web:1 may go with 'imagetest reap --expired'" in "\n".join(said)
    assert "DeleteTags is not allowed" in "\n".join(said)
    assert (len(oven.built), before) == (1, [])
    assert account.settled == [baked.images["docker.web"][0].digest]


def test_every_change_is_named(kitchen: Make, oven: Oven, order: BakeOrder) -> None:
    kitchen().bake(order)
    oven.inputs = {"file a": "2", "file b": "1"}
    (plan,) = kitchen().plan(order)
    oven.inputs = {}
    (gone,) = kitchen().plan(order)

    assert plan.reasons == ("file b is new", "file a changed")
    assert gone.reasons == ("file a is gone",)
    assert len(oven.built) == 1


def test_going_back_takes_the_earlier_bake(kitchen: Make, oven: Oven, order: BakeOrder) -> None:
    first = kitchen().bake(order)
    oven.inputs = {"file a": "2"}
    second = kitchen().bake(order)
    oven.inputs = {"file a": "1"}
    third = kitchen().bake(order)

    assert len(oven.built) == 2
    assert digest(third) == digest(first) != digest(second)


@pytest.mark.parametrize(
    ("reuse", "unknown", "again"),
    [("known", (), False), ("known", ("the weather",), True), ("always", ("the weather",), False), ("never", (), True)],
)
def test_reuse_is_what_the_configuration_says(
    kitchen: Make, oven: Oven, order: BakeOrder, reuse: str, unknown: tuple[str, ...], *, again: bool
) -> None:
    oven.unknown, order = unknown, replace(order, reuse=reuse)
    kitchen().bake(order)
    kitchen().bake(order)

    assert (len(oven.built) == 2) == again


def test_always_still_bakes_what_changed(kitchen: Make, oven: Oven, order: BakeOrder) -> None:
    order = replace(order, reuse="always")
    kitchen().bake(order)
    oven.inputs = {"file a": "2"}
    kitchen().bake(order)

    assert len(oven.built) == 2


def test_an_input_that_cannot_be_known_is_the_reason(kitchen: Make, oven: Oven, order: BakeOrder) -> None:
    oven.unknown = ("the weather", "the tide")
    kitchen().bake(order)
    (plan,) = kitchen().plan(order)

    assert plan.reasons == ("not all it depends on can be known: the weather; the tide",)


def test_rebake_bakes_whatever_is_known(kitchen: Make, oven: Oven, order: BakeOrder) -> None:
    kitchen().bake(order)
    kitchen(rebake=True).bake(order)

    assert len(oven.built) == 2


def test_an_image_that_is_gone_is_baked_again(kitchen: Make, oven: Oven, order: BakeOrder) -> None:
    kitchen().bake(order)
    oven.driver.images.clear()
    (plan,) = kitchen().plan(order)
    kitchen().bake(order)

    assert plan.reasons == ("the image is gone",)
    assert len(oven.built) == 2


def test_only_the_sources_that_changed_are_baked(kitchen: Make, oven: Oven, order: BakeOrder) -> None:
    kitchen().bake(replace(order, sources=("docker.web",)))
    baked = kitchen().bake(replace(order, sources=("docker.web", "docker.db")))

    assert oven.built == [("docker.web",), ("docker.db",)]
    assert set(baked.images) == {"docker.web", "docker.db"}


def test_a_bake_that_failed_is_not_remembered(kitchen: Make, oven: Oven, order: BakeOrder) -> None:
    oven.failing = True
    with pytest.raises(BakeError):
        kitchen().bake(order)
    oven.failing = False
    (plan,) = kitchen().plan(order)

    assert plan.reasons == ("it was not baked before",)


def test_a_bake_whose_inputs_changed_meanwhile_is_not_remembered(
    kitchen: Make, oven: Oven, order: BakeOrder, said: list[str]
) -> None:
    oven.during = lambda: oven.inputs.update({"file a": "2"})
    baked = kitchen().bake(order)
    oven.during = lambda: None

    assert baked.images["docker.web"][0].digest.startswith("sha256:")
    assert "changed while it was baked" in said[-1]
    for value in ("1", "2"):
        oven.inputs = {"file a": value}
        assert kitchen().plan(order)[0].reasons == ("it was not baked before",)


@pytest.mark.parametrize("damage", [b"", b"{", b"{}", b"\xff", b'{"artifact": 1}'])
def test_a_record_that_is_not_understood_is_no_record(
    kitchen: Make, oven: Oven, order: BakeOrder, tmp_path: Path, damage: bytes
) -> None:
    kitchen().bake(order)
    for path in (tmp_path / "state" / "bakes").rglob("*.json"):
        path.write_bytes(damage)
    kitchen().bake(order)

    assert len(oven.built) == 2


def test_a_record_under_a_shortened_key_that_is_another_is_not_taken(
    kitchen: Make, oven: Oven, order: BakeOrder, tmp_path: Path
) -> None:
    kitchen().bake(order)
    oven.inputs = {"file a": "2"}
    (plan,) = kitchen().plan(order)
    (path,) = (tmp_path / "state" / "bakes").rglob("*.json")
    path.rename(path.with_name(f"{plan.key.removeprefix('sha256:')[:16]}.json"))

    assert kitchen().plan(order)[0].reasons == ("file a changed",)


def test_the_log_of_an_earlier_bake_is_kept_with_it(
    kitchen: Make, oven: Oven, order: BakeOrder, tmp_path: Path
) -> None:
    kitchen().bake(order)
    log = tmp_path / "run" / "bake-web.log"
    log.unlink()
    oven.inputs = {"file a": "2"}
    kitchen().bake(order)
    oven.inputs = {"file a": "1"}
    kitchen().bake(order)

    assert log.read_text() == "log 1"


def test_what_must_be_masked_is_handed_on(kitchen: Make, oven: Oven, order: BakeOrder) -> None:
    oven.secrets = ("s3cret",)

    assert kitchen().bake(order).secrets == ("s3cret",)


def test_a_folder_that_cannot_be_written_is_said(kitchen: Make, order: BakeOrder, tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")

    with pytest.raises(StorageError, match="cannot write"):
        kitchen().bake(order)


def test_two_images_of_one_name_in_two_projects_are_kept_apart_by_their_state(
    oven: Oven, order: BakeOrder, tmp_path: Path
) -> None:
    for state in ("one", "two"):
        Kitchen(
            builder=lambda: oven, driver=lambda _: oven.driver, leases=Leases(tmp_path / state / "leases"),
            state=tmp_path / state, folder=tmp_path / "run", progress=lambda _: None,
        ).bake(order)  # fmt: skip

    assert len(oven.built) == 2
