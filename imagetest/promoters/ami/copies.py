"""Copies of an AMI in other regions: begun once, waited for, and held against the AMI that was tested."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from imagetest.errors import EngineError
from imagetest.execute import aws
from imagetest.execute import tags as account
from imagetest.execute.interrupts import interrupts
from imagetest.model.outlet import AmiOutlet
from imagetest.promoters.ami import proving
from imagetest.promoters.ami.place import (
    AMI,
    DIGEST,
    KEY,
    SOURCE,
    UNKNOWN,
    Client,
    Place,
    asked,
    described,
    erase,
    snapshots,
    tagged,
)  # fmt: skip

POLL_SECONDS = 15.0
"""Between two looks at a copy, which takes minutes."""

FULL = "ResourceLimitExceeded"
"""What EC2 answers when too many snapshots are being copied into a region ("Amazon EBS quotas")."""

FAILED = frozenset({"failed", "error", "invalid"})
ATTEMPTS = 2

UNRECORDED = timedelta(days=1)
"""How long a copy may be there, once it was waited for, without a record of the promotion that it was made for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source(proving.Tested):
    """The AMI that was tested, and the tags of all its copies."""

    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Copy:
    """One copy that is wanted."""

    region: str
    key: str
    """The ARN of the key that it is encrypted with; empty for none of its own."""


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
        wanted = [_Copy(region=region, key=self._key(region)) for region in regions]
        begun = [self._begun(source, one, deadline) for one in wanted]
        return [self._ready(source, one, place, deadline) for one, place in zip(wanted, begun, strict=True)]

    def _key(self, region: str) -> str:
        key = self.outlet.key(region)
        return proving.key_arn(self.client, region, key) if key else ""

    def _begun(self, source: Source, wanted: _Copy, deadline: float) -> Place:
        """Return a copy that was begun, now or earlier; what failed of it earlier is cleared away first."""
        region = wanted.region
        with asked(self.client, "ec2", region, f"copy {source.place}") as ec2:
            gone: list[str] = []
            for one in _found(ec2, source, wanted):
                if one.get("State") not in FAILED:
                    self._prolong(ec2, one)
                    return Place(region, one["ImageId"])
                erase(ec2, one["ImageId"], snapshots(one))
                gone.append(one["ImageId"])
            for _ in range(ATTEMPTS):
                place = Place(region, self._copy(ec2, source, wanted, gone, deadline))
                if self._known(ec2, place):
                    return place
                gone.append(place.ami)  # by its token EC2 remembers it for a day, though somebody deregistered it
        raise EngineError(
            f"{gone[-1]} was made in {region} as a copy of {source.place} and is not there", hint="promote it again"
        )

    def _copy(self, ec2: Any, source: Source, wanted: _Copy, gone: list[str], deadline: float) -> str:
        """Ask for a copy; the token has EC2 make one only, however often it is asked for just this."""
        tags = {**source.tags, account.EXPIRES: self._expiry(), **({KEY: wanted.key} if wanted.key else {})}
        told = "\n".join([str(source.place), wanted.region, *sorted(f"{one}={tags[one]}" for one in tags)])
        token = hashlib.sha256("\n".join([told, *sorted(gone)]).encode()).hexdigest()
        order = {
            "SourceImageId": source.place.ami, "SourceRegion": source.place.region, "ClientToken": token,
            "Name": f"{source.said.get('Name') or source.place.ami}"[:100] + f"-{token[:8]}",
            "Description": f"copy of {source.place}",
            **({"Encrypted": True, "KmsKeyId": wanted.key} if wanted.key else {}),
            "TagSpecifications": [{"ResourceType": kind, "Tags": tagged(**tags)} for kind in ("image", "snapshot")],
        }  # fmt: skip
        while True:
            try:
                return str(ec2.copy_image(**order)["ImageId"])
            except ec2.exceptions.ClientError as error:
                if aws.code_of(error) != FULL or time.monotonic() >= deadline:
                    raise
            interrupts.checkpoint()
            time.sleep(self.poll)

    def _expiry(self) -> str:
        """Return until when a copy may stay that nobody records: a midnight, the same whenever it is asked that day.

        EC2 refuses a token that comes back with other tags.
        """
        until = datetime.now(UTC) + timedelta(seconds=self.outlet.wait) + UNRECORDED + timedelta(days=1)
        return until.replace(hour=0, minute=0, second=0, microsecond=0).isoformat(timespec="seconds")

    def _prolong(self, ec2: Any, said: dict[str, Any]) -> None:
        """Give a copy that was never recorded, and is promoted now, as long as a new one."""
        if account.EXPIRES in account.of(said):
            until = tagged(**{account.EXPIRES: self._expiry()})
            ec2.create_tags(Resources=[said["ImageId"], *snapshots(said)], Tags=until)

    def _known(self, ec2: Any, place: Place) -> bool:
        """Say whether EC2 knows an AMI, which it may not for a while; it is given some seconds."""
        deadline = time.monotonic() + self.consistent
        while described(ec2, place) is None:
            if time.monotonic() >= deadline:
                return False
            interrupts.checkpoint()
            time.sleep(min(self.poll, aws.PAUSE_SECONDS))
        return True

    def _ready(self, source: Source, wanted: _Copy, place: Place, deadline: float) -> Place:
        with asked(self.client, "ec2", place.region, f"copy {source.place}") as ec2:
            while True:
                said = described(ec2, place) or {"State": "pending"}
                state = said.get("State")
                if state == "available":
                    proving.must_be(ec2, source, place, said, wanted.key)
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


def _found(ec2: Any, source: Source, wanted: _Copy) -> list[dict[str, Any]]:
    """Return the copies with the wanted key: first those that did not fail, and of them those that were recorded."""
    filters = [{"Name": f"tag:{SOURCE}", "Values": [str(source.place)]}]
    every = aws.pages(ec2, "describe_images", "Images", Owners=["self"], Filters=filters, IncludeDeprecated=True)
    found = [one for one in every if account.of(one).get(KEY, "") == wanted.key]

    def place(one: dict[str, Any]) -> tuple[bool, bool, str, str]:
        unrecorded = account.EXPIRES in account.of(one)
        return one.get("State") in FAILED, unrecorded, str(one.get("CreationDate")), str(one["ImageId"])

    return sorted(found, key=place)


def _tag(ec2: Any, source: Source, place: Place, said: dict[str, Any]) -> None:
    """Tag a copy and its snapshots: they may have been made before all tags were known."""
    ec2.create_tags(Resources=[place.ami], Tags=tagged(**source.tags))
    own = {DIGEST: source.digest, AMI: place.ami}
    if found := snapshots(said):
        ec2.create_tags(Resources=found, Tags=tagged(**{**source.tags, **own}))


__all__ = ["POLL_SECONDS", "UNKNOWN", "Copies", "Source"]
