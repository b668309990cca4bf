"""Copies that nobody recorded by their expiry, and the snapshots of such: how they are found, kept and removed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from imagetest.errors import EngineError
from imagetest.execute import aws, tags
from imagetest.model.promotion import Leftover
from imagetest.promoters.ami.place import (
    ASSESSMENT,
    CHANNEL,
    DIGEST,
    NO_SNAPSHOT,
    SCHEME,
    SOURCE,
    Client,
    Place,
    asked,
    delete,
    described,
    erase,
    snapshots,
)  # fmt: skip
from imagetest.promoters.ami.retiring import launched

SNAPSHOT = "snap-"


def settle(client: Client, place: Place) -> None:
    """Have an AMI stay: it is recorded. Raises EngineError when it is not there."""
    with asked(client, "ec2", place.region, f"keep {place}") as ec2:
        said = described(ec2, place)
        if said is None:
            raise EngineError(f"there is no AMI {place} any more", hint="promote it again")
        ec2.delete_tags(Resources=[place.ami, *snapshots(said)], Tags=[{"Key": tags.EXPIRES}])


def expired(client: Client, region: str, now: datetime) -> tuple[Leftover, ...]:
    """Return the copies that are past their expiry, then snapshots of copies that are gone. Raises EngineError."""
    with asked(client, "ec2", region, "look for copies that nobody recorded") as ec2:
        every = list(aws.pages(ec2, "describe_images", "Images", Owners=["self"], IncludeDeprecated=True))
        used = {snapshot for one in every for snapshot in snapshots(one)}
        filters = [{"Name": "tag-key", "Values": [tags.EXPIRES]}]
        disks = aws.pages(ec2, "describe_snapshots", "Snapshots", OwnerIds=["self"], Filters=filters)
        found = [(str(one["ImageId"]), tags.of(one)) for one in every]
        found += [(str(one["SnapshotId"]), tags.of(one)) for one in disks if one["SnapshotId"] not in used]
    copies = [(identity, told) for identity, told in found if SOURCE in told]
    return tuple(_leftover(region, identity, told) for identity, told in copies if _may_be_over(identity, told, now))


def remove(client: Client, leftover: Leftover, now: datetime) -> bool:
    """Remove a copy, or a snapshot, and say whether it is gone: what was prolonged or is in use stays."""
    region, _, identity = leftover.where.removeprefix(SCHEME).partition(":")
    with asked(client, "ec2", region, f"remove {leftover.where}") as ec2:
        if identity.startswith(SNAPSHOT):
            found = _snapshot(ec2, identity)
            if found is not None and not _is_over(identity, tags.of(found), now):
                return False
            delete(ec2, identity)
            return True
        said = described(ec2, Place(region, identity))
        if said is None:
            return True  # somebody else was quicker
        if not _is_over(identity, tags.of(said), now) or _in_use(ec2, identity, said):
            return False
        erase(ec2, identity, snapshots(said))
    return True


def _snapshot(ec2: Any, identity: str) -> dict[str, Any] | None:
    """Return what EC2 says of a snapshot; None for one that is not there."""
    try:
        found = ec2.describe_snapshots(SnapshotIds=[identity])["Snapshots"]
    except ec2.exceptions.ClientError as error:
        if aws.code_of(error) != NO_SNAPSHOT:
            raise
        return None
    return dict(found[0]) if found else None


def _is_over(identity: str, told: dict[str, str], now: datetime) -> bool:
    """Say whether something is past its expiry; what has none is not. A tag that is no time is said, not guessed at."""
    if tags.EXPIRES not in told:
        return False
    try:
        return datetime.fromisoformat(told[tags.EXPIRES]) <= now
    except (ValueError, TypeError) as error:
        raise EngineError(f"{identity!r} expires at {told[tags.EXPIRES]!r}, which is no time") from error


def _may_be_over(identity: str, told: dict[str, str], now: datetime) -> bool:
    """Say the same, and yes of a tag that is no time: it keeps nothing else from going, and `remove` says so."""
    try:
        return _is_over(identity, told, now)
    except EngineError:
        return True


def _in_use(ec2: Any, ami: str, said: dict[str, Any]) -> bool:
    stands = any(key.startswith(CHANNEL) for key in tags.of(said))
    return stands or launched(ec2, ami)


def _leftover(region: str, identity: str, told: dict[str, str]) -> Leftover:
    return Leftover(
        where=f"{SCHEME}{region}:{identity}", digest=told.get(DIGEST, ""), assessment_id=told.get(ASSESSMENT, ""),
        owner=told.get(tags.OWNER, ""),
    )  # fmt: skip


__all__ = ["expired", "remove", "settle"]
