"""Images and containers of the shipped templates, gone when the tests are over."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.packer import machine
from tests.packer.machine import Bake, Boot, run


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "packer: bakes with this machine's Packer and Docker")


@pytest.fixture(scope="session")
def packer() -> None:
    """End a test where there is nothing to bake with, unless that must not happen here."""
    missing = [program for program in ("packer", "docker") if shutil.which(program) is None]
    if missing and "packer" not in os.environ.get("IMAGETEST_REQUIRE", "").split(","):
        pytest.skip(f"not on this machine: {', '.join(missing)}")
    assert missing == [], "IMAGETEST_REQUIRE asks for them"


@pytest.fixture(scope="session")
def bake(packer: None) -> Iterator[Bake]:  # noqa: ARG001 # nothing is baked where there is nothing to bake with
    """Return a function that bakes a template and returns the image's digest."""
    images: list[str] = []

    def bake(template: Path, **variables: str) -> str:
        images.append(machine.bake(template, **variables))
        return images[-1]

    yield bake
    for image in images:
        run("docker", "rmi", "--force", image)


@pytest.fixture(scope="session")
def image(bake: Bake) -> str:
    """Return the photo gallery's image, as it should be."""
    return bake(machine.HCL, version="7")


@pytest.fixture
def boot() -> Iterator[Boot]:
    """Return a function that boots an image until systemd has settled, and returns the container."""
    containers: list[str] = []

    def boot(image: str, **environment: str) -> str:
        containers.append(machine.boot(image, **environment))
        machine.settle(containers[-1])
        return containers[-1]

    yield boot
    for container in containers:
        run("docker", "rm", "--force", "--volumes", container)
