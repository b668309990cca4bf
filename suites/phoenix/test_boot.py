"""How the image comes up: in time, by itself, and after a reboot as before."""

from __future__ import annotations

import pytest

from imagetest import control, not_applicable
from imagetest.config import wiring
from imagetest.errors import BootError, EngineError
from imagetest.model.image import Image
from imagetest.model.instance import Boot
from imagetest.model.plan import BootPlan
from imagetest.policy.channels import current
from imagetest.pytest_plugin.throwaways import Factory, Wish

from .declared import Declared
from .states import rebooted, settled, twins

NOISE = 1.5
"""How much longer than another a boot may take by chance."""

PAIRS = 3
"""How often a slow boot is tried again beside the other image before it counts as slow."""


@control("phoenix-hermetic-boot")
def test_it_boots_while_nothing_outside_can_be_reached(throwaway: Factory, plan: BootPlan) -> None:
    """Without a configuration server, a repository or a name, it is ready as always; what it tries is evidence."""
    usual = max(one.ready_seconds for one in twins(throwaway).first_boots)
    within = max(plan.budget or plan.timeout, usual * NOISE)  # what is always late fails another control
    try:
        machine = throwaway(network="none", label="cut-off")
    except BootError as error:
        pytest.fail(f"cut off from everything, it does not come up: {error}", pytrace=False)
    tried = f"; it tried to reach {', '.join(map(str, machine.boot.attempts))}" if machine.boot.attempts else ""
    worse = settled(machine) - twins(throwaway).failed[0]

    assert not worse, f"cut off from everything, {sorted(worse)} failed{tried}"
    took = machine.boot.ready_seconds
    assert took <= within, f"cut off from everything, it was ready after {took:g} seconds, not within {within:g}{tried}"


@control("phoenix-boot-budget")
def test_it_is_ready_within_its_budget(throwaway: Factory, plan: BootPlan) -> None:
    """From the start of process 1 to the application healthy; the best of the boots of this run counts."""
    if plan.budget is None:
        pytest.skip("no budget is configured: set [images.NAME.boot] budget")
    own = throwaway.owner.first_boot(throwaway.name)
    boots = [*twins(throwaway).first_boots, *([own] if own else [])]
    throwaway.owner.remember(*boots)
    fastest = min(boots, key=lambda one: one.ready_seconds)

    assert fastest.ready_seconds <= plan.budget, (
        f"ready after {fastest.ready_seconds:g} seconds, not within {plan.budget:g}: {_slowest(fastest)}"
    )


@control("phoenix-boot-not-slower")
def test_it_is_ready_as_soon_as_the_image_in_the_channel(
    throwaway: Factory, declared: Declared, pytestconfig: pytest.Config
) -> None:
    """Booted side by side with the image that it is to replace, it takes about as long."""
    channel = declared.channel or pytestconfig.option.promote or _only_channel(throwaway)
    image = _in_channel(throwaway, channel)
    boots: list[list[Boot]] = [[], []]
    mine = theirs = 0.0
    for _ in range(PAIRS):
        pair = throwaway.together(Wish(label="candidate"), Wish(label=f"in-{channel}", image=image))
        for own, machine in zip(boots, pair, strict=True):
            own.append(machine.boot)
        throwaway.owner.destroy(pair)
        mine, theirs = (min(one.ready_seconds for one in own) for own in boots)
        if mine <= theirs * declared.slower:
            return
    slow = min(boots[0], key=lambda one: one.ready_seconds)
    pytest.fail(
        f"ready after {mine:g} seconds; the image in {channel!r} takes {theirs:g}, of which {declared.slower:g} times"
        f" are allowed: {_slowest(slow)}", pytrace=False,
    )  # fmt: skip


@control("phoenix-reboot")
def test_it_comes_back_from_a_reboot_as_it_was(throwaway: Factory, declared: Declared) -> None:
    """Nobody helps it up, no unit fails that had not failed before, and its state is the same."""
    try:
        found = rebooted(throwaway)
    except BootError as error:
        pytest.fail(f"it does not come back from a reboot: {error}", pytrace=False)

    assert not found.worse, f"after a reboot, {sorted(found.worse)} failed"
    throwaway.owner.compare(found.before, found.after, declared.allow, what="a reboot changed it:")


def _only_channel(throwaway: Factory) -> str:
    channels = list(throwaway.owner.settings.channels)
    if len(channels) != 1:
        said = f"there are {', '.join(channels)}" if channels else "there is none"
        pytest.skip(f"it is not known which channel's image it is to replace: {said}; set channel in phoenix.toml")
    return channels[0]


def _in_channel(throwaway: Factory, channel: str) -> Image:
    """Return the image that a channel stands at, as this engine has it."""
    owner = throwaway.owner
    if channel not in owner.settings.channels:
        pytest.skip(f"there is no channel {channel!r}")
    standing = current(wiring.store(owner.settings).history(channel), channel=channel, image=throwaway.name)
    candidate = owner.image(throwaway.name)
    if standing is None:
        not_applicable(f"no image of {throwaway.name!r} is in channel {channel!r} yet")
    if standing.digest == candidate.digest:
        not_applicable(f"it is the image that is in channel {channel!r}")
    try:
        return wiring.driver(candidate.kind).identify(standing.digest, name=throwaway.name)
    except EngineError as error:
        pytest.skip(f"the image in channel {channel!r} cannot be booted: {error}")


def _slowest(boot: Boot) -> str:
    """Name the moments that came last: what was waited for is among them."""
    last = boot.timeline[-5:]
    return ", ".join(f"{one.name} {one.seconds:g} s" for one in last)
