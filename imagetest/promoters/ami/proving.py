"""What is proved of a copy: of which AMI AWS made it, what it looks like, and by which key it is encrypted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from imagetest.errors import EngineError, GateClosedError
from imagetest.promoters.ami.place import Client, Place, asked, snapshots

ALIKE = ("Architecture", "BootMode", "RootDeviceName", "TpmSupport", "VirtualizationType")
"""What EC2 tells of an AMI that its copies have from it ("CopyImage")."""

REMOVE = "deregister it, and promote again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """The AMI that was tested."""

    place: Place
    said: Mapping[str, Any]
    digest: str


def key_arn(client: Client, region: str, key: str) -> str:
    """Return the ARN of a key that is named by its id, an alias, or the ARN of either. Raises EngineError."""
    with asked(client, "kms", region, f"find the key {key!r}") as kms:
        return str(kms.describe_key(KeyId=key)["KeyMetadata"]["Arn"])


def must_be(ec2: Any, source: Tested, place: Place, said: Mapping[str, Any], key: str) -> None:
    """Hold a copy against its source: its origin, architecture, boot, sizes of disks, and the wanted key.

    Raises GateClosedError when it is, or may be, of something else, and EngineError when it is not encrypted as asked.
    """
    if not (said.get("SourceImageId") and said.get("SourceImageRegion")):
        raise GateClosedError(
            f"copy {place} is not known to be of what was tested: EC2 does not tell of which AMI it was made",
            hint=REMOVE,
        )
    origin = Place(said["SourceImageRegion"], said["SourceImageId"])
    pairs: list[tuple[str, object, object]] = [("source", str(source.place), str(origin))]
    pairs += [(name, source.said.get(name), said.get(name)) for name in ALIKE]
    pairs.append(("disks", _disks(source.said), _disks(said)))
    for name, expected, found in pairs:
        if expected != found:
            raise GateClosedError(f"copy {place} is not of what was tested: {name} {found}, expected {expected}")
    if key:
        _must_have_key(ec2, place, said, key)


def _must_have_key(ec2: Any, place: Place, said: Mapping[str, Any], key: str) -> None:
    """Look at its snapshots, of which EC2 tells the key; of an AMI it does not."""
    disks = snapshots(said)
    found = ec2.describe_snapshots(SnapshotIds=disks)["Snapshots"] if disks else []
    if len(found) < max(len(_disks(said)), 1) or not all(one.get("Encrypted") for one in found):
        raise EngineError(f"copy {place} is not encrypted", hint=REMOVE)
    if others := sorted({str(one.get("KmsKeyId")) for one in found} - {key}):
        raise EngineError(f"copy {place} is encrypted with the key {others[0]}, expected {key}", hint=REMOVE)


def _disks(said: Mapping[str, Any]) -> dict[str, int]:
    return {
        one["DeviceName"]: one["Ebs"].get("VolumeSize", 0)
        for one in said.get("BlockDeviceMappings", ())
        if "Ebs" in one
    }
