"""What Packer makes in an account for the time of a bake: marked, so that it is found again."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from imagetest.errors import EngineError, ImagetestError
from imagetest.execute import aws, tags
from imagetest.ports import Claim, Event, Progress

LIFE = timedelta(hours=12)
"""After which a bake is taken to be over, whatever became of it."""

SOON_SECONDS, PAUSE_SECONDS = 10.0, 0.2

NOT_YET = ("InvalidInstanceID.NotFound", "InvalidGroup.NotFound", "InvalidKeyPair.NotFound")

NAMED = (
    (re.compile(r"Instance ID: (i-[0-9a-f]+)"), "instance"),
    (re.compile(r"Creating temporary (?:\w+ )?keypair: (\S+)"), "key pair"),
    (re.compile(r"Creating temporary security group for this instance: (\S+)"), "security group"),
)
"""How Packer names what it has made, or is about to make; 1.6.6 and its amazon plugin 1.8.3 say the same."""


class Temporary:
    """The temporary things of one run of Packer, by source.

    They get the tags by which the `ec2` driver finds what belongs to an instance of its own, so that a lease of that
    kind removes them; Packer itself removes them first, wherever it ends by itself.
    """

    def __init__(self, regions: Mapping[str, str], *, claim: Claim, progress: Progress) -> None:
        """Look after the sources that have a region."""
        self._regions = regions
        self._claim = claim
        self._progress = progress
        self._resources: dict[str, str] = {}

    def hear(self, source: str, text: str) -> None:
        """Mark what a source's line names, if it names something; that it cannot be is told, and breaks no bake."""
        region = self._regions.get(source, "")
        for pattern, kind in NAMED if region else ():
            if (found := pattern.search(text)) is not None:
                try:
                    self._mark(source, region, kind, found[1])
                except ImagetestError as error:
                    said = f"Packer's temporary {kind} {found[1]} was not marked as imagetest's: {error}"
                    self._progress(Event(subject=source, text=said))

    def _mark(self, source: str, region: str, kind: str, name: str) -> None:
        if source not in self._resources:
            self._resources[source] = f"imagetest-packer-{secrets.token_hex(4)}@{region}"
            self._claim("ec2", self._resources[source])
        resource = self._resources[source]
        run = resource.partition("@")[0].removeprefix("imagetest-")
        marks = tags.belonging(resource, run=run, expires=datetime.now(UTC) + LIFE)
        ec2 = aws.client("ec2", region)
        try:
            with aws.translated(f"mark {name!r}"):
                aws.eventually(lambda: ec2.create_tags(Resources=[_identity(ec2, kind, name)], Tags=marks), *NOT_YET)
                if kind == "instance":
                    parts = _parts(ec2, name)
                    aws.eventually(lambda: ec2.create_tags(Resources=parts, Tags=marks), *NOT_YET)
        finally:
            ec2.close()


def _parts(ec2: Any, instance: str) -> list[str]:
    """Return the volumes and network cards of an instance as soon as it has them.

    Raises EngineError when it gets none.
    """
    deadline = time.monotonic() + SOON_SECONDS
    while True:
        said = aws.eventually(lambda: ec2.describe_instances(InstanceIds=[instance]), *NOT_YET)
        found = said["Reservations"][0]["Instances"][0]
        volumes = [one["Ebs"]["VolumeId"] for one in found.get("BlockDeviceMappings", ()) if "Ebs" in one]
        if volumes:
            return [*volumes, *(one["NetworkInterfaceId"] for one in found.get("NetworkInterfaces", ()))]
        if time.monotonic() >= deadline:
            raise EngineError("AWS lists no volume of it")
        time.sleep(PAUSE_SECONDS)


def _identity(ec2: Any, kind: str, name: str) -> str:
    """Return the id of a thing; of one that is about to be made, as soon as it is.

    Raises EngineError when it is not made.
    """
    if kind == "instance":
        return name
    deadline = time.monotonic() + SOON_SECONDS
    while True:
        if kind == "key pair":
            found = ec2.describe_key_pairs(Filters=[{"Name": "key-name", "Values": [name]}])["KeyPairs"]
        else:
            found = ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": [name]}])["SecurityGroups"]
        if found:
            return str(found[0].get("KeyPairId") or found[0]["GroupId"])
        if time.monotonic() >= deadline:
            raise EngineError("AWS does not list it")
        time.sleep(PAUSE_SECONDS)
