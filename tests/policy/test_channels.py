"""What a channel points at, folded from any history."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagetest.model.promotion import Action, Promotion
from imagetest.policy.channels import current, images, previous
from tests.nouns import record

P, R, B = Action.PROMOTE, Action.REVOKE, Action.ROLLBACK


def history(*entries: tuple[Action, str]) -> list[Promotion]:
    return [record(action, digest, number=number) for number, (action, digest) in enumerate(entries, 1)]


def at(entries: list[Promotion]) -> str:
    found = current(entries, channel="stable", image="web")
    return found.digest if found else ""


def back(entries: list[Promotion]) -> str:
    found = previous(entries, channel="stable", image="web")
    return found.digest if found else ""


@pytest.mark.parametrize(
    ("entries", "now", "before"),
    [
        ([], "", ""),
        ([(P, "a")], "a", ""),
        ([(P, "a"), (P, "b")], "b", "a"),
        ([(P, "a"), (P, "a")], "a", ""),
        ([(P, "a"), (R, "a")], "", ""),
        ([(P, "a"), (P, "b"), (R, "b")], "", "a"),
        ([(P, "a"), (P, "b"), (R, "a")], "b", ""),
        ([(P, "a"), (R, "a"), (P, "a"), (P, "b")], "b", "a"),
        # a rollback goes further back each time, and never forth again
        ([(P, "a"), (P, "b"), (P, "c"), (B, "b")], "b", "a"),
        ([(P, "a"), (P, "b"), (P, "c"), (B, "b"), (B, "a")], "a", ""),
        ([(P, "a"), (P, "b"), (B, "a"), (P, "c")], "c", "a"),
        # what was promoted again was brought again: what it held in between is what it held before
        ([(P, "a"), (P, "b"), (P, "a")], "a", "b"),
        ([(P, "a"), (P, "b"), (P, "a"), (P, "a")], "a", "b"),
        ([(P, "a"), (P, "b"), (P, "a"), (P, "c"), (B, "a")], "a", "b"),
        ([(P, "a"), (P, "b"), (P, "a"), (B, "b")], "b", "a"),
        ([(P, "a"), (P, "b"), (P, "a"), (B, "b"), (B, "a")], "a", ""),
    ],
)
def test_where_a_channel_stands_and_where_it_goes_back_to(
    entries: list[tuple[Action, str]], now: str, before: str
) -> None:
    assert at(history(*entries)) == now
    assert back(history(*entries)) == before


HISTORIES = st.lists(st.tuples(st.sampled_from(Action), st.sampled_from("abc")), max_size=12).map(
    lambda one: history(*one)
)


@given(HISTORIES)
def test_going_back_never_leads_to_what_was_revoked_or_is_current(entries: list[Promotion]) -> None:
    target = previous(entries, channel="stable", image="web")
    if target is None:
        return
    since = [one for one in entries if one.number > target.number and one.digest == target.digest]

    assert target.digest != at(entries)
    assert target.action is not Action.REVOKE
    assert all(one.action is not Action.REVOKE for one in since)


@given(HISTORIES)
def test_what_a_channel_points_at_was_brought_and_not_revoked_since(entries: list[Promotion]) -> None:
    now = current(entries, channel="stable", image="web")
    if now is None:
        return
    since = [one for one in entries if one.number > now.number]

    assert now in entries
    assert all(one.action is Action.REVOKE and one.digest != now.digest for one in since)


@given(HISTORIES)
def test_going_back_and_back_ends(entries: list[Promotion]) -> None:
    for _ in range(len(entries) + 1):
        target = back(entries)
        if not target:
            return
        entries = [*entries, record(B, target, number=len(entries) + 1)]
    pytest.fail("it goes round in a circle")


@given(HISTORIES, st.randoms(use_true_random=False))
def test_the_order_of_records_is_by_number(entries: list[Promotion], random: object) -> None:
    shuffled = list(entries)
    random.shuffle(shuffled)  # type: ignore[attr-defined]

    assert (at(shuffled), back(shuffled)) == (at(entries), back(entries))


def test_channels_and_images_are_kept_apart() -> None:
    entries = [
        record(P, "a", number=1),
        record(P, "b", number=2, channel="beta"),
        record(P, "c", number=3, image="other"),
    ]

    assert at(entries) == "a"
    assert images(entries, channel="stable") == ["other", "web"]
    assert images(entries, channel="beta") == ["web"]
    assert images(entries, channel="none") == []
