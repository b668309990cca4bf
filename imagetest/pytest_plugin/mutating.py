"""Give a check that changes its machine a machine of its own, so that no other check sees what it did."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from imagetest.pytest_plugin.binding import image_of
from imagetest.pytest_plugin.throwaways import THROWAWAYS, Throwaway, Throwaways, Wish
from imagetest.transport.backend import LIVE

HOST = "_testinfra_host"
"""The parameter by which testinfra tells a test its machine."""


class Mutating:
    """Boots a throwaway before each test that is marked `mutates`, and removes it behind it."""

    def __init__(self) -> None:
        self._own: Throwaway | None = None
        self._shared: object = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Put another machine in the place of the shared one, before any fixture has seen it."""
        name = image_of(item)
        if not name or LIVE in name or item.get_closest_marker("mutates") is None:
            return
        owner = _owner(item)
        (self._own,) = owner.boot(name, Wish(label="own", user=owner.target(name).plan.user))
        parameters = item.callspec.params  # type: ignore[attr-defined]  # image_of found it there
        self._shared, parameters[HOST] = parameters[HOST], self._own.host

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None]:
        """Remove it once all fixtures have let go of it."""
        try:
            return (yield)
        finally:
            if self._own is not None:
                own, self._own = self._own, None
                item.callspec.params[HOST] = self._shared  # type: ignore[attr-defined]
                _owner(item).destroy([own])


def _owner(item: pytest.Item) -> Throwaways:
    return item.config.stash[THROWAWAYS]()
