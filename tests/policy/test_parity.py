"""Whether machines that should be alike are: against an image, against each other, and what the checks said of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagetest.model.drift import Allowance, Kind
from imagetest.model.finding import Check, Status
from imagetest.model.parity import Comparison, Parity, ParityKind
from imagetest.model.snapshot import Family, Gap, Snapshot
from imagetest.policy import parity
from imagetest.policy.consensus import Consensus
from imagetest.policy.drift import compare
from imagetest.policy.parity import Answer
from imagetest.policy.wording import words
from tests.nouns import NOW

CURL = {"curl": {"version": "1", "state": "installed"}}
CURL_2 = {"curl": {"version": "2", "state": "installed"}}


def snapshot(subject: str, facts: Mapping[str, Mapping[str, str]], *gaps: Gap) -> Snapshot:
    family = Family(name="packages", noun="package", facts=facts, gaps=gaps)
    return Snapshot(subject=subject, taken=NOW, families=(family,))


def told(subject: str, facts: Mapping[str, Mapping[str, str]], *gaps: Gap) -> Answer:
    return Answer(host=subject, read=lambda: snapshot(subject, facts, *gaps))


def allowance(pattern: str) -> Allowance:
    return Allowance(pattern=pattern, reason="known", owner="maria")


def differing(found: Parity) -> dict[str, list[str]]:
    return {
        one.right: [words(difference) for difference in one.drift.differences] if one.drift else [one.error]
        for one in found.comparisons
        if not one.holds
    }


# -- against an image


def test_each_host_is_held_against_the_image() -> None:
    hosts = [told("web1", CURL), told("web2", CURL_2), Answer(host="web3", error="it is down")]
    found = parity.against(ParityKind.ENVIRONMENT, "production/web", snapshot("web", CURL), hosts, now=NOW)

    assert differing(found) == {"web2": ["package curl: version 1 became 2"], "web3": ["it is down"]}
    assert [one.left for one in found.comparisons] == ["web", "web", "web"]
    assert not found.holds
    assert replace(found, comparisons=found.comparisons[:1]).holds


def test_without_a_host_nothing_is_proved() -> None:
    assert not parity.against(ParityKind.ENVIRONMENT, "production/web", snapshot("web", CURL), [], now=NOW).holds


def test_an_allowance_that_matched_on_one_host_is_used() -> None:
    used, idle = allowance("packages:curl"), allowance("packages:wget")
    hosts = [told("web1", CURL), told("web2", CURL_2)]
    found = parity.against(ParityKind.ENVIRONMENT, "x", snapshot("web", CURL), hosts, (used, idle), now=NOW)

    assert found.holds
    assert found.unused == (idle,)


def test_where_no_host_answered_nobody_knows_which_allowance_is_used() -> None:
    found = parity.against(
        ParityKind.ENVIRONMENT, "x", snapshot("web", CURL), [Answer(host="web1")], (allowance("packages:curl"),),
        now=NOW,
    )  # fmt: skip

    assert found.unused == ()
    assert differing(found) == {"web1": ["it did not tell its state"]}


# -- a group


def test_the_odd_one_out_is_named() -> None:
    hosts = [told("web1", CURL), told("web2", CURL_2), told("web3", CURL)]
    found = parity.group("web", hosts, now=NOW)

    assert differing(found) == {"web2": ["package curl: version 1 became 2"]}
    assert found.comparisons[1].left == "most of the 3 hosts of web"


def test_of_hosts_that_are_alike_none_is_odd() -> None:
    assert parity.group("web", [told(f"web{number}", CURL) for number in range(3)], now=NOW).holds


def test_something_that_one_host_has_alone_is_that_ones() -> None:
    extra = {**CURL, "tmux": {"version": "3"}}
    added = parity.group("web", [told("web1", extra), told("web2", CURL), told("web3", CURL)], now=NOW)
    gone = parity.group("web", [told("web1", extra), told("web2", extra), told("web3", CURL)], now=NOW)

    assert differing(added) == {"web1": ["package tmux was added (version 3)"]}
    assert differing(gone) == {"web3": ["package tmux is gone (version 3)"]}


def test_an_attribute_that_one_host_has_alone_is_that_ones() -> None:
    held = {"curl": {**CURL["curl"], "hold": "yes"}}
    for place in range(3):
        hosts = [told(f"web{number}", held if number == place else CURL) for number in range(3)]

        assert differing(parity.group("web", hosts, now=NOW)) == {f"web{place}": ["package curl: hold yes was added"]}


def test_two_hosts_are_held_against_each_other() -> None:
    found = parity.group("web", [told("web1", CURL), told("web2", CURL_2)], now=NOW)

    assert [(one.left, one.right) for one in found.comparisons] == [("web1", "web2")]
    assert differing(found) == {"web2": ["package curl: version 1 became 2"]}
    assert parity.group("web", [told("web1", CURL), told("web2", CURL)], now=NOW).holds


def test_where_there_is_no_majority_it_is_said() -> None:
    halves = parity.group("web", [told("a", CURL), told("b", CURL), told("c", CURL_2), told("d", CURL_2)], now=NOW)
    presence = parity.group("web", [told("a", CURL), told("b", CURL), told("c", {}), told("d", {})], now=NOW)

    changed = ["package curl: version 1 (on 2 of 4: no majority) became 2"]
    gone = ["package curl is gone (version 1, state installed (on 2 of 4: no majority))"]
    assert differing(halves) == {"c": changed, "d": changed}
    assert differing(presence) == {"c": gone, "d": gone}


def test_one_host_alone_has_nothing_to_be_held_against() -> None:
    assert differing(parity.group("web", [told("web1", CURL)], now=NOW)) == {
        "web1": ["it is the only host of its group"]
    }


def test_hosts_that_do_not_answer_are_errors_and_the_others_are_judged() -> None:
    down = Answer(host="web9", error="it is down")
    several = parity.group("web", [told("web1", CURL), down, told("web2", CURL_2), told("web3", CURL)], now=NOW)
    alone = parity.group("web", [told("web1", CURL), down], now=NOW)
    nobody = parity.group("web", [down], now=NOW)

    assert differing(several) == {"web9": ["it is down"], "web2": ["package curl: version 1 became 2"]}
    assert differing(alone) == {"web9": ["it is down"], "web1": ["no other host of its group told its state"]}
    assert differing(nobody) == {"web9": ["it is down"]}


def test_who_cannot_tell_does_not_vote_and_is_not_alike() -> None:
    blind = told("web1", {}, Gap(reason="no dpkg"))
    found = parity.group("web", [blind, told("web2", CURL), told("web3", CURL)], now=NOW)
    partly = told("web1", {"curl": {"state": "installed"}}, Gap(key="curl", attribute="version", reason="denied"))
    half = parity.group("web", [partly, told("web2", CURL), told("web3", CURL_2), told("web4", CURL)], now=NOW)

    assert [one.right for one in found.comparisons if not one.holds] == ["web1"]
    assert found.comparisons[0].drift is not None
    assert found.comparisons[0].drift.compared == 0
    assert differing(half) == {"web1": [], "web3": ["package curl: version 1 became 2"]}


FACTS = st.dictionaries(
    st.sampled_from("abc"), st.dictionaries(st.sampled_from("xyz"), st.sampled_from("123"), max_size=3), max_size=3
)


@given(FACTS, FACTS, st.integers(3, 6), st.integers(0, 5))
def test_whatever_one_of_many_is_the_others_are_alike(
    most: dict[str, dict[str, str]], odd: dict[str, dict[str, str]], number: int, place: int
) -> None:
    place %= number
    hosts = [told(str(one), odd if one == place else most) for one in range(number)]
    found = parity.group("g", hosts, now=NOW)
    expected = compare(snapshot("most", most), snapshot("odd", odd), now=NOW)

    assert [one.right for one in found.comparisons if not one.holds] == ([] if most == odd else [str(place)])
    drift = found.comparisons[place].drift
    assert drift is not None
    assert drift.differences == expected.differences


@given(st.lists(FACTS, min_size=3, max_size=5))
def test_hosts_that_differ_are_never_all_alike(facts: list[dict[str, dict[str, str]]]) -> None:
    found = parity.group("g", [told(str(number), one) for number, one in enumerate(facts)], now=NOW)

    assert found.holds == all(one == facts[0] for one in facts)


def test_of_nothing_there_is_no_consensus() -> None:
    with pytest.raises(ValueError, match="no machine was counted"):
        Consensus().snapshot("x")


def test_a_family_that_one_host_was_not_asked_for_is_unread() -> None:
    bare = Answer(host="web1", read=lambda: Snapshot(subject="web1", taken=NOW, families=()))
    found = parity.group("web", [bare, told("web2", CURL), told("web3", CURL)], now=NOW)

    assert [one.right for one in found.comparisons if not one.holds] == ["web1"]


def test_kinds_survive_the_consensus() -> None:
    found = parity.group("web", [told("a", {}), told("b", CURL), told("c", CURL)], now=NOW)
    drift = found.comparisons[0].drift

    assert drift is not None
    assert [one.kind for one in drift.differences] == [Kind.REMOVED]


# -- checks


def check(identity: str, status: Status, message: str = "") -> Check:
    return Check(id=identity, status=status, message=message)


@pytest.mark.parametrize(
    ("left", "right", "compared", "differing"),
    [
        (Status.PASSED, Status.PASSED, 1, 0),
        (Status.FAILED, Status.FAILED, 1, 0),
        (Status.PASSED, Status.FAILED, 1, 1),
        (Status.FAILED, Status.PASSED, 1, 1),
        (Status.PASSED, Status.NOT_APPLICABLE, 1, 1),
        (Status.PASSED, Status.ERROR, 1, 1),
        (Status.ERROR, Status.ERROR, 1, 1),
        (Status.PASSED, Status.NOT_REVIEWED, 0, 1),
        (Status.NOT_REVIEWED, Status.NOT_REVIEWED, 0, 0),
        (Status.PASSED, None, 0, 1),
        (None, Status.PASSED, 0, 1),
    ],
)
def test_outcomes_are_compared_check_by_check(
    left: Status | None, right: Status | None, compared: int, differing: int
) -> None:
    here = {"a": check("a", left)} if left else {}
    there = {"a": check("a", right, "why")} if right else {}
    count, found = parity.outcomes(here, there)

    assert count == compared
    assert [one.check for one in found] == ["a"] * differing
    assert all(one.message == ("why" if right else "it did not run there") for one in found)


def test_a_check_that_concludes_differently_breaks_parity() -> None:
    drift = compare(snapshot("a", CURL), snapshot("b", CURL), now=NOW)
    count, found = parity.outcomes({"a": check("a", Status.PASSED)}, {"a": check("a", Status.FAILED)})

    assert Comparison(left="a", right="b", drift=drift, checks=count).holds
    assert not Comparison(left="a", right="b", drift=drift, checks=count, outcomes=found).holds
