"""What becomes of the AMIs that a channel held before: deprecated, and removed once nobody can need them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from imagetest.execute import aws, tags
from imagetest.model.outlet import Outlet
from imagetest.promoters.ami.place import AMI, CHANNEL, Client, Place, asked, described, erase, erase_disks, snapshots
from imagetest.promoters.ami.pointing import read, tag_of, untag

ALIVE = ("pending", "running", "shutting-down", "stopping", "stopped")
"""The states of an instance that is there, or can be started again."""

VERSIONS = ("$Latest", "$Default")
"""The versions of a launch template that instances are made of unless somebody names another."""


def deprecate(client: Client, place: Place, outlet: Outlet, days: int | None) -> None:
    """Have EC2 call an AMI deprecated some days from now, unless it has a date, and take the channel's tag off it.

    What another channel stands at by its tag, which may be one of another registry, is not deprecated. The tag goes
    last, so that as long as it is there somebody sees that this was not done.
    """
    with asked(client, "ec2", place.region, f"deprecate {place}") as ec2:
        said = described(ec2, place)
        if said is None:
            return
        if days is not None and not (said.get("DeprecationTime") or elsewhere(said, outlet)):
            at = (datetime.now(UTC) + timedelta(days=days)).replace(second=0, microsecond=0)
            ec2.enable_image_deprecation(ImageId=place.ami, DeprecateAt=at)
        untag(ec2, place, said, outlet)


def remove(client: Client, place: Place, outlet: Outlet) -> bool:
    """Deregister an AMI and delete its snapshots, and say whether that was done: what is in use stays."""
    with asked(client, "ec2", place.region, f"remove {place}") as ec2:
        said = described(ec2, place)
        if said is not None and (
            elsewhere(said, outlet) or launched(ec2, place.ami) or _named(client, place, outlet)
        ):  # fmt: skip
            return False
        found = {*(snapshots(said) if said is not None else ()), *_left(ec2, place.ami)}
        if said is not None:
            erase(ec2, place.ami, list(found))
        else:
            erase_disks(ec2, list(found))
    return True


def elsewhere(said: Mapping[str, Any], outlet: Outlet) -> bool:
    """Say whether another channel stands at an AMI, by its tag: of this registry or of another."""
    ours = tag_of(outlet)
    return any(key.startswith(CHANNEL) and key != ours for key in tags.of(dict(said)))


def launched(ec2: Any, ami: str) -> bool:
    """Say whether an instance is made of an AMI, or will be by a launch template."""
    filters = [{"Name": "image-id", "Values": [ami]}, {"Name": "instance-state-name", "Values": list(ALIVE)}]
    if any(one["Instances"] for one in aws.pages(ec2, "describe_instances", "Reservations", Filters=filters)):
        return True
    query = {"Versions": list(VERSIONS)}
    templates = aws.pages(ec2, "describe_launch_template_versions", "LaunchTemplateVersions", **query)
    return any(one.get("LaunchTemplateData", {}).get("ImageId") == ami for one in templates)


def _named(client: Client, place: Place, outlet: Outlet) -> bool:
    """Say whether the channel's parameter, or one below the same first folder, names an AMI."""
    parameter = outlet.ami.parameter if outlet.ami else ""
    if not parameter:
        return False
    with asked(client, "ssm", place.region, f"read the parameter {parameter!r}") as ssm:
        if read(ssm, parameter) == place.ami:
            return True
        if not parameter.startswith("/"):
            return False
        above = "/" + parameter.split("/")[1]
        every = aws.pages(ssm, "get_parameters_by_path", "Parameters", Path=above, Recursive=True)
        return any(one["Value"] == place.ami for one in every)


def _left(ec2: Any, ami: str) -> list[str]:
    """Return the snapshots of an AMI that somebody began to remove."""
    filters = [{"Name": f"tag:{AMI}", "Values": [ami]}]
    found = aws.pages(ec2, "describe_snapshots", "Snapshots", OwnerIds=["self"], Filters=filters)
    return [str(one["SnapshotId"]) for one in found]
