"""What a builder makes for a bake: leased until it is gone, and looked for where it may have been lost sight of."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from imagetest.errors import BakeError, LeakError
from imagetest.execute.leases import Leases
from imagetest.pipeline.claims import leased
from imagetest.ports import Event, Expired
from imagetest.testing.fakes import FakeDriver


class Account(FakeDriver):
    """A place where things outlive the machine that had them made."""

    def __init__(self, *there: str) -> None:
        super().__init__()
        self.there = set(there)

    def expired(self, where: str, now: datetime) -> Expired:  # noqa: ARG002 - nothing here has an expiry
        return Expired(resources=(), unreadable=())

    def settle(self, reference: str) -> None:
        self.there.remove(reference)

    def destroy(self, resource: str) -> None:
        super().destroy(resource)
        self.there.discard(resource)

    def discard(self, reference: str) -> None:
        super().discard(reference)
        self.there.discard(reference)


class Bake:
    """Things that a builder says it makes, and how that ends."""

    def __init__(self, folder: Path, account: Account) -> None:
        self._drivers = {"account": account, "here": FakeDriver()}
        self.watched = 0
        self.leases = Leases(folder, outlive=self._watch)
        self.told: list[str] = []
        self.meanwhile: list[str] = []

    def run(self, *made: tuple[str, str], failing: bool = False) -> None:
        with leased(self.leases, self._drivers.__getitem__, "web", self._tell) as claim:
            for kind, resource in made:
                claim(kind, resource)
            self.meanwhile = self.left()
            if failing:
                raise BakeError("burnt")

    def _watch(self) -> None:
        assert "elsewhere" not in self.left()
        self.watched += 1

    def left(self) -> list[str]:
        return [lease.resource for lease in self.leases]

    def _tell(self, event: Event) -> None:
        self.told.append(event.text)


@pytest.mark.parametrize("failing", [False, True])
def test_what_is_left_in_an_account_goes_however_the_bake_ends(tmp_path: Path, *, failing: bool) -> None:
    account = Account("lost", "another's")
    bake = Bake(tmp_path, account)
    try:
        bake.run(("folder", "/tmp/x"), ("here", "box"), ("account", "lost"), failing=failing)
    except BakeError:
        assert failing

    assert sorted(bake.meanwhile) == ["/tmp/x", "box", "lost"]
    assert (bake.left(), account.there) == ([], {"another's"})


def test_what_cannot_be_removed_keeps_its_lease_and_is_an_error(tmp_path: Path) -> None:
    account = Account("one", "two")
    account.stuck = {"one"}
    bake = Bake(tmp_path, account)

    with pytest.raises(LeakError, match="'one' may still be there"):
        bake.run(("account", "one"), ("account", "two"))
    assert (bake.left(), account.there) == (["one"], {"one"})


def test_what_failed_stays_the_error_and_the_leak_is_told(tmp_path: Path) -> None:
    account = Account("one")
    account.stuck = {"one"}
    bake = Bake(tmp_path, account)

    with pytest.raises(BakeError, match="burnt"):
        bake.run(("account", "one"), failing=True)
    assert bake.told == ["'one' may still be there; 'imagetest reap' tries again"]
    assert bake.left() == ["one"]


@pytest.mark.parametrize("failing", [False, True])
def test_an_image_goes_with_the_bake_that_fails_and_stays_with_the_one_that_does_not(
    tmp_path: Path, *, failing: bool
) -> None:
    account = Account("baked")
    bake = Bake(tmp_path, account)
    try:
        bake.run(("image:account", "baked"), failing=failing)
    except BakeError:
        assert failing

    assert bake.meanwhile == ["baked"]
    assert (bake.left(), account.there) == ([], set() if failing else {"baked"})


def test_somebody_outlives_the_run_before_anything_is_made_elsewhere(tmp_path: Path) -> None:
    here, elsewhere = Bake(tmp_path, Account()), Bake(tmp_path, Account())
    here.run(("folder", "/tmp/x"), ("here", "box"))
    elsewhere.run(("account", "elsewhere"))

    assert (here.watched, elsewhere.watched) == (0, 1)
