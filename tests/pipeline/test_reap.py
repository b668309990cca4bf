"""What a killed run left is removed; what somebody still answers for, or kept, is not."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import pytest

from imagetest.config import wiring
from imagetest.errors import EngineError, LeakError, PluginError, StorageError
from imagetest.execute.leases import Lease, Leases
from imagetest.model.assessment import Assessment, Verdict
from imagetest.model.promotion import Action, Leftover, Placement, Promotion
from imagetest.pipeline.reap import Swept, reap, reap_leftovers
from imagetest.ports import Driver
from imagetest.testing.fakes import FakeDriver
from tests.nouns import NOW, record

NOBODY = 2**22 - 1


class Beach:
    """Leases as runs left them, and what became of their resources."""

    def __init__(self, folder: Path) -> None:
        self.leases = Leases(folder / "leases")
        self.keys = folder / "keys"
        self.driver = FakeDriver()
        self.told: list[str] = []

    def leave(self, resource: str, *, alive: bool = False, kept: bool = False) -> Lease:
        lease = self.leases.take("fake", resource, "web")
        lease = replace(lease, kept=kept, pid=lease.pid if alive else NOBODY)
        self.leases._write(lease)  # noqa: SLF001 - as the process that is gone would have
        (self.keys / resource).mkdir(parents=True)
        return lease

    def drivers(self, kind: str) -> Driver:
        return self.driver if kind == "fake" else wiring.driver(kind)

    def reap(self, *, kept: bool = False) -> list[str]:
        told = self.told = list[str]()
        reap(
            self.leases, self.drivers, keys=self.keys, kept=kept,
            told=lambda lease: told.append(lease.resource),
        )  # fmt: skip
        return told

    def left(self) -> list[str]:
        return [lease.resource for lease in self.leases]


@pytest.fixture
def beach(tmp_path: Path) -> Beach:
    return Beach(tmp_path)


def test_only_what_is_abandoned_is_removed(beach: Beach) -> None:
    beach.leave("abandoned")
    beach.leave("in-use", alive=True)
    beach.leave("kept", kept=True)

    assert beach.reap() == ["abandoned"]
    assert beach.left() == ["in-use", "kept"]
    assert sorted(path.name for path in beach.keys.iterdir()) == ["in-use", "kept"]


def test_what_was_kept_is_removed_when_that_is_asked_for(beach: Beach) -> None:
    beach.leave("abandoned")
    beach.leave("in-use", alive=True)
    beach.leave("kept", kept=True)
    beach.leave("kept-by-a-live-run", kept=True, alive=True)

    assert sorted(beach.reap(kept=True)) == ["abandoned", "kept", "kept-by-a-live-run"]
    assert beach.left() == ["in-use"]


def test_nothing_left_is_nothing_to_do(beach: Beach) -> None:
    assert beach.reap() == []


def test_one_that_cannot_be_removed_does_not_save_the_others(beach: Beach) -> None:
    beach.leave("a-stuck")
    beach.leave("b-abandoned")
    beach.driver.stuck.add("a-stuck")

    with pytest.raises(LeakError, match="a-stuck"):
        beach.reap()
    assert (beach.told, beach.left()) == (["b-abandoned"], ["a-stuck"])
    assert [path.name for path in beach.keys.iterdir()] == ["a-stuck"]


def test_one_that_nobody_here_knows_how_to_remove_does_not_save_the_others(beach: Beach) -> None:
    beach.leases._write(replace(beach.leave("a-foreign"), kind="balloon"))  # noqa: SLF001 - as a plugin's that is gone
    beach.leave("b-abandoned")

    with pytest.raises(PluginError, match="balloon"):
        beach.reap()
    assert (beach.told, beach.left()) == (["b-abandoned"], ["a-foreign"])


def test_a_lease_that_cannot_be_read_is_said_and_saves_no_other(beach: Beach, tmp_path: Path) -> None:
    beach.leave("abandoned")
    (tmp_path / "leases" / "a-torn.json").write_text("{")

    with pytest.raises(StorageError, match=r"torn\.json"):
        beach.reap()
    assert beach.told == ["abandoned"]
    assert [path.name for path in (tmp_path / "leases").iterdir()] == ["a-torn.json"]


# -- what failed promotions left


@dataclass
class Attic:
    """A promoter's leftovers, and what became of them; and the registry that may know of them."""

    found: dict[str, Leftover] = field(default_factory=dict)
    settled: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)
    records: list[Promotion] = field(default_factory=list)
    known: set[str] = field(default_factory=lambda: {"run-web"})
    told: dict[str, str] = field(default_factory=dict)

    def leave(self, where: str, assessment: str = "run-web") -> None:
        self.found[where] = Leftover(where=where, digest="sha256:a", assessment_id=assessment, owner="maria@desk")

    def leftovers(self, where: str, now: datetime) -> tuple[Leftover, ...]:
        assert now == NOW
        return tuple(one for one in self.found.values() if one.where.startswith(where))

    def settle(self, where: str) -> None:
        self.settled.append(where)

    def abandon(self, leftover: Leftover, now: datetime) -> bool:
        assert now == NOW
        if leftover.where in self.lost:
            raise EngineError("it is away")
        if leftover.where not in self.used:
            del self.found[leftover.where]
        return leftover.where not in self.used

    def check(self) -> None:
        return

    def record(self, assessment: Assessment, verdict: Verdict, document: bytes) -> None:
        del assessment, verdict, document

    def document(self, key: str) -> bytes | None:
        return b"{}" if key in self.known else None

    def promote(self, promotion: Promotion) -> Promotion:
        return promotion

    def history(self, channel: str | None = None) -> tuple[Promotion, ...]:
        return tuple(one for one in self.records if channel in {None, one.channel})

    def reap(self) -> dict[str, str]:
        def told(one: Swept) -> None:
            self.told[one.leftover.where] = "removed" if one.removed else one.why

        reap_leftovers(self, "ec2:here", store=self, now=NOW, told=told)
        return self.told


