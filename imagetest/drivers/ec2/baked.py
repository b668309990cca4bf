"""AMIs of bakes: those that are done for are removed, one that is recorded is told to stay."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from imagetest.drivers.ec2.amis import ABSENT, described
from imagetest.errors import EngineError, ImagetestError, LeakError
from imagetest.execute import aws, tags

LEFT = re.compile(r"(?P<region>[a-z0-9-]+):(?P<what>made-of:i-[0-9a-f]+|copies-of:ami-[0-9a-f]+|snap-[0-9a-f]+)")
"""What may be left of a bake whose AMI nobody knows by its id."""

FOUND_BY = {"made-of": "source-instance-id", "copies-of": "source-image-id"}
"""By which filter AMIs are found: EC2 itself tells of which instance or AMI one was made."""


def discard(ec2: Any, region: str, ami: str) -> None:
    """Deregister an AMI and delete its snapshots; one that is not there is fine. Raises LeakError."""
    try:
        _discard(ec2, region, ami)
    except ImagetestError as error:
        raise LeakError(f"AMI {ami!r} in {region} may still be there: {error}", hint=error.hint) from error


def discard_left(ec2: Any, region: str, what: str) -> None:
    """Remove the AMIs that were made of an instance or an AMI and that no bake recorded, or one snapshot.

    Raises LeakError.
    """
    how, _, source = what.rpartition(":")
    try:
        if not how:
            _delete(ec2, region, [what])
            return
        for one in _images(ec2, [{"Name": FOUND_BY[how], "Values": [source]}]):
            if not _settled(tags.of(one)):
                _discard(ec2, region, str(one["ImageId"]))
    except ImagetestError as error:
        raise LeakError(f"{what!r} in {region} may still be there: {error}", hint=error.hint) from error


def settle(ec2: Any, region: str, ami: str) -> None:
    """Have an AMI say whose it is, and expire no more, unless it does. Raises EngineError."""
    with aws.translated(f"mark AMI {ami!r} in {region} as one that stays"):
        found = ec2.describe_images(ImageIds=[ami])["Images"]
        if not found:
            raise EngineError(f"cannot mark AMI {ami!r} in {region} as one that stays: AWS does not list it")
        if _settled(tags.of(found[0])):
            return
        things = sorted({ami, *_snapshots(found[0]), *aws.snapshots_of(ec2, ami)})
        ec2.create_tags(Resources=things, Tags=tags.owned())
        ec2.delete_tags(Resources=things, Tags=[{"Key": tags.EXPIRES}])


def expired(ec2: Any, region: str, now: datetime) -> tuple[list[str], list[str]]:
    """Return references to what bakes made that never came to an end, for `discard`, and what says no time, in words.

    What a promotion brought has an expiry as well, but says no run.
    """
    filters = [{"Name": "tag-key", "Values": [tags.EXPIRES]}]
    images = _images(ec2, filters)
    with aws.translated("look for snapshots that have expired"):
        disks = list(aws.pages(ec2, "describe_snapshots", "Snapshots", OwnerIds=["self"], Filters=filters))
    used = {snapshot for one in images for snapshot in _snapshots(one)}
    things = [(str(one["ImageId"]), tags.of(one)) for one in images]
    things += [(str(one["SnapshotId"]), tags.of(one)) for one in disks if one["SnapshotId"] not in used]
    return _over([(identity, told) for identity, told in things if tags.RUN in told], region, now)


def _over(things: Iterable[tuple[str, dict[str, str]]], region: str, now: datetime) -> tuple[list[str], list[str]]:
    found, wrong = list[str](), list[str]()
    for identity, told in things:
        try:
            over = datetime.fromisoformat(told[tags.EXPIRES]) <= now
        except (ValueError, TypeError):  # TypeError: it names no zone
            wrong.append(f"{identity!r} expires at {told[tags.EXPIRES]!r}, which is no time")
        else:
            found += [f"{region}:{identity}"] if over else []
    return found, wrong


def _settled(told: dict[str, str]) -> bool:
    return tags.OWNER in told and tags.EXPIRES not in told


def _images(ec2: Any, filters: list[dict[str, Any]]) -> list[dict[str, Any]]:
    with aws.translated("look for AMIs of bakes"):
        return list(
            aws.pages(ec2, "describe_images", "Images", Owners=["self"], IncludeDeprecated=True, Filters=filters)
        )


def _discard(ec2: Any, region: str, ami: str) -> None:
    """Deregister an AMI, then delete its snapshots. Raises EngineError."""
    found = described(ec2, f"AMI {ami!r} in {region}", ami)
    with aws.translated(f"look for the snapshots of AMI {ami!r} in {region}"):
        snapshots = {*aws.snapshots_of(ec2, ami), *(snapshot for one in found for snapshot in _snapshots(one))}
    for one in found:
        _deregister(ec2, region, str(one["ImageId"]))
    _delete(ec2, region, sorted(snapshots))


def _deregister(ec2: Any, region: str, ami: str) -> None:
    """Deregister an AMI; one that somebody has removed meanwhile is fine. Raises EngineError."""
    try:
        with aws.translated(f"deregister AMI {ami!r} in {region}"):
            ec2.deregister_image(ImageId=ami)
    except aws.RefusedError as error:
        if error.code not in ABSENT:
            raise


def _snapshots(said: dict[str, Any]) -> list[str]:
    disks = (one.get("Ebs", {}).get("SnapshotId") for one in said.get("BlockDeviceMappings", ()))
    return [str(one) for one in disks if one]


def _delete(ec2: Any, region: str, snapshots: list[str]) -> None:
    """Delete snapshots that no AMI uses any more; one that is not there is fine. Raises EngineError."""
    for snapshot in snapshots:
        try:
            with aws.translated(f"delete snapshot {snapshot!r} in {region}"):
                aws.eventually(lambda one=snapshot: ec2.delete_snapshot(SnapshotId=one), "InvalidSnapshot.InUse")  # type: ignore[misc]
        except aws.RefusedError as error:
            if error.code != "InvalidSnapshot.NotFound":
                raise
