"""Connect testinfra's `host` to the instances of this run, in whichever process runs the tests."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import testinfra.backend
from testinfra.host import Host

from imagetest.pytest_plugin.binding import Catalogue, image_of
from imagetest.pytest_plugin.foresight import Foresight
from imagetest.pytest_plugin.live import looks_only
from imagetest.pytest_plugin.mutating import Mutating
from imagetest.pytest_plugin.observing import Observer
from imagetest.transport.backend import LIVE, NAME, Backend, Switchboard

ALLURE = "imagetest-allure"


def install(config: pytest.Config, switchboard: Switchboard, observer: Observer, catalogue: Catalogue) -> None:
    """Make `imagetest://NAME` a host of testinfra's, and listen to the tests."""
    testinfra.backend.BACKENDS[NAME] = f"{Backend.__module__}.{Backend.__qualname__}"
    Host._host_cache.clear()  # noqa: SLF001 - testinfra would hand out hosts of an earlier run in this process
    Host._hosts_cache.clear()  # noqa: SLF001
    Backend.switchboard = switchboard
    folder = allure_folder(config)
    if folder is not None:
        from imagetest.pytest_plugin.allure import AllureEvidence

        config.pluginmanager.register(AllureEvidence(folder, catalogue), ALLURE)
    config.pluginmanager.register(observer, "imagetest-observer")
    config.pluginmanager.register(Mutating(), "imagetest-mutating")
    config.pluginmanager.register(Foresight(config, switchboard, observer.redact), "imagetest-foresight")
    config.pluginmanager.register(catalogue, "imagetest-catalogue")


def allure_folder(config: pytest.Config) -> Path | None:
    """Return the folder that allure-pytest writes into, if it is in use."""
    named = getattr(config.option, "allure_report_dir", None)
    return Path(named) if named else None


def chosen(config: pytest.Config) -> bool:
    """Say whether the tests were named on the command line."""
    return config.args_source is pytest.Config.ArgsSource.ARGS


def keep_to_suites(items: list[pytest.Item], suites: Mapping[str, Sequence[Path]]) -> None:
    """Run on each image its own suites and no other's, and of those on a live host only what looks.

    An image without an entry runs all.
    """
    items[:] = [item for item in items if _belongs(item, suites)]


def _belongs(item: pytest.Item, suites: Mapping[str, Sequence[Path]]) -> bool:
    name = image_of(item)
    folders = suites.get(name.partition(LIVE)[0])
    mine = folders is None or any(item.path.is_relative_to(folder) for folder in folders)
    return mine and (LIVE not in name or looks_only(item))


def is_the_program() -> bool:
    """Say whether this process is pytest and ends with it, rather than a program that calls pytest."""
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    name = spec.name if spec is not None else Path(getattr(main, "__file__", None) or "").stem
    return name in {"pytest.__main__", "pytest", "py"}
