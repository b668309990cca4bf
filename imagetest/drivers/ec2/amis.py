"""AMIs: what one is, and what its content is (DescribeImages)."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from imagetest.errors import ConfigError, EngineError
from imagetest.execute import aws
from imagetest.model.image import Image

ARCHITECTURES = {"x86_64": "amd64", "arm64": "arm64"}
"""AWS's words for those that are booted, and Docker's."""

REFERENCE = re.compile(r"(?:(?P<region>[a-z]{2}(?:-[a-z]+)+-\d+):)?(?P<ami>ami-[0-9a-f]{8,17})")

ABSENT = ("InvalidAMIID.NotFound", "InvalidAMIID.Unavailable", "InvalidAMIID.Malformed")

GIB = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Ami:
    """An AMI that can be booted, as the API describes it."""

    region: str
    id: str
    said: dict[str, Any]

    @property
    def reference(self) -> str:
        """Return `REGION:ami-...`."""
        return f"{self.region}:{self.id}"

    @property
    def architecture(self) -> str:
        """Return AWS's word for the architecture, such as `x86_64`."""
        return str(self.said["Architecture"])

    @property
    def volumes(self) -> list[dict[str, Any]]:
        """Return the devices that hold content, in the order of their names."""
        found = [one for one in self.said.get("BlockDeviceMappings", ()) if "Ebs" in one]
        return sorted(found, key=lambda one: str(one["DeviceName"]))

    @property
    def root_device(self) -> str:
        """Return the name of the device that it boots from."""
        return str(self.said.get("RootDeviceName") or "")

    def digest(self) -> str:
        """Return the SHA-256 of what decides how it boots and what is then on its disks.

        A snapshot never changes and its id is never used again, so that the ids of the snapshots stand for the bytes on
        the volumes; AWS tells no checksum of them. To these come which device each is on and how large, and what the
        machine is started with: architecture, virtualisation, boot mode, TPM, and the drivers it is said to have.
        Names, tags, descriptions, launch permissions, deprecation and protection are no content: promotion sets them.
        An AMI that was copied has snapshots of its own, and so a digest of its own.
        """
        told = {
            name: self.said.get(name)
            for name in (
                "Architecture", "BootMode", "EnaSupport", "ImdsSupport", "KernelId", "Platform", "RamdiskId",
                "RootDeviceName", "RootDeviceType", "SriovNetSupport", "TpmSupport", "VirtualizationType",
            )
        }  # fmt: skip
        told["volumes"] = [
            [one["DeviceName"], one["Ebs"].get("SnapshotId"), one["Ebs"].get("VolumeSize")] for one in self.volumes
        ]
        return "sha256:" + hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

    def image(self, name: str) -> Image:
        """Return the noun that the rest of imagetest knows."""
        created = str(self.said.get("CreationDate") or "")
        return Image(
            name=name, kind="ec2", reference=self.reference, digest=self.digest(),
            platform=f"linux/{ARCHITECTURES[self.architecture]}",
            size=sum(int(one["Ebs"].get("VolumeSize") or 0) for one in self.volumes) * GIB or None,
            created=datetime.fromisoformat(created) if created else None,
        )  # fmt: skip


def parse(reference: str) -> tuple[str, str]:
    """Return region and id of `REGION:ami-...`; the region of the user's configuration where it names none.

    Raises EngineError for what names no AMI, and ConfigError where no region is known.
    """
    found = REFERENCE.fullmatch(reference)
    if found is None:
        raise EngineError(f"{reference!r} names no AMI", hint="expected REGION:ami-..., such as eu-west-1:ami-0abc1234")
    region = found["region"] or aws.region()
    if not region:
        raise ConfigError(f"no region is known for {reference!r}", hint="write REGION:ami-..., or set AWS_REGION")
    return region, found["ami"]


def look(ec2: Any, region: str, ami: str) -> Ami:
    """Return an AMI. Raises EngineError, with the reason, for one that is not there or cannot be booted."""
    what = f"AMI {ami!r} in {region}"
    found = described(ec2, what, ami)
    if not found:
        raise EngineError(
            f"there is no {what}", hint="was it deregistered? is it in another region, or not shared with this account?"
        )
    made = Ami(region=region, id=ami, said=found[0])
    _bootable(made, what)
    return made


def described(ec2: Any, what: str, ami: str) -> list[dict[str, Any]]:
    """Return what the API says of an AMI; nothing of one that is not there. Raises EngineError."""
    try:
        with aws.translated(f"look at {what}"):
            return list(ec2.describe_images(ImageIds=[ami], IncludeDeprecated=True)["Images"])
    except aws.RefusedError as error:
        if error.code not in ABSENT:
            raise
        return []


def _bootable(ami: Ami, what: str) -> None:
    state = str(ami.said.get("State", "available"))
    reason = str((ami.said.get("StateReason") or {}).get("Message") or "AWS does not say why")
    if state == "pending":
        raise EngineError(f"{what} is still being made", hint="wait until it is available")
    if state in {"failed", "error", "invalid"}:
        raise EngineError(f"{what} could not be made: {reason}")
    if state != "available":
        raise EngineError(f"{what} is {state}, so that nothing can be booted from it")
    if str(ami.said.get("Platform", "")).lower() == "windows":
        raise EngineError(f"{what} is of Windows, and imagetest checks Linux")
    if ami.said.get("Architecture") not in ARCHITECTURES:
        raise EngineError(
            f"{what} is for {ami.said.get('Architecture')!r}, which this driver does not boot",
            hint=f"it boots {' and '.join(ARCHITECTURES)}",
        )
    if ami.said.get("RootDeviceType") != "ebs" or not ami.volumes:
        raise EngineError(f"{what} is not on EBS, so that its disks cannot be encrypted", hint="make one with EBS")


def fits(ec2: Any, ami: Ami, instance_type: str) -> None:
    """Raise ConfigError when an instance type is not of an AMI's architecture, or is none."""
    try:
        with aws.translated(f"look at instance type {instance_type!r}"):
            found = ec2.describe_instance_types(InstanceTypes=[instance_type])["InstanceTypes"]
    except aws.RefusedError as error:
        if error.code != "InvalidInstanceType":
            raise
        found = []
    if not found:
        raise ConfigError(
            f"there is no instance type {instance_type!r} in {ami.region}", hint="correct boot.ec2.instance_type"
        )
    known = found[0].get("ProcessorInfo", {}).get("SupportedArchitectures", [])
    if known and ami.architecture not in known:
        raise ConfigError(
            f"AMI {ami.id!r} is for {ami.architecture}, and instance type {instance_type!r} for {', '.join(known)}",
            hint="correct boot.ec2.instance_type",
        )
