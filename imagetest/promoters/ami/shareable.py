"""Whether an AMI can be shared at all, found out before anything is recorded that could not be finished."""

from __future__ import annotations

from imagetest.errors import ConfigError
from imagetest.execute import aws
from imagetest.model.outlet import AmiOutlet
from imagetest.promoters.ami.place import Client, Place, asked, described, snapshots

OF_AWS = "AWS"
"""The manager of a key whose policy nobody can change, such as `aws/ebs` (KeyMetadata, "KeyManager")."""


def must_be_shareable(client: Client, place: Place, ami: AmiOutlet) -> None:
    """Raise ConfigError where a channel shares AMIs, and this one is encrypted with a key that nobody can share.

    ("Share an AMI": snapshots that are encrypted with the AWS managed key cannot be shared.) Where this account may not
    ask of a key whose it is, sharing itself finds out.
    """
    if not (ami.accounts or ami.organisations):
        return
    with asked(client, "ec2", place.region, f"look at the disks of {place}") as ec2:
        disks = snapshots(described(ec2, place) or {})
        found = ec2.describe_snapshots(SnapshotIds=disks)["Snapshots"] if disks else []
    for key in sorted({str(one["KmsKeyId"]) for one in found if one.get("Encrypted") and one.get("KmsKeyId")}):
        if _manager(client, place.region, key) == OF_AWS:
            raise ConfigError(
                f"{place} cannot be shared: it is encrypted with {key}, which is AWS's own key of this account",
                hint="bake it with a key of your own, or none; for copies name kms_key, a key that others may use",
            )


def _manager(client: Client, region: str, key: str) -> str:
    try:
        with asked(client, "kms", region, f"ask whose the key {key!r} is") as kms:
            return str(kms.describe_key(KeyId=key)["KeyMetadata"].get("KeyManager", ""))
    except aws.RefusedError as error:
        if error.code not in aws.DENIED:
            raise
        return ""
