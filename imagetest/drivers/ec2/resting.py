"""An AMI before its first boot: what its root device's snapshot holds, opened on this machine."""

from __future__ import annotations

import platform
from pathlib import Path

from imagetest.drivers.ec2.amis import Ami
from imagetest.drivers.ec2.blocks import Snapshot
from imagetest.drivers.held.rest import Alive, Rest
from imagetest.errors import EngineError
from imagetest.execute import aws
from imagetest.ports import Access

DENIED = aws.DENIED | {"ResourceNotFoundException"}
"""How AWS tells of a snapshot that these credentials may not read; of some it says that they are not there."""

MIB = 1 << 20


def open_root(ami: Ami, *, resource: str, access: Access) -> tuple[Rest, str]:
    """Open what is on the root device; say what was read for it. Raises EngineError where that cannot be."""
    found = [one["Ebs"] for one in ami.volumes if one["DeviceName"] == ami.root_device]
    identity = str(found[0].get("SnapshotId") or "") if found else ""
    if not identity:
        raise EngineError(f"AMI {ami.reference!r} says of no snapshot that it is on its root device")
    if ami.architecture != platform.machine().replace("aarch64", "arm64"):
        raise EngineError(
            f"AMI {ami.reference!r} is for {ami.architecture}, and this machine is {platform.machine()}",
            hint="the programs of an image at rest run on the machine that looks at it",
        )
    ebs = aws.client("ebs", ami.region)
    snapshot = Snapshot(ebs, identity)

    def fill(path: Path, alive: Alive) -> None:
        try:
            snapshot.copy(path, alive=alive)
        except aws.RefusedError as error:
            if error.code not in DENIED:
                raise
            hint = _remedy(ami, encrypted=bool(found[0].get("Encrypted")), otherwise=error.hint)
            raise aws.RefusedError(str(error), code=error.code, hint=hint) from error

    try:
        rest = Rest.open(resource, access, fill)
    finally:
        ebs.close()
    return rest, (
        f"{snapshot.bytes // MIB} MiB of snapshot {identity} were read, in {snapshot.blocks} blocks: AWS charges for "
        "each, and for what leaves its region"
    )


def _remedy(ami: Ami, *, encrypted: bool, otherwise: str) -> str:
    if encrypted:
        return "the snapshot is encrypted: the credentials need kms:Decrypt for its key as well, docs/drivers/ec2.md"
    if ami.said.get("Public"):
        return "AWS reads out no public snapshot: copy the AMI into your own account first (CopyImage)"
    return otherwise or "is the snapshot this account's, or shared with it?"
