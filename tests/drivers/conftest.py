"""Containers of this folder's tests, each gone when its test is over."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

import docker
import pytest

from imagetest.drivers.docker import DockerDriver
from imagetest.model.plan import BootPlan
from imagetest.ports import Booted
from imagetest.testing.contracts import ignore, make_access


class Boot(Protocol):
    """Boots an image until the end of a context; what is given besides is the plan."""

    def __call__(self, image: str, *, name: str = "web", **plan: Any) -> AbstractContextManager[Booted]: ...


@pytest.fixture(scope="session")
def driver() -> Iterator[DockerDriver]:
    made = DockerDriver()
    yield made
    made.close()


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.APIClient]:
    """Look at containers without the driver's help."""
    client = docker.from_env()
    yield client.api
    client.close()


@pytest.fixture(scope="session")
def boot(driver: DockerDriver, tmp_path_factory: pytest.TempPathFactory) -> Boot:
    @contextmanager
    def boot(image: str, *, name: str = "web", **plan: Any) -> Iterator[Booted]:
        resource = f"imagetest-test-{secrets.token_hex(4)}"
        folder: Path = tmp_path_factory.mktemp("keys")
        found = driver.identify(image, name=name)
        asked = BootPlan(**({"timeout": 30.0} | plan))
        try:
            up = driver.boot(found, asked, resource=resource, access=make_access(folder), progress=ignore)
            yield up
            if up.transport is not None:
                up.transport.close()
            up.close()
        finally:
            driver.destroy(resource)

    return boot
