"""What a channel held may go one day; what any channel stands at, or can go back to, may not."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from imagetest.model.promotion import Action, Placement, Promotion
from imagetest.policy import channels, retention
from tests.nouns import record

MOVES = st.tuples(st.sampled_from(Action), st.sampled_from("abcdef"), st.sampled_from(["stable", "beta"]))


def place(digest: str, channel: str = "any") -> Placement:
    return Placement(where=f"shelf:{channel}/{digest}", digest=digest)


def story(*moves: tuple[Action, str, str]) -> tuple[Promotion, ...]:
    """Return a history in which all that is brought for a digest lies in one place, whichever channel it is for."""
    return tuple(
        replace(record(action, digest, number=number, channel=channel), placements=(place(digest),))
        for number, (action, digest, channel) in enumerate(moves, start=1)
    )


def promoted(*digests: str, channel: str = "stable") -> tuple[tuple[Action, str, str], ...]:
    return tuple((Action.PROMOTE, digest, channel) for digest in digests)


def digests(found: tuple[Placement, ...]) -> str:
    return "".join(one.digest for one in found)


def test_what_came_before_is_superseded_newest_first() -> None:
    history = story(*promoted("a", "b", "c"))

    assert digests(retention.superseded(history, channel="stable", image="web")) == "ba"
    assert digests(retention.surplus(history, channel="stable", image="web", keep=1)) == "a"
    assert digests(retention.surplus(history, channel="stable", image="web", keep=2)) == ""


def test_what_another_channel_stands_at_stays() -> None:
    history = story(*promoted("a", "b", "c"), *promoted("a", channel="beta"))

    assert digests(retention.superseded(history, channel="stable", image="web")) == "b"
    assert digests(retention.surplus(history, channel="stable", image="web", keep=1)) == ""


def test_what_another_channel_or_image_ever_held_stays() -> None:
    """Another channel may keep more than this one."""
    history = story(*promoted("a", "b", channel="beta"), *promoted("a", "b", "c", "d"))
    other = tuple(replace(entry, image="web.uefi") for entry in story(*promoted("a", "e")))

    assert digests(retention.surplus(history, channel="stable", image="web", keep=1)) == ""
    mixed = (*other, *story(*promoted("a", "b", "c", "d")))
    assert digests(retention.surplus(mixed, channel="stable", image="web", keep=1)) == "b"


def test_what_was_revoked_does_not_count_as_something_to_go_back_to() -> None:
    history = story(*promoted("a", "b", "c"), (Action.REVOKE, "c", "stable"), *promoted("d"))

    assert digests(retention.surplus(history, channel="stable", image="web", keep=1)) == "a"


def test_a_rollback_makes_what_it_left_superseded() -> None:
    history = story(*promoted("a", "b"), (Action.ROLLBACK, "a", "stable"))

    assert digests(retention.superseded(history, channel="stable", image="web")) == "b"


def test_every_place_that_a_content_was_ever_brought_to_counts() -> None:
    first, again, other = story(*promoted("a", "a", "b"))
    elsewhere = Placement(where="shelf:elsewhere/a", digest="a")
    history = (replace(first, placements=(place("a"), elsewhere)), again, other)

    assert retention.superseded(history, channel="stable", image="web") == (place("a"), elsewhere)


@given(st.lists(MOVES, max_size=12), st.integers(1, 4))
def test_nothing_goes_that_a_channel_stands_at_or_can_go_back_to(
    moves: list[tuple[Action, str, str]], keep: int
) -> None:
    history = story(*moves)
    for channel in ("stable", "beta"):
        gone = set(digests(retention.surplus(history, channel=channel, image="web", keep=keep)))

        assert gone <= set(digests(retention.superseded(history, channel=channel, image="web")))
        for other in ("stable", "beta"):
            now = channels.current(history, channel=other, image="web")
            earlier = dict.fromkeys(
                one.digest
                for one in reversed(history)
                if one.channel == other and one.action is not Action.REVOKE and (not now or one.digest != now.digest)
            )
            good = [one for one in earlier if not channels.revoked(history, channel=other, image="web", digest=one)]

            assert now is None or now.digest not in gone
            assert not gone.intersection(good[:keep])
