"""Connect testinfra's `host` to the instances of this run, in whichever process runs the tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import testinfra.backend
from testinfra.host import Host

from imagetest.pytest_plugin.binding import Catalogue, image_of
from imagetest.pytest_plugin.observing import Observer
from imagetest.transport.backend import NAME, Backend, Switchboard


def install(config: pytest.Config, switchboard: Switchboard, observer: Observer, catalogue: Catalogue) -> None:
    """Make `imagetest://NAME` a host of testinfra's, and listen to the tests."""
    testinfra.backend.BACKENDS[NAME] = f"{Backend.__module__}.{Backend.__qualname__}"
    Host._host_cache.clear()  # noqa: SLF001 - testinfra would hand out hosts of an earlier run in this process
    Host._hosts_cache.clear()  # noqa: SLF001
    Backend.switchboard = switchboard
    config.pluginmanager.register(observer, "imagetest-observer")
    config.pluginmanager.register(catalogue, "imagetest-catalogue")


def chosen(config: pytest.Config) -> bool:
    """Say whether the tests were named on the command line."""
    return config.args_source is pytest.Config.ArgsSource.ARGS


def keep_to_suites(config: pytest.Config, items: list[pytest.Item], suites: Mapping[str, Sequence[Path]]) -> None:
    """Where the suites come from the configuration, run on each image its own and no other's."""
    if not chosen(config):
        items[:] = [item for item in items if _belongs(item, suites)]


def _belongs(item: pytest.Item, suites: Mapping[str, Sequence[Path]]) -> bool:
    folders = suites.get(image_of(item))
    return folders is None or any(item.path.is_relative_to(folder) for folder in folders)
