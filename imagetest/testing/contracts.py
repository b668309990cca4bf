"""What every driver, promoter and reporter must keep: subclass a contract and provide its fixtures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from imagetest.errors import BootError, EngineError, InfrastructureError, MachineLostError
from imagetest.execute import keys
from imagetest.model.assessment import Assessment, Verdict
from imagetest.model.codec import Document, encode
from imagetest.model.control import Profile
from imagetest.model.image import Image
from imagetest.model.outlet import Evidence, Outlet
from imagetest.model.plan import BootPlan
from imagetest.model.promotion import Placement
from imagetest.ports import Access, Booted, Driver, Event, Promoter, Reattaching, Reporter
from imagetest.transport import connection
from imagetest.transport.shell import Shell

NAME = "web"
RESOURCE = "imagetest-contract-{}"

MOST_STEPS = 150
"""More than any promoter needs for one image; a few seconds each, at the worst."""


class DriverContract:
    """What a driver must keep.

    Provide the fixtures `driver`, `reference` (of an image that boots) and `there`, a function that says whether there
    is an instance of a name; override `plan` where an image needs one.
    """

    @pytest.fixture
    def plan(self) -> BootPlan:
        """Return how the image is booted."""
        return BootPlan()

    @pytest.fixture
    def image(self, driver: Driver, reference: str) -> Image:
        """Return the image."""
        return driver.identify(reference, name=NAME)

    @pytest.fixture
    def access(self, tmp_path: Path) -> Access:
        """Return the keys of one boot."""
        return make_access(tmp_path / "keys")

    @pytest.fixture
    def boot(self, driver: Driver, image: Image, plan: BootPlan, access: Access) -> Iterator[Callable[[str], Booted]]:
        """Return a function that boots an instance; all of them are removed in the end."""
        resources: list[str] = []

        def boot(suffix: str) -> Booted:
            resources.append(RESOURCE.format(suffix))
            return driver.boot(image, plan, resource=resources[-1], access=access, progress=ignore)

        yield boot
        for resource in resources:
            driver.destroy(resource)

    def test_an_image_is_known_by_the_digest_of_its_content(self, driver: Driver, image: Image, reference: str) -> None:
        assert image.name == NAME
        assert image.kind == driver.name
        assert image.digest.partition(":")[0] == "sha256"
        assert driver.identify(reference, name="other") == replace(image, name="other")

    def test_an_image_that_is_not_there_is_an_engine_error(self, driver: Driver) -> None:
        with pytest.raises(EngineError, match="imagetest-contract/none"):
            driver.identify("imagetest-contract/none:0", name=NAME)

    def test_an_instance_answers_as_soon_as_it_is_booted(self, boot: Callable[[str], Booted]) -> None:
        up = boot("answers")

        assert ask(up, "echo here; echo there >&2; exit 7") == (7, b"here\n", b"there\n")

    def test_an_instance_has_the_pinned_host_key(self, boot: Callable[[str], Booted]) -> None:
        address = boot("pinned").instance.address
        other = replace(address, host_key=keys.generate().public)

        connection.connect(address).close()
        with pytest.raises(connection.HostKeyError):
            connection.connect(other)

    def test_an_instance_lets_in_nobody_else(self, boot: Callable[[str], Booted], tmp_path: Path) -> None:
        address = boot("private").instance.address
        stranger = keys.generate().write(tmp_path / "stranger")

        with pytest.raises((connection.AuthenticationRefusedError, MachineLostError)):
            connection.connect(replace(address, key_file=str(stranger)))

    def test_a_boot_tells_how_it_went(self, driver: Driver, boot: Callable[[str], Booted], access: Access) -> None:
        told = boot("told").boot

        assert told.driver == driver.name
        assert told.reached_by in {"image", "gateway"}
        assert told.host_key_fingerprint == access.host.fingerprint
        assert told.started is not None
        assert told.started.tzinfo is not None
        assert 0 < told.reachable_seconds <= told.ready_seconds

    def test_a_boot_tells_what_was_up_when(self, boot: Callable[[str], Booted]) -> None:
        told = boot("timeline").boot
        moments = {one.name: one.seconds for one in told.timeline}

        assert [one.seconds for one in told.timeline] == sorted(moments.values())
        assert (moments["reachable"], moments["ready"]) == (told.reachable_seconds, told.ready_seconds)

    def test_a_reboot_keeps_files_and_ends_what_ran(
        self, driver: Driver, boot: Callable[[str], Booted], image: Image, plan: BootPlan, access: Access
    ) -> None:
        up = boot("reboots")
        ask(up, "echo kept >reboot.txt; sleep 1000 >/dev/null 2>&1 &")
        back = driver.restart(up, image, plan, access=access, progress=ignore)

        assert ask(back, "cat reboot.txt") == (0, b"kept\n", b"")
        assert back.instance.id == up.instance.id
        assert back.instance.address.host_key == up.instance.address.host_key
        assert back.boot.started is not None
        assert up.boot.started is not None
        assert back.boot.started > up.boot.started
        assert up.transport is not None
        assert not up.transport.is_active()

    def test_what_was_told_of_an_instance_cut_off_is_its_own(
        self, driver: Driver, image: Image, plan: BootPlan, access: Access
    ) -> None:
        resource = RESOURCE.format("alone")
        try:
            up = driver.boot(
                image, replace(plan, network="none"), resource=resource, access=access, progress=ignore
            )  # fmt: skip
            answer = ask(up, "echo alone")
            up.close()
        finally:
            driver.destroy(resource)

        assert answer == (0, b"alone\n", b"")

    def test_an_image_that_is_not_there_can_be_discarded(self, driver: Driver) -> None:
        driver.discard("imagetest-contract/none:0")
        driver.discard("imagetest-contract/none:0")

    def test_two_instances_stand_side_by_side(self, boot: Callable[[str], Booted]) -> None:
        one, other = boot("one"), boot("two")

        assert one.instance.id != other.instance.id
        where = [(up.instance.address.host, up.instance.address.port) for up in (one, other)]
        assert where[0] != where[1]
        assert ask(one, "true") == ask(other, "true") == (0, b"", b"")

    def test_an_instance_is_gone_when_it_was_destroyed(
        self, driver: Driver, boot: Callable[[str], Booted], there: Callable[[str], bool]
    ) -> None:
        up = boot("gone")
        stood = there(up.instance.id)
        driver.destroy(up.instance.id)

        assert stood
        assert not there(up.instance.id)

    def test_an_instance_that_is_not_there_can_be_destroyed(self, driver: Driver) -> None:
        driver.destroy(RESOURCE.format("never"))
        driver.destroy(RESOURCE.format("never"))

    def test_an_instance_is_called_as_the_lease_says(self, boot: Callable[[str], Booted]) -> None:
        assert boot("named").instance.id == RESOURCE.format("named")

    def test_the_image_at_rest_can_be_asked(self, driver: Driver, image: Image, access: Access) -> None:
        resource = RESOURCE.format("rest")
        try:
            up = driver.rest(image, resource=resource, access=access)
            answer = ask(up, "echo at rest")
            up.close()
        finally:
            driver.destroy(resource)

        assert answer == (0, b"at rest\n", b"")

    def test_last_words_are_words_even_when_the_instance_is_gone(
        self, driver: Driver, boot: Callable[[str], Booted]
    ) -> None:
        resource = boot("words").instance.id
        before = driver.last_words(resource)
        driver.destroy(resource)

        assert before
        assert driver.last_words(resource)


class ReattachingContract(DriverContract):
    """What a driver must keep that can reach an instance again which an earlier run left up.

    `later` is the driver as the later run has it; override it where that can be another object.
    """

    @pytest.fixture
    def later(self, driver: Driver) -> Driver:
        """Return the later run's driver."""
        return driver

    @pytest.fixture
    def attach(
        self, later: Driver, image: Image, plan: BootPlan, access: Access
    ) -> Iterator[Callable[[Booted], Booted]]:
        """Return a function that lets go of an instance and reaches it again; it is let go of in the end."""
        held: list[Booted] = []

        def attach(up: Booted, image: Image = image) -> Booted:
            up.keep()
            let_go(up)
            assert isinstance(later, Reattaching)
            held.append(later.attach(up.instance, up.boot, image=image, plan=plan, access=access))
            return held[-1]

        yield attach
        for one in held:
            let_go(one)

    def test_an_instance_is_reached_again_as_it_was_left(
        self, boot: Callable[[str], Booted], attach: Callable[[Booted], Booted]
    ) -> None:
        up = boot("again")
        ask(up, "echo left >left.txt")
        back = attach(up)

        assert ask(back, "cat left.txt") == (0, b"left\n", b"")
        assert back.instance.id == up.instance.id
        assert back.instance.address.host_key == up.instance.address.host_key
        assert back.boot == up.boot

    def test_an_instance_that_is_gone_is_not_reached_again(
        self, driver: Driver, boot: Callable[[str], Booted], attach: Callable[[Booted], Booted]
    ) -> None:
        up = boot("gone-since")
        driver.destroy(up.instance.id)

        with pytest.raises(InfrastructureError):
            attach(up)

    def test_an_instance_of_another_image_is_not_reached_again(
        self, boot: Callable[[str], Booted], attach: Callable[..., Booted], image: Image
    ) -> None:
        with pytest.raises(BootError, match=image.name):
            attach(boot("other"), replace(image, digest="sha256:" + "0" * 64))

    def test_an_instance_that_was_reached_again_can_be_destroyed(
        self,
        later: Driver,
        boot: Callable[[str], Booted],
        attach: Callable[[Booted], Booted],
        there: Callable[[str], bool],
    ) -> None:
        back = attach(boot("at-last"))
        later.destroy(back.instance.id)

        assert not there(back.instance.id)


