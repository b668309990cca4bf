"""The fake driver keeps the contract of a real one, so that a test on it proves something."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from imagetest.testing.contracts import ReattachingContract
from imagetest.testing.fakes import FakeDriver


class TestFakeDriver(ReattachingContract):
    @pytest.fixture
    def driver(self) -> Iterator[FakeDriver]:
        fake = FakeDriver()
        yield fake
        for resource in fake.up:
            fake.destroy(resource)

    @pytest.fixture
    def reference(self, driver: FakeDriver) -> str:
        driver.images["web:1"] = "content"
        return "web:1"

    @pytest.fixture
    def there(self, driver: FakeDriver) -> Callable[[str], bool]:
        return lambda resource: resource in driver.up
