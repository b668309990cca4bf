"""Into a channel leads only an open verdict over the very bytes that were tested."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import pytest

from imagetest.errors import (
    ConfigError,
    EngineError,
    GateClosedError,
    ImagetestError,
    InfrastructureError,
    RegistryError,
    UsageError,
)  # fmt: skip
from imagetest.model.assessment import Assessment, Objection, Verdict
from imagetest.model.codec import decode
from imagetest.model.image import Image
from imagetest.model.outlet import AmiOutlet, Evidence, Outlet
from imagetest.model.promotion import Action, Placement, Promotion
from imagetest.pipeline.desk import Desk
from imagetest.pipeline.promote import promote
from imagetest.pipeline.revoke import revoke
from imagetest.pipeline.rollback import rollback
from imagetest.policy import channels
from imagetest.testing.fakes import FakeDriver
from tests.nouns import NOW, found, judged

OPEN = Verdict(gate="default", objections=(), decided=NOW)
CLOSED = Verdict(gate="default", objections=(Objection(rule="r", message="it is broken"),), decided=NOW)


@dataclass
class Shelf:
    """A promoter that remembers what was brought, what each tag names and what was retired."""

    tags: dict[str, str] = field(default_factory=dict)
    brought: dict[str, Evidence] = field(default_factory=dict)
    retirements: list[tuple[list[str], list[str]]] = field(default_factory=list)
    led_to: set[str] = field(default_factory=set)
    withdrawn: list[str] = field(default_factory=list)
    prefix: str = "shelf:"
    stuck: bool = False
    lost_by: ImagetestError | None = None
    full: bool = False
    unfit: bool = False
    meanwhile: Callable[[], object] = lambda: None
    """What others do between the record and the pointer."""

    def check(self, outlet: Outlet) -> None:
        if self.unfit:
            raise ConfigError(f"channel {outlet.channel!r} takes no such images")

    def place(self, image: Image, outlet: Outlet, evidence: Evidence) -> tuple[Placement, ...]:
        if self.full:
            raise EngineError("there is no room")
        self.brought[image.digest] = evidence
        return (Placement(where=f"{self.prefix}{outlet.image}/{image.digest}", digest=image.digest),)

    def publish(self, image: Image, outlet: Outlet, placements: Sequence[Placement]) -> None:
        if self.stuck:
            raise EngineError("the engine is away")
        meanwhile, self.meanwhile = self.meanwhile, lambda: None
        meanwhile()
        assert {one.digest for one in placements} == {image.digest}
        self.tags[outlet.tag] = image.digest
        self.led_to.add(image.digest)

    def stands(self, image: Image, outlet: Outlet, placements: Sequence[Placement]) -> bool:
        assert {one.digest for one in placements} == {image.digest}
        return self.tags.get(outlet.tag) == image.digest

    def withdraw(self, outlet: Outlet, placements: Sequence[Placement]) -> None:
        assert placements
        if self.stuck:
            raise EngineError("the engine is away")
        meanwhile, self.meanwhile = self.meanwhile, lambda: None
        meanwhile()
        self.withdrawn = [one.where for one in placements]
        self.tags.pop(outlet.tag, None)

    def retire(self, outlet: Outlet, superseded: Sequence[Placement], surplus: Sequence[Placement]) -> None:
        assert outlet.channel
        if self.lost_by is not None:
            raise self.lost_by
        self.retirements.append(([one.digest for one in superseded], [one.digest for one in surplus]))

        self.led_to -= {one.digest for one in superseded}

    def retired(self, outlet: Outlet, superseded: Sequence[Placement]) -> bool:
        assert outlet.channel
        return self.led_to.isdisjoint(one.digest for one in superseded)


@dataclass
class Book:
    """A registry in memory."""

    records: list[Promotion] = field(default_factory=list)
    closed: bool = False

    def check(self) -> None:
        return

    def record(self, assessment: Assessment, verdict: Verdict, document: bytes) -> None:
        del assessment, verdict, document

    def document(self, key: str) -> bytes | None:
        del key
        return None

    def promote(self, promotion: Promotion) -> Promotion:
        if self.closed:
            raise RegistryError("the registry is read-only")
        self.records.append(replace(promotion, number=len(self.records) + 1))
        return self.records[-1]

    def history(self, channel: str | None = None) -> tuple[Promotion, ...]:
        return tuple(one for one in self.records if channel in {None, one.channel})


@dataclass
class World:
    """Images, tags and records."""

    driver: FakeDriver = field(default_factory=FakeDriver)
    shelf: Shelf = field(default_factory=Shelf)
    book: Book = field(default_factory=Book)

    def image(self, reference: str, content: str = "", name: str = "web") -> Image:
        self.driver.images[reference] = content or reference
        return self.driver.identify(reference, name=name)

    keep: int | None = None

    @property
    def desk(self) -> Desk:
        outlet = Outlet(channel="stable", image="web", tag="web:stable", ami=AmiOutlet(keep=self.keep))
        return Desk(outlet=outlet, promoter=self.shelf, store=self.book)

    def promote(self, image: Image, verdict: Verdict = OPEN) -> Promotion:
        assessment = replace(judged(found("a")), image=image)
        return promote(assessment, verdict, desk=self.desk, driver=self.driver, by="maria@desk", now=NOW)

    def revoke(self) -> Promotion:
        return revoke(desk=self.desk, by="maria@desk", reason="broken", now=NOW)

    def rollback(self, to: int | None = None) -> Promotion:
        return rollback(desk=self.desk, driver=self.driver, by="maria@desk", reason="broken", now=NOW, to=to)


@pytest.fixture
def world() -> World:
    return World()


def test_an_open_verdict_lets_the_image_in(world: World) -> None:
    image = world.image("one")
    recorded = world.promote(image)

    assert (recorded.number, recorded.action, recorded.digest, recorded.by) == (
        1, Action.PROMOTE, image.digest, "maria@desk",
    )  # fmt: skip
    assert world.shelf.tags == {"web:stable": image.digest}


def test_a_closed_verdict_leaves_neither_record_nor_tag(world: World) -> None:
    with pytest.raises(GateClosedError, match="'web' is not promoted to 'stable': it is broken") as caught:
        world.promote(world.image("one"), CLOSED)

    assert caught.value.exit_code == 1
    assert (world.book.records, world.shelf.tags) == ([], {})


def test_an_image_that_changed_after_its_test_is_refused(world: World) -> None:
    image = world.image("one", "tested")
    world.image("one", "changed")

    with pytest.raises(GateClosedError, match="changed after it was tested"):
        world.promote(image)
    assert (world.book.records, world.shelf.tags) == ([], {})


def test_an_image_that_is_gone_is_refused(world: World) -> None:
    image = world.image("one")
    world.driver.images.clear()

    with pytest.raises(EngineError):
        world.promote(image)
    assert (world.book.records, world.shelf.tags) == ([], {})


def test_without_a_record_there_is_no_tag(world: World) -> None:
    world.book.closed = True

    with pytest.raises(RegistryError):
        world.promote(world.image("one"))
    assert world.shelf.tags == {}


def test_a_tag_that_could_not_be_moved_is_mended_by_promoting_again(world: World) -> None:
    image = world.image("one")
    world.shelf.stuck = True
    with pytest.raises(EngineError):
        world.promote(image)
    world.shelf.stuck = False
    world.promote(image)

    assert [one.digest for one in world.book.records] == [image.digest] * 2
    assert world.shelf.tags == {"web:stable": image.digest}


def test_what_is_revoked_loses_its_tag_and_nothing_takes_its_place(world: World) -> None:
    for name in ("one", "two"):
        world.promote(world.image(name))
    recorded = world.revoke()

    assert (recorded.action, recorded.reason, recorded.number) == (Action.REVOKE, "broken", 3)
    assert world.shelf.tags == {}
    assert channels.current(world.book.history(), channel="stable", image="web") is None


def test_a_rollback_brings_the_image_before_back(world: World) -> None:
    one, two = world.image("one"), world.image("two")
    world.promote(one)
    world.promote(two)
    recorded = world.rollback()

    assert (recorded.action, recorded.digest) == (Action.ROLLBACK, one.digest)
    assert world.shelf.tags == {"web:stable": one.digest}
    with pytest.raises(UsageError, match="held no other 'web' that was not revoked"):
        world.rollback()


def test_a_rollback_never_leads_to_what_was_revoked(world: World) -> None:
    for name in ("one", "two"):
        world.promote(world.image(name))
    world.revoke()
    world.rollback()
    world.revoke()

    with pytest.raises(UsageError):
        world.rollback()
    assert world.shelf.tags == {}


def test_a_rollback_to_what_is_no_longer_itself_is_refused(world: World) -> None:
    for name in ("one", "two"):
        world.promote(world.image(name))
    world.image("one", "changed")
    tags = dict(world.shelf.tags)

    with pytest.raises(GateClosedError, match="was promoted"):
        world.rollback()
    assert world.shelf.tags == tags
    assert len(world.book.records) == 2


def test_what_was_brought_where_stands_in_the_record(world: World) -> None:
    image = world.image("one")
    recorded = world.promote(image)
    evidence = world.shelf.brought[image.digest]

    assert recorded.placements == (Placement(where=f"shelf:web/{image.digest}", digest=image.digest),)
    assert evidence.assessment_id == recorded.assessment_id
    assert decode(evidence.document).assessment.image == image


def test_what_cannot_be_brought_is_not_recorded(world: World) -> None:
    world.shelf.full = True

    with pytest.raises(EngineError, match="no room"):
        world.promote(world.image("one"))
    assert (world.book.records, world.shelf.tags) == ([], {})


def test_a_channel_that_takes_no_such_images_gets_nothing(world: World) -> None:
    world.shelf.unfit = True

    with pytest.raises(ConfigError, match="takes no such images"):
        world.promote(world.image("one"))
    assert (world.book.records, world.shelf.brought) == ([], {})


def test_two_who_promote_at_once_leave_the_channel_as_it_is_recorded(world: World) -> None:
    one, two = world.image("one"), world.image("two")
    world.shelf.meanwhile = lambda: world.promote(two)
    world.promote(one)

    assert [record.digest for record in world.book.records] == [one.digest, two.digest]
    assert world.shelf.tags == {"web:stable": two.digest}


def test_a_rollback_brings_the_content_again_and_records_where(world: World) -> None:
    one = world.image("one")
    world.promote(one)
    world.promote(world.image("two"))
    world.shelf.brought.clear()
    recorded = world.rollback()

    assert list(world.shelf.brought) == [one.digest]
    assert [place.digest for place in recorded.placements] == [one.digest]


def test_what_was_there_before_is_retired_and_what_is_kept_is_not_surplus(world: World) -> None:
    world.keep = 1
    one, two, three = [world.image(name) for name in ("one", "two", "three")]
    for image in (one, two, three):
        world.promote(image)

    assert world.shelf.retirements == [([], []), ([one.digest], []), ([two.digest, one.digest], [one.digest])]


def test_a_promotion_whose_predecessor_could_not_be_retired_is_done_and_says_so(world: World) -> None:
    world.shelf.lost_by = EngineError("the engine is away")
    image = world.image("one")

    with pytest.raises(InfrastructureError, match=r"'web' is in 'stable' as record 1, but .*: the engine is away"):
        world.promote(image)
    assert world.shelf.tags == {"web:stable": image.digest}
    assert [record.digest for record in world.book.records] == [image.digest]


@pytest.mark.parametrize("error", [ConfigError("no region"), GateClosedError("no"), RegistryError("it is away")])
def test_whatever_keeps_the_predecessor_from_being_retired_the_promotion_is_said_to_be_done(
    error: ImagetestError, world: World
) -> None:
    image = world.image("one")
    world.shelf.lost_by = error

    with pytest.raises(InfrastructureError, match=r"'web' is in 'stable' as record 1, but"):
        world.promote(image)
    assert world.shelf.tags == {"web:stable": image.digest}


# -- what failed halfway


def test_a_revoke_that_failed_halfway_is_mended_by_doing_it_again(world: World) -> None:
    world.promote(world.image("one"))
    world.shelf.stuck = True
    with pytest.raises(EngineError):
        world.revoke()
    left = dict(world.shelf.tags)
    world.shelf.stuck = False
    recorded = world.revoke()

    assert left
    assert (recorded.number, recorded.action) == (2, Action.REVOKE)
    assert world.shelf.tags == {}
    assert len(world.book.records) == 2
    assert world.revoke() == recorded


def test_a_revoke_empties_every_place_that_its_content_was_ever_brought_to(world: World) -> None:
    image = world.image("one")
    world.shelf.prefix = "before:"
    world.promote(image)
    world.shelf.prefix = "shelf:"
    world.promote(image)
    world.revoke()

    assert world.shelf.withdrawn == [f"shelf:web/{image.digest}", f"before:web/{image.digest}"]


def test_a_revoke_takes_away_what_a_promotion_that_failed_halfway_left_pointed_at(world: World) -> None:
    one, two = world.image("one"), world.image("two")
    world.promote(one)
    world.shelf.stuck = True
    with pytest.raises(EngineError):
        world.promote(two)
    world.shelf.stuck = False
    world.revoke()

    assert world.shelf.withdrawn == [f"shelf:web/{image.digest}" for image in (two, one)]


def test_what_was_never_in_a_channel_is_not_revoked(world: World) -> None:
    with pytest.raises(UsageError, match="nothing called 'web' was ever promoted to 'stable'"):
        world.revoke()
    assert world.book.records == []


def test_a_rollback_that_failed_halfway_is_finished_and_leads_no_further_back(world: World) -> None:
    one, two, three = (world.image(name) for name in ("one", "two", "three"))
    for image in (one, two, three):
        world.promote(image)
    world.shelf.stuck = True
    with pytest.raises(EngineError):
        world.rollback()
    stayed = dict(world.shelf.tags)
    world.shelf.stuck = False
    finished = world.rollback()
    again = world.rollback()

    assert stayed == {"web:stable": three.digest}
    assert (finished.number, finished.digest) == (4, two.digest)
    assert (again.number, again.digest) == (5, one.digest)
    assert world.shelf.tags == {"web:stable": one.digest}


def test_a_rollback_that_did_not_retire_what_was_before_is_finished_and_leads_no_further_back(world: World) -> None:
    one, two, three = (world.image(name) for name in ("one", "two", "three"))
    for image in (one, two, three):
        world.promote(image)
    world.shelf.lost_by = EngineError("the account is away")
    with pytest.raises(InfrastructureError, match="was not retired"):
        world.rollback()
    world.shelf.lost_by = None
    finished = world.rollback()
    left = set(world.shelf.led_to)
    again = world.rollback()

    assert (finished.number, finished.digest, left) == (4, two.digest, {two.digest})
    assert (again.number, again.digest) == (5, one.digest)


def test_a_promotion_whose_pointer_was_not_moved_can_be_rolled_back(world: World) -> None:
    one, two = world.image("one"), world.image("two")
    world.promote(one)
    world.shelf.stuck = True
    with pytest.raises(EngineError):
        world.promote(two)
    world.shelf.stuck = False
    recorded = world.rollback()

    assert (recorded.number, recorded.digest) == (3, one.digest)
    assert world.shelf.tags == {"web:stable": one.digest}


def test_who_promotes_what_another_revokes_meanwhile_leaves_the_channel_as_it_is_recorded(world: World) -> None:
    world.shelf.meanwhile = world.revoke
    world.promote(world.image("one"))

    assert [record.action for record in world.book.records] == [Action.PROMOTE, Action.REVOKE]
    assert world.shelf.tags == {}


def test_who_revokes_while_another_promotes_leaves_the_channel_as_it_is_recorded(world: World) -> None:
    two = world.image("two")
    world.promote(world.image("one"))
    world.shelf.meanwhile = lambda: world.promote(two)
    world.revoke()

    assert [record.action for record in world.book.records] == [Action.PROMOTE, Action.REVOKE, Action.PROMOTE]
    assert world.shelf.tags == {"web:stable": two.digest}


class Cellar(Shelf):
    """A shelf that keeps what was brought, whatever becomes of what it was made of."""

    def kept(self, image: Image, outlet: Outlet, placements: Sequence[Placement]) -> tuple[Placement, ...]:
        assert outlet.image == image.name
        return tuple(placements) if image.digest in self.brought else ()


def test_a_rollback_takes_what_was_brought_though_its_source_is_gone(world: World) -> None:
    world.shelf = Cellar()
    one, two = world.image("one"), world.image("two")
    placed = world.promote(one).placements
    world.promote(two)
    world.driver.images.clear()
    recorded = world.rollback()

    assert (recorded.digest, recorded.placements) == (one.digest, placed)
    assert world.shelf.tags == {"web:stable": one.digest}


def test_a_rollback_to_what_is_gone_altogether_is_refused(world: World) -> None:
    world.shelf = Cellar()
    for name in ("one", "two"):
        world.promote(world.image(name))
    world.driver.images.clear()
    world.shelf.brought.clear()

    with pytest.raises(EngineError, match=r"'stable' cannot go back to record 1, 'web' sha256:\w+: ") as refused:
        world.rollback()
    assert refused.value.hint == "there is nothing else to go back to: bake it again and promote that"
    assert len(world.book.records) == 2


def test_past_what_is_gone_one_goes_further_back_by_its_number(world: World) -> None:
    one, two, three = (world.image(name) for name in ("one", "two", "three"))
    for image in (one, two, three):
        world.promote(image)
    del world.driver.images["two"]
    with pytest.raises(EngineError) as refused:
        world.rollback()
    recorded = world.rollback(to=1)

    assert "'imagetest rollback stable --image web --to 1 --reason WHY'" in refused.value.hint
    assert (recorded.number, recorded.digest) == (4, one.digest)
    assert world.shelf.tags == {"web:stable": one.digest}


def test_a_rollback_that_cannot_be_finished_holds_nobody_from_another(world: World) -> None:
    world.shelf = Cellar()
    one, two, three = (world.image(name) for name in ("one", "two", "three"))
    for image in (one, two, three):
        world.promote(image)
    world.shelf.stuck = True
    with pytest.raises(EngineError):
        world.rollback()
    with pytest.raises(EngineError) as unfinished:
        world.rollback()
    world.shelf.stuck = False
    recorded = world.rollback(to=1)

    assert "record 4" in str(unfinished.value)
    assert "--to 1 " in unfinished.value.hint
    assert recorded.digest == one.digest
    assert world.shelf.tags == {"web:stable": one.digest}


@pytest.mark.parametrize("number", [2, 3, 9])
def test_a_record_that_there_is_no_going_back_to_is_one_line(world: World, number: int) -> None:
    world.promote(world.image("one"))
    world.promote(world.image("two"))
    world.revoke()

    with pytest.raises(
        UsageError, match=rf"cannot go back to a record {number} of 'web': there is none, or it was revoked"
    ):
        world.rollback(to=number)


def test_what_tells_a_registry_is_its_first_record_for_ever(world: World) -> None:
    before = world.desk.recorded().registry
    other = World()
    world.promote(world.image("one"))
    first = world.desk.recorded().registry
    world.promote(world.image("two"))
    other.promote(other.image("two"))
    other.book.records[0] = replace(other.book.records[0], at=NOW.replace(microsecond=7))

    assert before == ""
    assert first
    assert world.desk.recorded().registry == first
    assert other.desk.recorded().registry != first
