"""Where a channel of one image is read: by whom and how is up to the kind of the image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class AmiOutlet:
    """How a channel's AMIs are published; all names are AWS's own."""

    regions: tuple[str, ...] = ()
    """Regions that get a copy each, besides the one that the image is in."""
    accounts: tuple[str, ...] = ()
    """Accounts that may launch it, twelve digits each."""
    organisations: tuple[str, ...] = ()
    """ARNs of organisations and organisational units whose accounts may launch it."""
    kms_key: str = ""
    """The key that copies are encrypted with; empty for copies that are as encrypted as the image is."""
    kms_keys: Mapping[str, str] = field(default_factory=dict)
    """The same by region; wins over `kms_key`."""
    parameter: str = ""
    """The SSM parameter that names the channel's AMI in each region; empty for none."""
    deprecate: int | None = None
    """Days after which what the channel held before is deprecated; None for never."""
    keep: int | None = None
    """How many earlier images of the channel stay; None for all."""
    wait: float = 3600.0
    """Seconds that the copies of one image may take, all of them together."""

    def key(self, region: str) -> str:
        """Return the key that a copy in a region is encrypted with; an empty string for none of its own."""
        return self.kms_keys.get(region, self.kms_key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlet:
    """A channel, as it is for one image."""

    channel: str
    image: str
    """The name of the image under test."""
    tag: str = ""
    """The tag of a container image that stands in the channel: `registry.example:5000/web:stable`."""
    push: bool = False
    """True when the tag is pushed to its registry."""
    disks: str = ""
    """An absolute folder, or `s3://BUCKET/PREFIX`, for disks; empty where the channel takes none."""
    ami: AmiOutlet | None = None
    """None where the channel takes no AMIs."""
    registry: str = ""
    """What tells the registry that the channel is recorded in from every other; empty before its first record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Why an image may enter a channel, to be kept beside it."""

    assessment_id: str
    document: bytes = b""
    """The assessment and its verdict, as JSON; empty where nobody has it any more."""
