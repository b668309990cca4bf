"""A loopback SSH server with a real shell behind it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from imagetest.execute.local import LocalExecutor
from imagetest.model.instance import Address
from imagetest.ports import Access
from imagetest.testing.contracts import make_access
from imagetest.transport.gateway import Gateway


@dataclass(frozen=True, slots=True)
class Served:
    """A gateway to a folder of this machine, and how to get in."""

    gateway: Gateway
    address: Address
    access: Access
    folder: Path


def serve(tmp_path: Path) -> Iterator[Served]:
    """Serve a folder until the end."""
    access = make_access(tmp_path / "keys")
    folder = tmp_path / "machine"
    folder.mkdir()
    with Gateway(LocalExecutor(folder), host_key=access.host, allowed=access.user.public, user="root") as gateway:
        address = Address(
            host="127.0.0.1", port=gateway.port, user="root",
            host_key=access.host.public, key_file=str(access.key_file),
        )  # fmt: skip
        yield Served(gateway, address, access, folder)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """Give a server of this test's own."""
    yield from serve(tmp_path)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Give a server that the module's tests share."""
    yield from serve(tmp_path_factory.mktemp("served"))
