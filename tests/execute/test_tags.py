"""The tags by which whatever is made in an account is found again, whoever made it."""

from __future__ import annotations

from datetime import UTC, datetime

from imagetest.execute import tags
from imagetest.execute.operator import operator

WHEN = datetime(2031, 1, 2, tzinfo=UTC)


def test_what_packer_makes_is_found_by_the_tags_of_the_driver() -> None:
    """Packer's things keep the name that Packer gives them."""
    packers = tags.belonging("imagetest-packer-1@us-east-1", run="packer-1", expires=WHEN)
    ours = tags.own("imagetest-1-web@us-east-1", image="web", expires=WHEN, further=(("team", "a"),))

    assert {one["Key"]: one["Value"] for one in packers} == {
        tags.RESOURCE: "imagetest-packer-1@us-east-1", tags.RUN: "packer-1", tags.OWNER: operator(),
        tags.EXPIRES: "2031-01-02T00:00:00+00:00",
    }  # fmt: skip
    assert {one["Key"] for one in ours} == {one["Key"] for one in packers} | {"Name", "team"}
