"""Instances that are machines: booted over AWS's API, reached over pinned SSH, and gone with what belongs to them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from imagetest.drivers.ec2 import Ec2Driver
from imagetest.execute import tags
from imagetest.model.image import Image
from imagetest.ports import Access, Driver
from imagetest.testing.aws import AwsWithBodies
from imagetest.testing.contracts import ReattachingContract

pytestmark = pytest.mark.docker


class TestEc2Driver(ReattachingContract):
    @pytest.fixture
    def reference(self, aws: AwsWithBodies) -> str:
        return f"{aws.region}:{aws.ami('server')}"

    @pytest.fixture
    def later(self, _account: None) -> Iterator[Ec2Driver]:
        made = Ec2Driver()
        yield made
        made.close()

    @pytest.fixture
    def there(self, ec2: Any) -> Callable[[str], bool]:
        def there(resource: str) -> bool:
            live = ["pending", "running", "stopping", "stopped", "shutting-down"]
            filters = [
                {"Name": f"tag:{tags.RESOURCE}", "Values": [resource]}, {"Name": "instance-state-name", "Values": live},
            ]  # fmt: skip
            return bool(ec2.describe_instances(Filters=filters)["Reservations"])

        return there

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root opens a disk at rest")
    def test_the_image_at_rest_can_be_asked(self, driver: Driver, image: Image, access: Access) -> None:
        super().test_the_image_at_rest_can_be_asked(driver, image, access)
