"""AWS with machines behind its instances, one for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from imagetest.drivers.ec2 import Ec2Driver
from imagetest.testing.aws import AwsWithBodies
from tests.dockyard import Dockyard
from tests.drivers import images


@pytest.fixture(scope="module")
def aws(dockyard: Dockyard) -> Iterator[AwsWithBodies]:
    published = {"server": dockyard.build(*images.SERVER), "init": dockyard.build(*images.INIT)}
    with AwsWithBodies(images=published) as server:
        yield server


@pytest.fixture
def _account(aws: AwsWithBodies, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Have boto3 find the emulation and nothing of the user's."""
    for name, value in aws.environ().items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def driver(_account: None) -> Iterator[Ec2Driver]:
    made = Ec2Driver()
    yield made
    made.close()


@pytest.fixture
def ec2(aws: AwsWithBodies) -> Iterator[Any]:
    """Look at the account without the driver's help."""
    client = aws.client("ec2")
    yield client
    client.close()
