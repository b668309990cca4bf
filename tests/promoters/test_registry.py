"""Tags that follow a channel in a real registry."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker.errors import ImageNotFound

from imagetest.drivers.docker import DockerDriver
from imagetest.errors import EngineError, ImagetestError
from imagetest.execute import engine
from imagetest.model.image import Image
from imagetest.model.outlet import Evidence, Outlet
from imagetest.model.promotion import Placement
from imagetest.promoters.docker import EMPTY, DockerPromoter
from tests.depot import PASSWORD, USER, Depot, depot_in
from tests.dockyard import Dockyard

pytestmark = [pytest.mark.docker, pytest.mark.registry]


@pytest.fixture(scope="module")
def depot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Depot]:
    with depot_in(tmp_path_factory.mktemp("depot")) as made:
        yield made


@pytest.fixture
def images(dockyard: Dockyard) -> tuple[Image, Image]:
    """Return two images of this test's own: they go with their last tag."""
    names = [secrets.token_hex(4) for _ in range(2)]
    built = [dockyard.build("FROM {plain}", f'LABEL pushed="{name}"') for name in names]
    driver = DockerDriver()
    try:
        one, two = (driver.identify(reference, name="web") for reference in built)
    finally:
        driver.close()
    return one, two


@pytest.fixture
def repository(depot: Depot, dockyard: Dockyard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Return the name of a repository of this test's own, to which it may push."""
    monkeypatch.setenv("DOCKER_CONFIG", str(depot.login(tmp_path / "docker")))
    name = f"imagetest-test/{secrets.token_hex(4)}"
    yield name
    for image in dockyard.engine.images.list(f"{depot.host}/{name}"):
        dockyard.engine.images.remove(str(image.id), force=True)


def outlet(depot: Depot, repository: str, channel: str = "stable") -> Outlet:
    return Outlet(channel=channel, image="web", tag=f"{depot.host}/{repository}:{channel}", push=True)


def put(image: Image, to: Outlet) -> tuple[Placement, ...]:
    placements = DockerPromoter().place(image, to, Evidence(assessment_id="run-web"))
    DockerPromoter().publish(image, to, placements)
    return placements


def test_the_pushed_manifests_digest_is_what_the_registry_tells(
    depot: Depot, repository: str, images: tuple[Image, Image]
) -> None:
    to = outlet(depot, repository)
    (place,) = DockerPromoter().place(images[0], to, Evidence(assessment_id="run-web"))
    before = depot.digest(repository, "stable")
    DockerPromoter().publish(images[0], to, (place,))

    assert before == ""
    assert place == Placement(where=f"docker:{depot.host}/{repository}@{place.digest}", digest=place.digest)
    assert depot.digest(repository, "stable") == depot.digest(repository, images[0].digest[7:19]) == place.digest
    assert depot.config(repository, "stable") == images[0].digest


def test_a_pushed_tag_moves_on_and_what_was_there_stays_by_its_digest(
    depot: Depot, repository: str, images: tuple[Image, Image]
) -> None:
    to = outlet(depot, repository)
    first, second, again = put(images[0], to), put(images[1], to), put(images[0], to)

    assert first == again != second
    assert depot.digest(repository, "stable") == first[0].digest
    assert depot.digest(repository, second[0].digest) == second[0].digest


def test_a_withdrawn_tag_names_nothing_that_anybody_could_run(
    depot: Depot, repository: str, images: tuple[Image, Image], dockyard: Dockyard
) -> None:
    to, other = outlet(depot, repository), outlet(depot, repository, "beta")
    placements = put(images[0], to)
    put(images[0], other)
    for _ in range(2):
        DockerPromoter().withdraw(to, placements)
    dockyard.engine.images.pull(to.tag, auth_config={"username": USER, "password": PASSWORD})
    pulled = dockyard.engine.images.get(to.tag)

    assert pulled.labels == {EMPTY: "true"}
    assert depot.digest(repository, "beta") == placements[0].digest
    assert depot.digest(repository, placements[0].digest) == placements[0].digest
    assert put(images[0], to) == placements
    assert depot.digest(repository, "stable") == placements[0].digest


def test_an_engine_keeps_no_tag_of_what_was_withdrawn(
    depot: Depot, repository: str, images: tuple[Image, Image], dockyard: Dockyard
) -> None:
    to = outlet(depot, repository)
    DockerPromoter().withdraw(to, put(images[0], to))

    with pytest.raises(ImageNotFound):
        dockyard.engine.images.get(to.tag)
    assert dockyard.engine.images.get(f"{depot.host}/{repository}:{images[0].digest[7:19]}").id == images[0].digest


@pytest.mark.parametrize("password", ["wrong", None], ids=["wrong-password", "no-login"])
def test_who_may_not_push_is_told_so(
    password: str | None, depot: Depot, repository: str, images: tuple[Image, Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(os.environ["DOCKER_CONFIG"]).with_name("other")
    folder.mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(depot.login(folder, password) if password else folder))

    with pytest.raises(EngineError, match=rf"cannot push '{depot.host}/{repository}:\w+': ") as caught:
        put(images[0], outlet(depot, repository))
    assert caught.value.hint == f"'docker login {depot.host}', as a user who may push there"
    assert "\n" not in str(caught.value)


def test_a_registry_that_does_not_answer_is_said(repository: str, images: tuple[Image, Image]) -> None:
    nowhere = Depot(host="127.0.0.1:9")

    with pytest.raises(ImagetestError, match=r"cannot push '127.0.0.1:9/.*connection refused"):
        put(images[0], outlet(nowhere, repository))
    with engine.session() as client:
        client.remove_image(f"127.0.0.1:9/{repository}:{images[0].digest[7:19]}")


def test_a_push_that_is_interrupted_is_done_by_the_next(
    depot: Depot, repository: str, images: tuple[Image, Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    def now() -> None:
        raise KeyboardInterrupt

    to = outlet(depot, repository)
    with monkeypatch.context() as patch:
        patch.setattr("imagetest.promoters.docker.interrupts.checkpoint", now)
        with pytest.raises(KeyboardInterrupt):
            put(images[0], to)
    between = depot.digest(repository, "stable")
    (place,) = put(images[0], to)

    assert between == ""
    assert depot.digest(repository, "stable") == place.digest


def test_what_an_engine_lost_is_pulled_by_its_digest_and_gone_back_to(
    depot: Depot, repository: str, images: tuple[Image, Image], dockyard: Dockyard
) -> None:
    to, promoter = outlet(depot, repository), DockerPromoter()
    placements = put(images[0], to)
    put(images[1], to)
    dockyard.engine.images.remove(images[0].digest, force=True)
    dockyard._built.clear()  # noqa: SLF001 - it is not there any more
    kept = promoter.kept(images[0], to, placements)
    promoter.publish(images[0], to, kept)

    assert kept == placements
    assert promoter.stands(images[0], to, placements)
    assert depot.digest(repository, "stable") == placements[0].digest


def test_what_a_registry_has_not_is_not_kept(depot: Depot, repository: str, images: tuple[Image, Image]) -> None:
    to = outlet(depot, repository)
    nothing = "sha256:" + "0" * 64
    lost = Placement(where=f"docker:{depot.host}/{repository}@{nothing}", digest=nothing)
    elsewhere = Placement(where=f"docker:elsewhere/{repository}@{nothing}", digest=nothing)

    assert DockerPromoter().kept(images[0], to, (lost,)) == ()
    assert DockerPromoter().kept(images[0], to, (elsewhere,)) == ()


def test_a_tag_that_only_the_registry_lacks_does_not_stand(
    depot: Depot, repository: str, images: tuple[Image, Image]
) -> None:
    to = outlet(depot, repository)
    placements = put(images[0], to)
    stood = DockerPromoter().stands(images[0], to, placements)
    other = put(images[1], outlet(depot, repository, "beta"))
    DockerPromoter().publish(images[1], to, other)
    with engine.session() as client:  # as if the push had failed
        client.tag(images[0].digest, f"{depot.host}/{repository}", "stable", force=True)

    assert stood
    assert not DockerPromoter().stands(images[0], to, placements)
