"""Machines that the tests of the collectors share, or have to themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from imagetest.drivers.docker import DockerDriver
from tests.collectors.machines import Machine, booted
from tests.dockyard import Dockyard
from tests.drivers.images import INIT, server

Boots = Callable[..., AbstractContextManager[Machine]]


@pytest.fixture(scope="session")
def driver() -> Iterator[DockerDriver]:
    made = DockerDriver()
    yield made
    made.close()


@pytest.fixture(scope="session")
def boots(driver: DockerDriver, tmp_path_factory: pytest.TempPathFactory) -> Boots:
    """Boot an image until the end of a context."""
    folder: Path = tmp_path_factory.mktemp("machines")

    def boot(image: str, **plan: Any) -> AbstractContextManager[Machine]:
        return booted(driver, image, folder, **plan)

    return boot


@pytest.fixture(scope="package")  # other packages hold that nothing is left, in the same process
def machine(dockyard: Dockyard, boots: Boots) -> Iterator[Machine]:
    """Give a machine with systemd that tests only look at."""
    with boots(dockyard.build(*INIT)) as up:
        yield up


@pytest.fixture(scope="package")
def login(dockyard: Dockyard, boots: Boots) -> Iterator[Machine]:
    """Give a machine on which an ordinary user asks."""
    with boots(dockyard.build(*server("RUN useradd -m -s /bin/bash alice")), user="alice") as up:
        yield up
