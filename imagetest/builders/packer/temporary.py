"""What Packer makes in an account for the time of a bake: leased and marked, so that it is found again."""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

from imagetest.errors import EngineError, ImagetestError
from imagetest.execute import aws, tags
from imagetest.execute.leases import IMAGE
from imagetest.ports import Claim, Event, Progress

DRIVER = "ec2"

LIFE = timedelta(hours=12)
"""After which a bake is taken to be over, whatever became of it."""

SOON_SECONDS, PAUSE_SECONDS = 10.0, 0.2

NOT_YET = (
    "InvalidInstanceID.NotFound", "InvalidGroup.NotFound", "InvalidKeyPair.NotFound", "InvalidAMIID.NotFound",
    "InvalidAMIID.Unavailable", "InvalidSnapshot.NotFound",
)  # fmt: skip

INSTANCE, KEY_PAIR, GROUP, AMI = "instance", "key pair", "security group", "AMI"

NAMED = (
    (re.compile(r"Instance ID: (i-[0-9a-f]+)"), INSTANCE),
    (re.compile(r"Creating temporary (?:\w+ )?keypair: (\S+)"), KEY_PAIR),
    (re.compile(r"Creating temporary security group for this instance: (\S+)"), GROUP),
    (re.compile(r"AMI: (ami-[0-9a-f]+)\s*"), AMI),
)
"""How Packer names what it has made, or is about to make; 1.6.6 and its amazon plugin 1.8.3 say the same."""

TO_BE_MADE = re.compile(r"Creating AMI .* from instance (i-[0-9a-f]+)")
"""What Packer says just before it asks for an AMI."""

TO_BE_COPIED = re.compile(r"Copying to: ([a-z0-9-]+)")
"""What Packer says, once it has its AMI, just before it asks for a copy in a region, its own or another."""


