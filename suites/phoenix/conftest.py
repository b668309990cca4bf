"""What the checks of the phoenix suite share."""

from __future__ import annotations

from dataclasses import replace

import pytest

from imagetest.errors import ConfigError
from imagetest.marks import PROJECT
from imagetest.model.plan import BootPlan
from imagetest.policy.gate import Gate
from imagetest.pytest_plugin.throwaways import Factory

from .declared import Declared, Project, load


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