def test_what_nobody_recorded_in_time_is_removed() -> None:
    attic = Attic()
    attic.leave("ec2:here:ami-1")
    attic.leave("ec2:there:ami-2")

    assert attic.reap() == {"ec2:here:ami-1": "removed"}
    assert list(attic.found) == ["ec2:there:ami-2"]


@pytest.mark.parametrize("action", Action)
def test_what_any_record_names_stays_and_expires_no_more(action: Action) -> None:
    attic = Attic()
    attic.leave("ec2:here:ami-1")
    place = Placement(where="ec2:here:ami-1", digest="sha256:a")
    attic.records = [replace(record(action, "sha256:a", number=1), placements=(place,))]

    assert attic.reap() == {"ec2:here:ami-1": "a record names it: it expires no more"}
    assert attic.settled == ["ec2:here:ami-1"]
    assert list(attic.found) == ["ec2:here:ami-1"]


@pytest.mark.parametrize("assessment", ["run-of-another-project", ""])
def test_what_another_registry_may_have_recorded_stays(assessment: str) -> None:
    attic = Attic()
    attic.leave("ec2:here:ami-1", assessment)

    assert attic.reap() == {"ec2:here:ami-1": f"no assessment {assessment!r} is in this registry"}
    assert list(attic.found) == ["ec2:here:ami-1"]


def test_what_is_in_use_stays() -> None:
    attic = Attic(used={"ec2:here:ami-1"})
    attic.leave("ec2:here:ami-1")

    assert attic.reap() == {"ec2:here:ami-1": "it is in use, or promoted just now"}


def test_all_leftovers_are_tried_before_one_that_stays_is_said() -> None:
    attic = Attic(lost={"ec2:here:ami-1"})
    attic.leave("ec2:here:ami-1")
    attic.leave("ec2:here:ami-2")

    with pytest.raises(EngineError, match="it is away"):
        attic.reap()
    assert list(attic.found) == ["ec2:here:ami-1"]
    assert attic.told == {"ec2:here:ami-2": "removed"}