class ReporterContract:
    """What a reporter must keep. Provide the fixtures `reporter` and `judged`, an assessment and its verdict."""

    def test_its_file_has_a_name_and_no_folder(self, reporter: Reporter) -> None:
        assert reporter.filename == Path(reporter.filename).name != ""

    def test_it_renders_the_same_twice(self, reporter: Reporter, judged: tuple[Assessment, Verdict]) -> None:
        first = reporter.render(*judged)

        assert first
        assert reporter.render(*judged) == first


def make_access(folder: Path) -> Access:
    """Make the keys of one boot in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    user = keys.generate()
    return Access(host=keys.generate(), user=user, key_file=user.write(folder / "id"))


def ask(up: Booted, command: str, *, timeout: float = 20) -> tuple[int, bytes, bytes]:
    """Run a command on an instance and return what came of it."""
    transport: Any = up.transport or connection.connect(up.instance.address)
    shell = Shell(transport)
    answer = shell.run(command, timeout=timeout)
    shell.close()
    return answer.exit_code, answer.stdout, answer.stderr


def let_go(up: Booted) -> None:
    """End what this side holds of an instance, as the end of a run does."""
    if up.transport is not None:
        up.transport.close()
    up.close()


def ignore(event: Event) -> None:
    """Show nothing."""
    del event


def _document() -> bytes:
    """Return the document of an assessment in which nothing was asked."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    image = Image(name=NAME, kind="docker", reference="sha256:" + "0" * 64, digest="sha256:" + "0" * 64)
    assessment = Assessment(id="run-web", image=image, profile=Profile(name=""), started=now, finished=now)
    verdict = Verdict(gate="default", objections=(), decided=now)
    return encode(Document(assessment=assessment, verdict=verdict))