class Temporary:
    """The temporary things of one run of Packer, by region.

    They get the tags by which the `ec2` driver finds what belongs to an instance of its own, so that a lease of that
    kind removes them; Packer itself removes them first, wherever it ends by itself. What has a name before it is made
    is leased by that, because whoever is killed in between has marked nothing.
    """

    def __init__(
        self, regions: Mapping[str, str], *, copied: Mapping[str, Sequence[str]], claim: Claim, progress: Progress
    ) -> None:
        """Look after the sources that have a region, and lease what all of one region will belong to.

        `copied` are the regions to which a source's AMI is copied, as far as they are known before Packer says them.
        """
        self._regions = regions
        self._copied = copied
        self._claim = claim
        self._progress = progress
        self._instances: dict[str, str] = {}
        self._making: set[str] = set()
        self._amis: dict[str, str] = {}
        self._over = threading.Event()
        self._marker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="packer-marks")
        self._marks: list[Future[None]] = []
        self._resources = {
            region: f"imagetest-packer-{secrets.token_hex(4)}@{region}" for region in {*regions.values()} if region
        }
        for resource in self._resources.values():
            claim(DRIVER, resource)

    def hear(self, source: str, text: str) -> None:
        """Lease what a source's line names, if it names something, and have it marked while the next lines come in."""
        region, instance = self._regions.get(source, ""), self._instances.get(source, "")
        if not region:
            return
        made_of = TO_BE_MADE.match(text)
        if made_of is not None and made_of[1] == instance:
            self._claim(IMAGE + DRIVER, f"{region}:made-of:{instance}")
            self._making.add(source)
        copied = TO_BE_COPIED.fullmatch(text.strip())
        if copied is not None and source in self._amis and copied[1] not in self._copied.get(source, ()):
            self._claim(IMAGE + DRIVER, f"{copied[1]}:copies-of:{self._amis[source]}")
        for pattern, kind in NAMED:
            found = pattern.search(text) if self._is_due(source, kind) else None
            if found is not None:
                self._take(source, region, kind, found[1])

    def _is_due(self, source: str, kind: str) -> bool:
        """Say whether Packer may name such a thing now: what a provisioner prints is not to be taken for its words."""
        if kind == AMI:
            return source in self._making and source not in self._amis
        return source not in self._instances

    def _take(self, source: str, region: str, kind: str, name: str) -> None:
        if kind in {KEY_PAIR, GROUP}:
            if not tags.PACKERS_OWN.fullmatch(name):
                return  # it may be there already, and somebody's
            self._claim(DRIVER, f"{name}@{region}")
        if kind == INSTANCE:
            self._instances[source] = name
        if kind == AMI:
            self._amis[source] = name
            for copy in self._copied.get(source, ()):  # Packer asks for them later, once this one is there
                self._claim(IMAGE + DRIVER, f"{copy}:copies-of:{name}")
        self._marks.append(self._marker.submit(self._attempt, source, region, kind, name))

    def close(self) -> None:
        """Let marks come to their end once Packer is at its own: what it has removed is not waited for."""
        self._over.set()
        self._marker.shutdown()
        for one in self._marks:
            one.result()

    def own(self, source: str, copies: Sequence[str]) -> None:
        """Have the copies that a template made say whose they are; that they cannot be made to is told."""
        for copy in copies:
            region, _, ami = copy.partition(":")
            try:
                with closing(aws.client("ec2", region)) as ec2, aws.translated(f"mark {ami!r}"):
                    ec2.create_tags(Resources=[ami, *aws.snapshots_of(ec2, ami)], Tags=tags.owned())
            except ImagetestError as error:
                self._progress(Event(subject=source, text=f"the copy {copy} was not marked as imagetest's: {error}"))

    def _attempt(self, source: str, region: str, kind: str, name: str) -> None:
        """Mark a thing; that it cannot be is told, and breaks no bake."""
        try:
            self._mark(region, kind, name, instance=self._instances.get(source, ""))
        except ImagetestError as error:
            said = f"Packer's temporary {kind} {name} was not marked as imagetest's: {error}"
            self._progress(Event(subject=source, text=said))

    def _mark(self, region: str, kind: str, name: str, *, instance: str) -> None:
        tagged = self._tags(region, kind)

        def mark(find: Callable[[], list[str]], missing: str) -> None:
            if things := self._soon(find, missing):
                aws.eventually(lambda: ec2.create_tags(Resources=things, Tags=tagged), *NOT_YET, seconds=SOON_SECONDS)

        with closing(aws.client("ec2", region)) as ec2, aws.translated(f"mark {name!r}"):
            mark(lambda: _identities(ec2, kind, name, instance), "AWS does not list it")
            if kind == INSTANCE:
                mark(lambda: _parts(ec2, name), "AWS lists no volume of it")
            if kind == AMI:
                mark(lambda: aws.snapshots_of(ec2, name), "AWS lists no snapshot of it")

    def _soon(self, find: Callable[[], list[str]], missing: str) -> list[str]:
        """Return what is found as soon as there is something; nothing where Packer has removed it already.

        Raises EngineError when there is nothing while Packer runs.
        """
        deadline = time.monotonic() + SOON_SECONDS
        while not (found := find()) and not self._over.is_set():
            if time.monotonic() >= deadline:
                raise EngineError(missing)
            time.sleep(PAUSE_SECONDS)
        return found

    def _tags(self, region: str, kind: str) -> tags.Tags:
        """Return the tags of a thing; an AMI belongs to no instance, and stays when all that does is removed."""
        resource, until = self._resources[region], datetime.now(UTC) + LIFE
        run = resource.partition("@")[0].removeprefix("imagetest-")
        if kind == AMI:
            return tags.expiring(run=run, expires=until)
        return tags.belonging(resource, run=run, expires=until)


def _parts(ec2: Any, instance: str) -> list[str]:
    """Return the volumes and network cards of an instance; nothing while it has no volume."""
    said = aws.eventually(lambda: ec2.describe_instances(InstanceIds=[instance]), *NOT_YET)
    found = said["Reservations"][0]["Instances"][0]
    volumes = [one["Ebs"]["VolumeId"] for one in found.get("BlockDeviceMappings", ()) if "Ebs" in one]
    return [*volumes, *(one["NetworkInterfaceId"] for one in found.get("NetworkInterfaces", ()))] if volumes else []


def _identities(ec2: Any, kind: str, name: str, instance: str) -> list[str]:
    """Return the id of a thing; nothing while there is none, and for an AMI that was made of another instance."""
    if kind == KEY_PAIR:
        pairs = ec2.describe_key_pairs(Filters=[{"Name": "key-name", "Values": [name]}])["KeyPairs"]
        return [str(one["KeyPairId"]) for one in pairs]
    if kind == GROUP:
        groups = ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": [name]}])["SecurityGroups"]
        return [str(one["GroupId"]) for one in groups]
    if kind == AMI:
        filters = [{"Name": "source-instance-id", "Values": [instance]}]
        made = ec2.describe_images(Owners=["self"], Filters=filters)["Images"]
        return [name for one in made if one["ImageId"] == name]
    return [name]
