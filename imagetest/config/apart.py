"""Two images that would be written to one tag or one parameter: the second would overwrite the first, unnoticed.

Disks need no such care: their folder has the image's name, and what a channel is read by in it has the channel's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from imagetest.model.outlet import Outlet

HUB = ("docker.io/", "index.docker.io/", "library/")
"""What Docker takes for said before a name that says no registry (github.com/distribution/reference)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """What one image would be written to in one channel."""

    outlet: Outlet
    kind: str = ""
    """The kind of the image; empty where it is not known yet, so that it may be any."""

    @property
    def name(self) -> str:
        """Return what it is called in a message."""
        return f"{self.outlet.image!r} in channel {self.outlet.channel!r}"

    def writes(self) -> Iterator[tuple[str, str]]:
        """Return what is written to: what that is, and its name however it is spelled."""
        if self.kind in {"", "docker"}:
            yield "tag", _plain(self.outlet.tag)
        if self.kind in {"", "ec2"} and self.outlet.ami is not None and self.outlet.ami.parameter:
            yield "parameter", self.outlet.ami.parameter


@dataclass(frozen=True, slots=True, kw_only=True)
class Clash:
    """Two that would share something."""

    one: Spot
    other: Spot
    what: str
    """`tag` or `parameter`."""
    value: str

    def __str__(self) -> str:
        """Say it in one line."""
        return f"{self.one.name} and {self.other.name} would share the {self.what} {self.value!r}"


def clash(spots: Iterable[Spot]) -> Clash | None:
    """Return the first two that would share something; the same image in the same channel is no other."""
    seen: dict[tuple[str, str], Spot] = {}
    for spot in spots:
        for what, value in spot.writes():
            before = seen.setdefault((what, value), spot)
            if _who(before) != _who(spot):
                return Clash(one=before, other=spot, what=what, value=value)
    return None


def _who(spot: Spot) -> tuple[str, str]:
    return spot.outlet.channel, spot.outlet.image


def _plain(tag: str) -> str:
    """Return a tag as Docker understands it, without what it adds by itself."""
    for prefix in HUB:
        tag = tag.removeprefix(prefix)
    return tag if ":" in tag.rpartition("/")[2] else f"{tag}:latest"