class PromoterContract:
    """What a promoter must keep.

    Provide the fixtures `promoter`, `outlet`, `fresh` (a function that makes another image each time), `pointed` (one
    that returns the digest of the tested image that the channel names, or an empty string), `held` (one that counts
    what holds an image's content) and `broken` (one that gives a context in which the n-th thing that the promoter
    asks of the world, counted from 0, is not done but interrupted).
    """

    EVIDENCE = Evidence(assessment_id="run-web", document=_document())

    def test_what_is_placed_is_not_pointed_at_yet(
        self, promoter: Promoter, outlet: Outlet, fresh: Callable[[], Image], pointed: Callable[[], str]
    ) -> None:
        promoter.check(outlet)
        placements = promoter.place(fresh(), outlet, self.EVIDENCE)

        assert placements
        assert pointed() == ""

    def test_what_is_placed_twice_is_there_once(
        self, promoter: Promoter, outlet: Outlet, fresh: Callable[[], Image], held: Callable[[Image], int]
    ) -> None:
        image = fresh()
        first = promoter.place(image, outlet, self.EVIDENCE)
        there = held(image)

        assert there
        assert promoter.place(image, outlet, self.EVIDENCE) == first
        assert held(image) == there

    def test_a_channel_points_at_what_was_published_last(
        self, promoter: Promoter, outlet: Outlet, fresh: Callable[[], Image], pointed: Callable[[], str]
    ) -> None:
        one, two = fresh(), fresh()
        for image, other in ((one, two), (two, one), (one, two), (one, two)):
            placements = self._put(promoter, outlet, image)
            elsewhere = promoter.place(other, outlet, self.EVIDENCE)

            assert pointed() == image.digest
            assert promoter.stands(image, outlet, placements)
            assert not promoter.stands(other, outlet, elsewhere)

    def test_a_withdrawn_channel_points_at_nothing_and_can_be_published_again(
        self, promoter: Promoter, outlet: Outlet, fresh: Callable[[], Image], pointed: Callable[[], str],
        held: Callable[[Image], int],
    ) -> None:  # fmt: skip
        image = fresh()
        placements = self._put(promoter, outlet, image)
        there = held(image)
        for _ in range(2):
            promoter.withdraw(outlet, placements)

            assert pointed() == ""
            assert held(image) == there
            assert not promoter.stands(image, outlet, placements)
        promoter.publish(image, outlet, placements)

        assert pointed() == image.digest

    def test_wherever_it_is_broken_off_the_next_time_ends_in_the_same_state(  # noqa: PLR0917 - fixtures
        self, promoter: Promoter, outlet: Outlet, fresh: Callable[[], Image], pointed: Callable[[], str],
        held: Callable[[Image], int], broken: Callable[[int], AbstractContextManager[None]],
    ) -> None:  # fmt: skip
        before = fresh()
        self._put(promoter, outlet, before)
        whole, steps = held(before), 0
        for steps in range(MOST_STEPS):
            image, ended = fresh(), False
            with suppress(KeyboardInterrupt, InfrastructureError), broken(steps):
                self._put(promoter, outlet, image)
                ended = True
            assert pointed() in {before.digest, image.digest}
            self._put(promoter, outlet, image)
            assert (pointed(), held(image)) == (image.digest, whole)
            before = image
            if ended:
                break
        assert 0 < steps < MOST_STEPS - 1

    def _put(self, promoter: Promoter, outlet: Outlet, image: Image) -> tuple[Placement, ...]:
        placements = promoter.place(image, outlet, self.EVIDENCE)
        promoter.publish(image, outlet, placements)
        return placements
