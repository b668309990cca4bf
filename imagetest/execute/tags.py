"""What everything that is made in an account is called, whose it is, and until when it may live: its tags."""

from __future__ import annotations

import re
from datetime import datetime

from imagetest.execute.operator import operator

RESOURCE = "imagetest:resource"
"""The tag that names the instance which a thing belongs to: by it everything is found again and removed."""
RUN, OWNER, EXPIRES = "imagetest:run", "imagetest:owner", "imagetest:expires"

RESERVED = ("aws:", "imagetest:")
"""How keys begin that users may not set: AWS's own ("Tag your Amazon EC2 resources"), and ours."""

LONGEST_VALUE = 256

PACKERS_OWN = re.compile(r"packer_[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""How Packer calls a temporary key pair or security group: nobody else's has such a name.

A template may give a key pair another name (`temporary_key_pair_name`), which may be that of somebody's own.
"""

MOST = 45
"""Of the 50 tags that one thing may have, those that are left."""

Tags = list[dict[str, str]]
"""As the API takes them."""


def own(resource: str, *, image: str, expires: datetime, further: tuple[tuple[str, str], ...]) -> Tags:
    """Return the tags of what is made for one instance."""
    run = resource.removeprefix("imagetest-").partition(f"-{image}")[0]
    return [*_tags({"Name": resource}), *belonging(resource, run=run, expires=expires), *_tags(dict(further))]


def belonging(resource: str, *, run: str, expires: datetime) -> Tags:
    """Return the tags that say what a thing belongs to, whose it is, and when it is to be gone."""
    return [*_tags({RESOURCE: resource}), *expiring(run=run, expires=expires)]


def expiring(*, run: str, expires: datetime) -> Tags:
    """Return the tags that say whose a thing is that belongs to no instance, and when it is to be gone."""
    return [*_tags({RUN: run}), *owned(), *_tags({EXPIRES: expires.isoformat(timespec="seconds")})]


def owned() -> Tags:
    """Return the tag that says whose a thing is."""
    return _tags({OWNER: operator()})


def _tags(said: dict[str, str]) -> Tags:
    return [{"Key": key, "Value": allowed(value)} for key, value in said.items()]


def allowed(value: str) -> str:
    """Return a value as a tag may hold it: letters, digits, spaces and `+ - = . _ : / @`, 256 of them."""
    return re.sub(r"[^\w +\-=.:/@]", "_", value)[:LONGEST_VALUE]


def specification(tags: Tags, *kinds: str) -> list[dict[str, object]]:
    """Return what has the API tag things in the very request that makes them."""
    return [{"ResourceType": kind, "Tags": tags} for kind in kinds]


def of(found: dict[str, object]) -> dict[str, str]:
    """Return the tags of something that the API describes."""
    tags = found.get("Tags") or []
    assert isinstance(tags, list)  # noqa: S101 - told to the type checker
    return {str(tag["Key"]): str(tag["Value"]) for tag in tags}


def named(resource: str, region: str) -> str:
    """Return a name that tells its region, which a later process needs to find the thing."""
    return f"{resource}@{region}"


def region_in(resource: str) -> str:
    """Return the region that a name tells; an empty string where it tells none."""
    return resource.rpartition("@")[2] if "@" in resource else ""
