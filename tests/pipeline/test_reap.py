"""What a killed run left is removed; what somebody still answers for, or kept, is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from imagetest.errors import LeakError, StorageError
from imagetest.execute.leases import Lease, Leases
from imagetest.pipeline.reap import reap
from imagetest.testing.fakes import FakeDriver

NOBODY = 2**22 - 1


class Beach:
    """Leases as runs left them, and what became of their resources."""

    def __init__(self, folder: Path) -> None:
        self.leases = Leases(folder / "leases")
        self.keys = folder / "keys"
        self.driver = FakeDriver()

    def leave(self, resource: str, *, alive: bool = False, kept: bool = False) -> Lease:
        lease = self.leases.take("fake", resource, "web")
        lease = replace(lease, kept=kept, pid=lease.pid if alive else NOBODY)
        self.leases._write(lease)  # noqa: SLF001 - as the process that is gone would have
        (self.keys / resource).mkdir(parents=True)
        return lease

    def reap(self, *, kept: bool = False) -> list[str]:
        removed = reap(self.leases, lambda _kind: self.driver, keys=self.keys, kept=kept)
        return [lease.resource for lease in removed]

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
    assert beach.left() == ["a-stuck"]
    assert [path.name for path in beach.keys.iterdir()] == ["a-stuck"]


def test_a_lease_that_cannot_be_read_is_no_reason_to_guess(beach: Beach, tmp_path: Path) -> None:
    beach.leave("abandoned")
    (tmp_path / "leases" / "torn.json").write_text("{")

    with pytest.raises(StorageError, match=r"torn\.json"):
        beach.reap()
    (tmp_path / "leases" / "torn.json").unlink()

    assert beach.left() == ["abandoned"]
