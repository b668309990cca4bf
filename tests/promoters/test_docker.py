"""Tags that follow a channel, in a real engine."""

from __future__ import annotations

import secrets

import pytest
from docker.errors import ImageNotFound

from imagetest.drivers.docker import DockerDriver
from imagetest.errors import EngineError
from imagetest.model.image import Image
from imagetest.model.outlet import Evidence, Outlet
from imagetest.model.promotion import Placement
from imagetest.promoters.docker import DockerPromoter
from tests.dockyard import Dockyard

pytestmark = pytest.mark.docker


@pytest.fixture
def images(dockyard: Dockyard) -> tuple[Image, Image]:
    built = [dockyard.build("FROM {plain}", f'LABEL promoted="{name}"') for name in ("one", "two")]
    driver = DockerDriver()
    try:
        one, two = (driver.identify(reference, name="web") for reference in built)
    finally:
        driver.close()
    return one, two


@pytest.fixture
def promoter() -> DockerPromoter:
    return DockerPromoter()


@pytest.fixture
def tag() -> str:
    """Return a tag of this test's own; it goes with its image, in the end."""
    return f"imagetest-test/promoted:{secrets.token_hex(4)}"


def named(dockyard: Dockyard, tag: str) -> str:
    try:
        return str(dockyard.engine.images.get(tag).id)
    except ImageNotFound:
        return ""


def outlet(tag: str, *, push: bool = False) -> Outlet:
    return Outlet(channel="stable", image="web", tag=tag, push=push)


def put(promoter: DockerPromoter, image: Image, tag: str, *, push: bool = False) -> tuple[Placement, ...]:
    placements = promoter.place(image, outlet(tag, push=push), Evidence(assessment_id="run-web"))
    promoter.publish(image, outlet(tag, push=push), placements)
    return placements


def test_a_tag_moves_to_what_is_published(
    promoter: DockerPromoter, tag: str, images: tuple[Image, Image], dockyard: Dockyard
) -> None:
    for image in (*images, images[0]):
        put(promoter, image, tag)

        assert named(dockyard, tag) == image.digest


def test_a_tag_without_a_version_and_one_with_a_port_are_understood(
    promoter: DockerPromoter, tag: str, images: tuple[Image, Image], dockyard: Dockyard
) -> None:
    name = tag.replace(":", "-")
    put(promoter, images[0], name)
    put(promoter, images[1], f"localhost:5000/{name}:beta")

    assert named(dockyard, f"{name}:latest") == images[0].digest
    assert named(dockyard, f"localhost:5000/{name}:beta") == images[1].digest


def test_what_is_withdrawn_names_nothing_and_the_image_stays(
    promoter: DockerPromoter, tag: str, images: tuple[Image, Image], dockyard: Dockyard
) -> None:
    placements = put(promoter, images[0], tag)
    promoter.withdraw(outlet(tag), placements)
    promoter.withdraw(outlet(tag), placements)

    assert named(dockyard, tag) == ""
    assert named(dockyard, images[0].digest) == images[0].digest


def test_an_image_that_is_gone_cannot_be_published(promoter: DockerPromoter, tag: str, dockyard: Dockyard) -> None:
    gone = Image(name="web", kind="docker", reference="sha256:" + "0" * 64, digest="sha256:" + "0" * 64)

    with pytest.raises(EngineError, match="cannot tag 'web' as"):
        put(promoter, gone, tag)
    assert named(dockyard, tag) == ""


def test_a_tag_that_docker_refuses_is_an_error(promoter: DockerPromoter, images: tuple[Image, Image]) -> None:
    with pytest.raises(EngineError, match="cannot tag"):
        put(promoter, images[0], "Not/A:tag:at all")


def test_an_engine_that_does_not_answer_is_said(
    monkeypatch: pytest.MonkeyPatch, tag: str, images: tuple[Image, Image], unconnected: None
) -> None:
    del unconnected
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")

    with pytest.raises(EngineError, match="no Docker engine answers"):
        put(DockerPromoter(), images[0], tag)
