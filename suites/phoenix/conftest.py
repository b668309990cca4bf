"""What the checks of the phoenix suite share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from imagetest.errors import ConfigError
from imagetest.marks import PROJECT
from imagetest.model.plan import BootPlan
from imagetest.policy.gate import Gate
from imagetest.pytest_plugin.throwaways import Factory

from .components import removal
from .declared import Declared, Project, load
from .states import begin


def pytest_collection_modifyitems(config: pytest.Config) -> None:
    """Refuse a `phoenix.toml` with a mistake in it before anything is booted."""
    _project(config)


def _project(config: pytest.Config) -> Project:
    try:
        return load(config.stash.get(PROJECT, config.rootpath))
    except ConfigError as error:
        raise pytest.UsageError(error.explain().replace("configuration.md", "suites/phoenix.md")) from error


@pytest.fixture
def declared(throwaway: Factory, pytestconfig: pytest.Config) -> Declared:
    """Return what the project's `phoenix.toml` says of this image, and what may differ in its comparisons."""
    said = _project(pytestconfig).of(throwaway.name)
    return replace(said, allow=throwaway.owner.target(throwaway.name).allowances)


@pytest.fixture
def plan(throwaway: Factory) -> BootPlan:
    """Return how the image is configured to be booted."""
    return throwaway.owner.target(throwaway.name).plan


@pytest.fixture
def gate(throwaway: Factory, pytestconfig: pytest.Config) -> Gate:
    """Return the gate that will decide about this run."""
    settings, channel = throwaway.owner.settings, pytestconfig.option.promote
    if channel:
        return settings.gates[settings.channels[channel].gate]
    return throwaway.owner.target(throwaway.name).gate


@pytest.fixture
def meanwhile(request: pytest.FixtureRequest, throwaway: Factory, declared: Declared) -> Callable[[], None]:
    """Return what begins the work of the checks to come: for one that waits for Packer, which leaves a core idle."""
    coming = {one for item in _after(request) for mark in item.iter_markers("control") for one in mark.args}

    def start() -> None:
        begin(throwaway, coming, declared)
        for component in (declared.components or ()) if "phoenix-removable" in coming else ():
            throwaway.ahead(*removal(component))

    return start


def _after(request: pytest.FixtureRequest) -> list[pytest.Item]:
    """Return the tests that this process will run on the same image; a worker of pytest-xdist is not told which."""
    items = [] if hasattr(request.config, "workerinput") else request.session.items
    later = items[items.index(request.node) + 1 :] if request.node in items else []
    return [item for item in later if _host(item) is _host(request.node)]


def _host(item: pytest.Item) -> object:
    return item.callspec.params.get("_testinfra_host") if hasattr(item, "callspec") else None
