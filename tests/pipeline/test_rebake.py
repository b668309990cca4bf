"""What is baked for a comparison has a lease, is published nowhere, and is gone afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from imagetest.errors import BakeError, ConfigError, LeakError
from imagetest.execute.leases import IMAGE, Leases
from imagetest.model.image import Image
from imagetest.model.plan import BakeOrder
from imagetest.pipeline.reap import reap
from imagetest.pipeline.rebake import Rebakes
from imagetest.ports import Artifact, Claim, Progress
from imagetest.testing.contracts import ignore
from imagetest.testing.fakes import FakeDriver
from tests.pipeline.test_bake import Oven


class Stove(Oven):
    """An oven that remembers what it was to start from."""

    def __init__(self, driver: FakeDriver, leases: Leases) -> None:
        super().__init__(driver, secrets=("secret",), during=self._look)
        self.leases = leases
        self.bases: list[str] = []
        self.held: list[str] = []

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
        self.bases.append(base)
        return super().repeat(order, source, base="", log=log, secrets=secrets, progress=progress, claim=claim)

    def _look(self) -> None:
        self.held = [lease.resource for lease in self.leases]


class Place:
    """Where it is baked again."""

    def __init__(self, folder: Path) -> None:
        self.leases = Leases(folder / "leases")
        self.driver = FakeDriver()
        self.stove = Stove(self.driver, self.leases)
        self.rebakes = Rebakes(
            builder=lambda: self.stove, driver=lambda _kind: self.driver, leases=self.leases, folder=folder / "reports",
            progress=ignore, secrets=lambda: ("secret",),
        )  # fmt: skip
        self.order = BakeOrder(name="web", template=folder / "web.pkr.hcl", project=folder)

    def bake(self, on: Image | None = None) -> Image:
        return self.rebakes.bake(self.order, "docker.web", name="web", on=on)

    def left(self) -> list[tuple[str, str]]:
        return [(lease.kind, lease.resource) for lease in self.leases]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_second_bake_has_a_lease_until_it_is_discarded(place: Place, tmp_path: Path) -> None:
    image = place.bake()
    held = place.left()
    place.rebakes.discard("web")

    assert (image.name, place.stove.bases, place.stove.held) == ("web", [""], ["pan-0"])
    assert held == [(IMAGE + "fake", "docker.web:1")]
    assert (place.left(), "docker.web:1" in place.driver.images) == ([], False)
    assert (tmp_path / "reports" / "rebake-web.log").read_text() == "log 1"


def test_the_provisioners_run_on_the_finished_image(place: Place, tmp_path: Path) -> None:
    first = place.bake()
    place.bake(on=first)

    assert place.stove.bases == ["", first.digest]
    assert (tmp_path / "reports" / "rerun-web.log").exists()


def test_a_bake_that_fails_leaves_nothing(place: Place) -> None:
    place.stove.failing = True
    with pytest.raises(BakeError, match="burnt"):
        place.bake()

    assert place.left() == []


def test_an_image_without_a_template_cannot_be_baked_again(place: Place) -> None:
    with pytest.raises(ConfigError, match="'web' was not baked here: no template is known of it"):
        place.rebakes.bake(None, "", name="web")


def test_what_is_left_at_the_end_is_removed_and_what_cannot_be_is_told(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.bake()

    def stuck(reference: str) -> None:
        raise LeakError(f"{reference} is in use")

    with monkeypatch.context() as patch:
        patch.setattr(place.driver, "discard", stuck)
        told = place.rebakes.close()

    assert [str(one) for one in told] == ["docker.web:1 is in use"]
    assert place.left() == [(IMAGE + "fake", "docker.web:1")]


def test_an_image_that_a_killed_run_left_is_reaped(place: Place, tmp_path: Path) -> None:
    place.bake()
    (lease,) = place.leases
    gone = lease.__class__(kind=lease.kind, resource=lease.resource, image="web", pid=2**22 - 1, started="")
    place.leases._write(gone)  # noqa: SLF001 - as the process that is gone would have
    reaped = reap(place.leases, lambda _kind: place.driver, keys=tmp_path / "keys")

    assert [one.resource for one in reaped] == ["docker.web:1"]
    assert (place.left(), "docker.web:1" in place.driver.images) == ([], False)
