"""The bake, done over: what it makes depends on the template and on nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from imagetest import control
from imagetest.errors import BakeError, ConfigError
from imagetest.model.drift import Allowance
from imagetest.model.image import Image
from imagetest.policy.gate import Gate
from imagetest.pytest_plugin.throwaways import Factory

from .declared import Declared
from .states import opened, shipped


@control("phoenix-idempotent")
def test_the_provisioners_change_nothing_on_the_finished_image(
    throwaway: Factory, declared: Declared, meanwhile: Callable[[], None]
) -> None:
    """They find everything as it should be, run again on the image that they made."""
    try:
        meanwhile()
        image = throwaway.owner.rebake(throwaway.name, on=throwaway.owner.image(throwaway.name))
    except ConfigError as error:
        pytest.skip(f"the provisioners cannot be run again: {error}")
    except BakeError as error:
        pytest.fail(f"the provisioners fail when they run again: {error}", pytrace=False)
    _hold_against(throwaway, image, declared.allow, what="the provisioners changed it when they ran again:")


@control("phoenix-reproducible")
def test_a_second_bake_makes_the_same_image(
    throwaway: Factory, declared: Declared, gate: Gate, meanwhile: Callable[[], None]
) -> None:
    """The differences between the image and another bake of its template stay within the gate's budget."""
    try:
        meanwhile()
        image = throwaway.owner.rebake(throwaway.name)
    except ConfigError as error:
        pytest.skip(f"it cannot be baked again: {error}")
    _hold_against(
        throwaway, image, declared.allow, at_most=gate.bake_differences,
        what=f"the second bake differs in more than {gate.bake_differences} facts:",
    )  # fmt: skip


def _hold_against(throwaway: Factory, image: Image, allow: Iterable[Allowance], *, what: str, at_most: int = 0) -> None:
    before, after = shipped(throwaway), opened(throwaway, image=image, label="baked-again")
    throwaway.owner.compare(before, after, allow, at_most=at_most, what=what)
