"""Thirty changes by hand, each found, each as one fact of one family, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from imagetest.policy.drift import compare
from tests.collectors.conftest import Boots
from tests.collectors.snowflakes import planted
from tests.dockyard import Dockyard
from tests.drivers.images import INIT

PREPARED = "RUN mkdir -p /etc/sudoers.d /etc/ssl /root/.ssh && mkdir -m 0755 /etc/opt/empty"


@pytest.mark.docker
def test_each_change_by_hand_is_one_fact_and_nothing_else_differs(dockyard: Dockyard, boots: Boots) -> None:
    image = dockyard.build(INIT[0], PREPARED, *INIT[1:])
    with boots(image) as pristine, boots(image) as snowflake:
        before = compare(pristine.snapshot(), snowflake.snapshot(), now=datetime.now(UTC))
        changes = planted()
        for change in changes.values():
            snowflake.run(change.script)
        left, right = pristine.snapshot(), snowflake.snapshot()
        drift = compare(left, right, now=datetime.now(UTC))

    back = compare(right, left, now=datetime.now(UTC))
    assert {
        (one.family, one.key, one.attribute, one.kind.mirrored, one.right, one.left) for one in back.differences
    } == {(one.family, one.key, one.attribute, one.kind, one.left, one.right) for one in drift.differences}
    assert compare(right, right, now=datetime.now(UTC)).differences == ()
    here, there = (one.families for one in (left, right))
    keys = [{sha for family in every for sha in family.unique.get("host-key", {}).values()} for every in (here, there)]
    assert all(keys)
    assert not keys[0] & keys[1]
    assert before.explained
    assert before.differences == ()
    found = {(one.family, one.key, one.attribute) for one in drift.differences}
    expected = {(one.family, one.key, attribute) for one in changes.values() for attribute in one.attributes}
    assert found - expected == set()
    assert expected - found == set()
    assert drift.unexplained == len(changes)
    assert drift.unread == ()
    assert "hunter22" not in repr(drift)
