"""Live hosts in a run: the same checks on production's hosts, held against the image under test."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pytest

from imagetest.errors import ConfigError
from imagetest.model.plan import Environment, Group
from imagetest.pytest_plugin.binding import fixtures_of
from imagetest.transport.backend import LIVE

IMAGE_ONLY = frozenset({"at_rest", "throwaway", "throwaways", "changes"})
"""Fixtures that are about an image: a live host has no state before its first boot, and nothing is booted from it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveHost:
    """One host of an environment that an image is held against."""

    name: str
    """What the tests call it: `IMAGE+on-HOST`."""
    host: str
    """As the configuration writes it."""
    image: str
    environment: Environment
    group: Group


def live_hosts(environments: Iterable[Environment], images: Sequence[str]) -> tuple[LiveHost, ...]:
    """Return each host that each image is held against. Raises ConfigError when an image would be held against none."""
    found = [
        LiveHost(name=f"{image}{LIVE}{_slug(host)}", host=host, image=image, environment=environment, group=group)
        for environment in environments
        for image in images
        for group in environment.groups
        for host in group.hosts
        if group.image in {"", image}
    ]
    for environment in environments:
        if not any(one.environment is environment for one in found):
            known = sorted({group.image for group in environment.groups})
            raise ConfigError(
                f"environment {environment.name!r} has no group of {', '.join(images)}",
                hint=f"its groups are of {', '.join(known)}: [environments.NAME.groups.NAME] image",
            )
    for name, times in Counter(one.name for one in found).items():
        if times > 1:
            raise ConfigError(f"{times} hosts would be called {name!r}", hint="name them apart in ssh_config")
    return tuple(found)


def _slug(host: str) -> str:
    """Turn what is written after `ssh` into what testinfra takes for a host's name."""
    return re.sub(r"[^A-Za-z0-9.-]+", "-", host)


def is_live(name: str) -> bool:
    """Say whether a name is that of a live host."""
    return LIVE in name


def looks_only(item: pytest.Item) -> bool:
    """Say whether a test may run on a live host: it is not about an image, and does not say that it changes things."""
    return not IMAGE_ONLY.intersection(fixtures_of(item)) and item.get_closest_marker("mutates") is None
