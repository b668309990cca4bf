"""Instances of one image, side by side: the same but for what must differ."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator, Mapping

import pytest

from imagetest import control, not_applicable
from imagetest.model.drift import Allowance
from imagetest.model.snapshot import Family, Snapshot
from imagetest.pytest_plugin.throwaways import Factory

from .declared import FILE, Declared
from .states import environments, twins

GIVEN = frozenset({"hostname"})
"""What a machine gets from whoever boots it: here that is imagetest, which calls all instances of an image the same."""


@control("phoenix-twins")
def test_two_instances_differ_in_nothing_but_what_must_differ(throwaway: Factory, declared: Declared) -> None:
    """Booted alike, they are alike, and each has host keys, a machine-id and addresses of its own."""
    left, right = twins(throwaway).states
    shared = sorted(_shared(left, right))

    assert not shared, f"both instances have the same {', '.join(shared)}"
    throwaway.owner.compare(left, right, declared.allow, what="two instances of one image differ:")


@control("phoenix-no-environment")
def test_two_environments_differ_where_it_is_declared_and_nowhere_else(throwaway: Factory, declared: Declared) -> None:
    """What an environment sets has the effect that it is meant to have, and none besides."""
    if declared.environments is None:
        pytest.skip(f"{FILE} does not say which settings its environments have: [images.NAME.environments.ENVIRONMENT]")
    if not declared.environments:
        not_applicable(f"{FILE} says that no environment sets anything")
    first, *others = declared.environments
    states = throwaway.shared(*environments(declared))
    allow = [*declared.allow, *_given(declared.environments), *declared.differ, *_noise(throwaway)]
    without_effect = set(declared.differ)
    for name, state in zip(others, states[1:], strict=True):
        what = f"booted as {first} and as {name}, it differs where that is not declared:"
        drift = throwaway.owner.compare(states[0], state, allow, what=what)
        without_effect &= {*drift.unused, *drift.expired}
    ignored = sorted(one.pattern for one in without_effect)

    assert not ignored, f"is declared to differ and does not, as if it were baked in: {', '.join(ignored)}"


def _shared(left: Snapshot, right: Snapshot) -> Iterator[str]:
    """Give the names of the rules whose facts must differ and do not."""
    for family in left.families:
        other = right.family(family.name) or Family(name=family.name, noun=family.noun, facts={})
        for rule in family.unique.keys() - GIVEN:
            same = family.unique[rule].items() & other.unique.get(rule, {}).items()
            if same:
                yield f"{rule} ({', '.join(sorted(key for key, _ in same))})"


def _given(environments: Mapping[str, Mapping[str, str]]) -> list[Allowance]:
    """Allow the settings themselves, as process 1 was told them."""
    names = sorted({name for settings in environments.values() for name in settings})
    return [_allowance("environment", f"process 1: {name}", "an environment's own setting", FILE) for name in names]


def _noise(throwaway: Factory) -> Iterable[Allowance]:
    """Allow what differs between any two instances: that is for another control to judge."""
    left, right = twins(throwaway).states
    drift = throwaway.owner.drift(left, right)
    why = "it differs between any two instances"
    return [_allowance(one.family, one.key, why, "phoenix-twins") for one in drift.differences]


def _allowance(family: str, key: str, reason: str, owner: str) -> Allowance:
    return Allowance(pattern=f"{family}:{glob.escape(key)}", reason=reason, owner=owner)
