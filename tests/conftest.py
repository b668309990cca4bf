"""What every test shares: tools that may be missing, and images to boot."""

from __future__ import annotations

import functools
import gc
import os
import shutil
import warnings
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import docker
import pytest
from docker.errors import DockerException

from tests.dockyard import Dockyard, dockyard_of

pytest.register_assert_rewrite("imagetest.testing.contracts")


@functools.cache
def _docker() -> str:
    try:
        docker.from_env().ping()
    except DockerException as error:
        return f"no Docker engine answers: {error}"
    return ""


def _packer() -> str:
    return _docker() if shutil.which("packer") else "Packer is not installed"


def _browser() -> str:
    known = ("chromium", "chromium-browser", "google-chrome")
    return "" if any(map(shutil.which, known)) else "no Chromium is installed"


def _qemu() -> str:
    missing = [one for one in ("qemu-system-x86_64", "qemu-img", "syslinux", "mformat") if shutil.which(one) is None]
    return f"not installed: {', '.join(missing)}" if missing else ""


def _registry() -> str:
    return _docker() if shutil.which("docker-registry") else "docker-registry is not installed"


def _postgres() -> str:
    found = shutil.which("initdb") or next(Path("/usr/lib/postgresql").glob("*/bin/initdb"), None)
    return "" if found else "PostgreSQL is not installed"


MISSING: dict[str, Callable[[], str]] = {
    "docker": _docker,
    "packer": _packer,
    "browser": _browser,
    "postgres": _postgres,
    "qemu": _qemu,
    "registry": _registry,
}
"""For each marker of a real test, a function that says why it cannot run here; an empty string when it can."""

REQUIRED = frozenset(os.environ.get("IMAGETEST_REQUIRE", "").replace(" ", "").split(","))
"""Markers whose tests must run: a skip of one is a failure."""


def _markers(item: pytest.Item) -> list[str]:
    return [name for name in MISSING if item.get_closest_marker(name)]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a real test whose tool is not here."""
    for name in _markers(item):
        if reason := MISSING[name]():
            pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skipped test into a failed one where its tool is required."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and REQUIRED.intersection(_markers(item)):
        report.outcome = "failed"
        report.longrepr = f"skipped, though IMAGETEST_REQUIRE names it: {report.longrepr}"
    return report


@pytest.fixture(scope="session", autouse=True)
def lean() -> Iterator[None]:
    """Keep Hypothesis from every pytest that a test starts: users have none, and to import it takes a fifth of a run.

    Here, and not when pytest begins: a worker of xdist is to have it.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTEST_ADDOPTS", f"{os.environ.get('PYTEST_ADDOPTS', '')} -p no:hypothesispytest")
        yield


@pytest.fixture(scope="session")
def dockyard() -> Iterator[Dockyard]:
    """Give a place to build images in; it is empty again in the end."""
    with dockyard_of() as place:
        yield place


@pytest.fixture
def unconnected() -> Iterator[None]:
    """Clear away the sockets that docker-py leaves open when it cannot connect, lest a later test is blamed."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
