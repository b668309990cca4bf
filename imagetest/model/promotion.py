"""Which image a channel points at, and the record of how it came to."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime


class Action(enum.Enum):
    """What a record in a channel's history says happened."""

    PROMOTE = "promote"
    REVOKE = "revoke"
    ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """One place that promoted content was brought to."""

    where: str
    """`docker:REFERENCE`, `qemu:DISK`, `ec2:REGION:AMI`, as an image is named elsewhere, or `s3://BUCKET/KEY`."""
    digest: str
    """What it is there: of a file or a registry's manifest the SHA-256, of a local image or an AMI the image's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """Content that was brought somewhere for a promotion, and that says itself that nobody recorded it in time."""

    where: str
    """As of a placement."""
    digest: str
    """Of the image that was tested."""
    assessment_id: str
    owner: str
    """Who brought it there, as `user@host`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """One record of a channel's append-only history."""

    number: int
    """Its place in the registry, from 1; 0 until it is recorded."""
    channel: str
    action: Action
    image: str
    """The name of the image under test."""
    kind: str
    reference: str
    digest: str
    assessment_id: str
    gate: str
    by: str
    at: datetime
    reason: str = ""
    """Why it was revoked, rolled back, or promoted in spite of a revoke; a plain promotion's reason is its verdict."""
    placements: tuple[Placement, ...] = ()
    """Where the content was brought before this was recorded; empty for records older than that."""
