"""An AMI in its region, and what AWS says of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from imagetest.errors import EngineError
from imagetest.execute import aws
from imagetest.model.promotion import Placement

SCHEME = "ec2:"
REFERENCE = re.compile(r"(?P<region>[a-z]{2}(?:-[a-z]+)+-\d+):(?P<ami>ami-[0-9a-f]+)")

SOURCE, DIGEST, ASSESSMENT, AMI = "imagetest:source", "imagetest:digest", "imagetest:assessment", "imagetest:ami"
"""Tags by which a copy is found again: of which AMI it is, what was tested, by which assessment it was promoted, and,
on a snapshot, whose it is."""

CHANNEL = "imagetest:channel:"
"""How the keys of the tags begin by which an AMI says that a channel stands at it."""

KEY = "imagetest:key"
"""The tag of a copy that was encrypted with a key of its own: the key's ARN."""

NO_SNAPSHOT, SNAPSHOT_IN_USE = "InvalidSnapshot.NotFound", "InvalidSnapshot.InUse"

UNKNOWN = ("InvalidAMIID.NotFound", "InvalidAMIID.Unavailable")
"""What EC2 answers for an AMI that is not there, and for a while for one that was just made."""

Client = Callable[[str, str], Any]
"""Makes a client of a service, such as `ec2`, in a region."""


@dataclass(frozen=True, slots=True)
class Place:
    """One AMI."""

    region: str
    ami: str

    @classmethod
    def read(cls, reference: str) -> Place:
        """Read `REGION:ami-...`. Raises EngineError."""
        found = REFERENCE.fullmatch(reference.removeprefix(SCHEME))
        if found is None:
            raise EngineError(
                f"{reference!r} names no AMI", hint="expected REGION:ami-..., as in eu-west-1:ami-0abc1234"
            )
        return cls(found["region"], found["ami"])

    def __str__(self) -> str:
        """Return `REGION:ami-...`."""
        return f"{self.region}:{self.ami}"

    def placement(self, digest: str) -> Placement:
        """Return what a record says of it."""
        return Placement(where=f"{SCHEME}{self}", digest=digest)


@contextmanager
def asked(client: Client, service: str, region: str, what: str) -> Iterator[Any]:
    """Give a client for a moment; its errors are ours, and say what was being done."""
    with closing(client(service, region)) as made, aws.translated(f"{what} in {region}"):
        yield made


def described(ec2: Any, place: Place) -> dict[str, Any] | None:
    """Return what EC2 says of an AMI of this account's, or one that it may use; None for one that is not there."""
    try:
        found = ec2.describe_images(ImageIds=[place.ami], IncludeDeprecated=True)["Images"]
    except ec2.exceptions.ClientError as error:
        if aws.code_of(error) in UNKNOWN:
            return None
        raise
    return dict(found[0]) if found else None


def snapshots(said: Mapping[str, Any]) -> list[str]:
    """Return the ids of an AMI's snapshots."""
    found = [one.get("Ebs", {}).get("SnapshotId") for one in said.get("BlockDeviceMappings", ())]
    return [one for one in found if one]


def erase(ec2: Any, ami: str, disks: list[str]) -> None:
    """Deregister an AMI and delete its snapshots; what is gone already is fine."""
    try:
        ec2.deregister_image(ImageId=ami)
    except ec2.exceptions.ClientError as error:
        if aws.code_of(error) not in UNKNOWN:
            raise
    erase_disks(ec2, disks)


def erase_disks(ec2: Any, disks: list[str]) -> None:
    """Delete snapshots."""
    for snapshot in sorted(disks):
        delete(ec2, snapshot)


def delete(ec2: Any, snapshot: str) -> None:
    """Delete a snapshot; one that is gone is fine, and one that another AMI has stays with that."""
    try:
        ec2.delete_snapshot(SnapshotId=snapshot)
    except ec2.exceptions.ClientError as error:
        if aws.code_of(error) not in {NO_SNAPSHOT, SNAPSHOT_IN_USE}:
            raise


def tagged(**tags: str) -> list[dict[str, str]]:
    """Return tags as the API takes them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]
