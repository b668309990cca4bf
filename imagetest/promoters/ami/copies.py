"""Copies of an AMI in other regions: begun once, waited for, and held against the AMI that was tested."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from imagetest.errors import EngineError, GateClosedError
from imagetest.execute import aws
from imagetest.execute.interrupts import interrupts
from imagetest.model.outlet import AmiOutlet
from imagetest.promoters.ami.place import (
    AMI,
    DIGEST,
    SOURCE,
    UNKNOWN,
    Client,
    Place,
    asked,
    described,
    snapshots,
    tagged,
)  # fmt: skip

POLL_SECONDS = 15.0
"""Between two looks at a copy, which takes minutes."""

FULL = "ResourceLimitExceeded"
"""What EC2 answers when too many snapshots are being copied into a region ("Amazon EBS quotas")."""

FAILED = frozenset({"failed", "error", "invalid"})
ATTEMPTS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The AMI that was tested."""

    place: Place
    said: Mapping[str, Any]
    digest: str
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """Makes the copies of one AMI."""

    client: Client
    outlet: AmiOutlet
    poll: float = POLL_SECONDS
    consistent: float = aws.CONSISTENT_SECONDS

    def make(self, source: Source, regions: list[str]) -> list[Place]:
        """Have a copy in each region, those that are there already among them; wait until each is there and right.

        Raises EngineError for one that failed or takes too long, GateClosedError for one that is of something else.
        """
        deadline = time.monotonic() + self.outlet.wait
        begun = [self._begun(source, region, deadline) for region in regions]
        return [self._ready(source, place, deadline) for place in begun]

    def _begun(self, source: Source, region: str, deadline: float) -> Place:
        """Return a copy that was begun, now or earlier; what failed of it earlier is cleared away first."""
        with asked(self.client, "ec2", region, f"copy {source.place}") as ec2:
            gone: list[str] = []
            for one in _found(ec2, source):
                if one.get("State") not in FAILED:
                    return Place(region, one["ImageId"])
                ec2.deregister_image(ImageId=one["ImageId"])
                gone.append(one["ImageId"])
            for _ in range(ATTEMPTS):
                place = Place(region, self._copy(ec2, source, region, gone, deadline))
                if self._known(ec2, place):
                    return place
                gone.append(place.ami)  # by its token EC2 remembers it for a day, though somebody deregistered it
        raise EngineError(
            f"{gone[-1]} was made in {region} as a copy of {source.place} and is not there", hint="promote it again"
        )

    def _copy(self, ec2: Any, source: Source, region: str, gone: list[str], deadline: float) -> str:
        """Ask for a copy; the token has EC2 make one only, however often it is asked."""
        key = self.outlet.key(region)
        token = hashlib.sha256("\n".join([str(source.place), region, key, *sorted(gone)]).encode()).hexdigest()
        tags = tagged(**source.tags)
        order = {
            "SourceImageId": source.place.ami, "SourceRegion": source.place.region, "ClientToken": token,
            "Name": f"{source.said.get('Name') or source.place.ami}"[:100] + f"-{token[:8]}",
            "Description": f"copy of {source.place}", **({"Encrypted": True, "KmsKeyId": key} if key else {}),
            "TagSpecifications": [{"ResourceType": kind, "Tags": tags} for kind in ("image", "snapshot")],
        }  # fmt: skip
        while True:
            try:
                return str(ec2.copy_image(**order)["ImageId"])
            except ec2.exceptions.ClientError as error:
                if aws.code_of(error) != FULL or time.monotonic() >= deadline:
                    raise
            interrupts.checkpoint()
            time.sleep(self.poll)

    def _known(self, ec2: Any, place: Place) -> bool:
        """Say whether EC2 knows an AMI, which it may not for a while; it is given some seconds."""
        deadline = time.monotonic() + self.consistent
        while described(ec2, place) is None:
            if time.monotonic() >= deadline:
                return False
            interrupts.checkpoint()
            time.sleep(min(self.poll, aws.PAUSE_SECONDS))
        return True

    def _ready(self, source: Source, place: Place, deadline: float) -> Place:
        with asked(self.client, "ec2", place.region, f"copy {source.place}") as ec2:
            while True:
                said = described(ec2, place) or {"State": "pending"}
                state = said.get("State")
                if state == "available":
                    _must_be(source, place, said, self.outlet.key(place.region))
                    _tag(ec2, source, place, said)
                    return place
                if state in FAILED:
                    reason = (said.get("StateReason") or {}).get("Message") or "AWS does not say why"
                    raise EngineError(
                        f"copy {place} of {source.place} failed: {reason}", hint=_remedy(self.outlet, place)
                    )
                if time.monotonic() >= deadline:
                    raise EngineError(
                        f"copy {place} of {source.place} is {state} after {self.outlet.wait:g} seconds",
                        hint="promote it again to go on waiting, or raise 'wait' of the channel",
                    )
                interrupts.checkpoint()
                time.sleep(self.poll)


def _remedy(outlet: AmiOutlet, place: Place) -> str:
    key = outlet.key(place.region)
    return f"may this account use {key!r} in {place.region}? promote it again" if key else "promote it again"


def _found(ec2: Any, source: Source) -> list[dict[str, Any]]:
    filters = [{"Name": f"tag:{SOURCE}", "Values": [str(source.place)]}]
    found = list(aws.pages(ec2, "describe_images", "Images", Owners=["self"], Filters=filters, IncludeDeprecated=True))
    return sorted(found, key=lambda one: (one.get("State") in FAILED, str(one.get("CreationDate")), one["ImageId"]))


def _must_be(source: Source, place: Place, said: Mapping[str, Any], key: str) -> None:
    """Hold a copy against its source, as far as EC2 tells: its origin, architecture, boot and sizes of disks."""
    origin = Place(said["SourceImageRegion"], said["SourceImageId"]) if said.get("SourceImageId") else source.place
    pairs: list[tuple[str, object, object]] = [("source", str(source.place), str(origin))]
    pairs += [
        (name, source.said.get(name), said.get(name))
        for name in ("Architecture", "BootMode", "RootDeviceName", "TpmSupport", "VirtualizationType")
    ]
    pairs.append(("disks", _disks(source.said), _disks(said)))
    for name, expected, found in pairs:
        if expected != found:
            raise GateClosedError(f"copy {place} is not of what was tested: {name} {found}, expected {expected}")
    if key and not all(
        one.get("Ebs", {}).get("Encrypted") for one in said.get("BlockDeviceMappings", ()) if "Ebs" in one
    ):
        raise EngineError(f"copy {place} is not encrypted", hint="deregister it, and promote again")


def _disks(said: Mapping[str, Any]) -> dict[str, int]:
    return {
        one["DeviceName"]: one["Ebs"].get("VolumeSize", 0)
        for one in said.get("BlockDeviceMappings", ())
        if "Ebs" in one
    }


def _tag(ec2: Any, source: Source, place: Place, said: dict[str, Any]) -> None:
    """Tag a copy and its snapshots: they may have been made before all tags were known."""
    ec2.create_tags(Resources=[place.ami], Tags=tagged(**source.tags))
    own = {DIGEST: source.digest, AMI: place.ami}
    if found := snapshots(said):
        ec2.create_tags(Resources=found, Tags=tagged(**{**source.tags, **own}))


__all__ = ["POLL_SECONDS", "UNKNOWN", "Copies", "Source"]
