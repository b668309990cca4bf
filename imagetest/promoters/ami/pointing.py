"""What leads others to an AMI: who may launch it, the channel's tag, and the channel's parameter."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection, Mapping
from typing import Any

from imagetest.errors import EngineError
from imagetest.execute import aws, tags
from imagetest.execute.interrupts import interrupts
from imagetest.model.outlet import AmiOutlet, Outlet
from imagetest.promoters.ami.place import CHANNEL, Client, Place, asked, described, snapshots, tagged

OWN_DIGITS = 12

NO_PARAMETER, ALREADY_THERE = "ParameterNotFound", "ParameterAlreadyExists"

IMAGE_TYPE = "aws:ec2:image"
"""The data type with which SSM finds out whether the account may use the AMI, some time after it has answered
("Native parameter support for Amazon Machine Image IDs"): that is why the parameter is read until it says so."""


def share(client: Client, place: Place, outlet: Outlet, ami: AmiOutlet) -> None:
    """Let the channel's accounts and organisations launch an AMI, and tag it; what was deprecated is so no more."""
    with asked(client, "ec2", place.region, f"share {place}") as ec2:
        said = described(ec2, place)
        if said is None:
            raise EngineError(f"there is no AMI {place} any more", hint="promote it again")
        if said.get("DeprecationTime"):
            ec2.disable_image_deprecation(ImageId=place.ami)
        allowed = [{"UserId": one} for one in ami.accounts]
        allowed += [_organisation(one) for one in ami.organisations]
        if allowed:
            ec2.modify_image_attribute(ImageId=place.ami, LaunchPermission={"Add": allowed})
        for snapshot in snapshots(said) if ami.accounts else ():
            ec2.modify_snapshot_attribute(
                SnapshotId=snapshot, Attribute="createVolumePermission", OperationType="add", UserIds=list(ami.accounts)
            )
        ec2.create_tags(Resources=[place.ami, *snapshots(said)], Tags=tagged(**{tag_of(outlet): outlet.image}))


def tag_of(outlet: Outlet) -> str:
    """Return the key of the tag of what a channel stands at; its value is the image's name.

    Another registry may have a channel of the same name, and another image may be the same AMI: the end of the key
    tells whose this is, so that nobody takes away what is not theirs.
    """
    whose = hashlib.sha256(f"{outlet.registry}\n{outlet.image}".encode()).hexdigest()
    return f"{CHANNEL}{outlet.channel}:{whose[:OWN_DIGITS]}"


def put(client: Client, place: Place, name: str, *, seconds: float) -> None:
    """Have the parameter name an AMI, and read it back until it does. Raises EngineError when it never does."""
    deadline = time.monotonic() + seconds
    with asked(client, "ssm", place.region, f"set the parameter {name!r}") as ssm:
        if (before := read(ssm, name)) == place.ami:
            return
        if before or not _made(ssm, place, name):
            ssm.put_parameter(Name=name, Value=place.ami, Type="String", DataType=IMAGE_TYPE, Overwrite=True)
        while (found := read(ssm, name)) != place.ami:
            if time.monotonic() >= deadline:
                raise EngineError(
                    f"the parameter {name!r} in {place.region} is {found or 'not there'}, {seconds:g} seconds after it "
                    f"was set to {place.ami}",
                    hint="SSM takes an AMI only if this account may use it: see its events in EventBridge",
                )
            interrupts.checkpoint()
            time.sleep(aws.PAUSE_SECONDS)


def _made(ssm: Any, place: Place, name: str) -> bool:
    """Make a parameter that says whose it is, which SSM takes only of one that is new; say whether it was."""
    try:
        ssm.put_parameter(Name=name, Value=place.ami, Type="String", DataType=IMAGE_TYPE, Tags=tags.owned())
    except ssm.exceptions.ClientError as error:
        if aws.code_of(error) != ALREADY_THERE:
            raise
        return False
    return True


def is_led_to(client: Client, place: Place, outlet: Outlet) -> bool:
    """Say whether an AMI has the channel's tag; one that is gone has none."""
    with asked(client, "ec2", place.region, f"look at {place}") as ec2:
        return tag_of(outlet) in tags.of(described(ec2, place) or {})


def stands(client: Client, place: Place, outlet: Outlet, ami: AmiOutlet) -> bool:
    """Say whether an AMI has the channel's tag, and the channel's parameter names it."""
    if not is_led_to(client, place, outlet):
        return False
    if not ami.parameter:
        return True
    with asked(client, "ssm", place.region, f"read the parameter {ami.parameter!r}") as ssm:
        return read(ssm, ami.parameter) == place.ami


def read(ssm: Any, name: str) -> str:
    """Return what a parameter says; an empty string where there is none."""
    try:
        return str(ssm.get_parameter(Name=name)["Parameter"]["Value"])
    except ssm.exceptions.ClientError as error:
        if aws.code_of(error) == NO_PARAMETER:
            return ""
        raise


def take_away(client: Client, region: str, amis: Collection[str], outlet: Outlet, ami: AmiOutlet) -> None:
    """Remove the channel's tag in a region, and its parameter where it names one of some AMIs.

    What is not there is fine.
    """
    if ami.parameter:
        with asked(client, "ssm", region, f"remove the parameter {ami.parameter!r}") as ssm:
            if read(ssm, ami.parameter) in amis:
                ssm.delete_parameters(Names=[ami.parameter])
    with asked(client, "ec2", region, f"take {outlet.image!r} out of {outlet.channel!r}") as ec2:
        filters = [{"Name": "tag-key", "Values": [tag_of(outlet)]}]
        for said in list(aws.pages(ec2, "describe_images", "Images", Filters=filters, IncludeDeprecated=True)):
            untag(ec2, Place(region, said["ImageId"]), said, outlet)


def untag(ec2: Any, place: Place, said: Mapping[str, Any], outlet: Outlet) -> None:
    """Remove the channel's tag from an AMI and its snapshots."""
    ec2.delete_tags(Resources=[place.ami, *snapshots(said)], Tags=[{"Key": tag_of(outlet)}])


def _organisation(arn: str) -> dict[str, str]:
    return {"OrganizationalUnitArn" if ":ou/" in arn else "OrganizationArn": arn}
