"""What is made in the account for one instance, and how all of it is found again by its tag and removed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from imagetest.drivers.ec2 import inbound
from imagetest.errors import ConfigError, EngineError, ImagetestError, LeakError
from imagetest.execute import aws, tags
from imagetest.model.plan import Cloud
from imagetest.ports import Access, Expired

SSH_PORT = 22

TERMINATE_SECONDS = 300.0
"""How long an instance may take to end; its network card, and so its security group, stay until then."""

GONE = frozenset(
    {
        "InvalidInstanceID.NotFound", "InvalidKeyPair.NotFound", "InvalidGroup.NotFound", "InvalidVolume.NotFound",
        "InvalidNetworkInterfaceID.NotFound", "InvalidSpotInstanceRequestID.NotFound",
    }
)  # fmt: skip

LIVE = ["pending", "running", "shutting-down", "stopping", "stopped"]
"""The states of an instance that is not terminated."""

NAMES = {"describe_security_groups": "group-name", "describe_key_pairs": "key-name"}
"""What Packer names before it has it made, and by which filter that is found while it bears no tag."""

TAGGED = (
    ("describe_instances", "Reservations"),
    ("describe_spot_instance_requests", "SpotInstanceRequests"),
    ("describe_network_interfaces", "NetworkInterfaces"),
    ("describe_volumes", "Volumes"),
    ("describe_security_groups", "SecurityGroups"),
)
"""What lists the things that may be left, and in which field; key pairs are listed without pages."""


def let_in(ec2: Any, resource: str, access: Access, tagged: tags.Tags) -> str:
    """Import the run's key and return the name of the key pair. Raises EngineError."""
    with _unless_there("InvalidKeyPair.Duplicate"), aws.translated(f"import a key pair for {resource!r}"):
        ec2.import_key_pair(
            KeyName=resource, PublicKeyMaterial=access.user.public.encode(),
            TagSpecifications=tags.specification(tagged, "key-pair"),
        )  # fmt: skip
    return resource


@contextmanager
def _unless_there(code: str) -> Iterator[None]:
    """Take what is there already for what was asked for.

    It has a name, or is for a group, of this one boot's: a request whose answer was lost is sent again by botocore.
    """
    try:
        yield
    except aws.RefusedError as error:
        if error.code != code:
            raise


def fence(ec2: Any, resource: str, cloud: Cloud, tagged: tags.Tags, *, port: int, cut_off: bool) -> str:
    """Make a security group for one instance and return its id.

    SSH comes in from this machine alone, and nothing at all where Session Manager is the way. A new group lets
    everything out; with `cut_off` it lets out nothing. Raises EngineError, and ConfigError where there is no network.
    """
    group = _group(ec2, resource, cloud, tagged)
    if cloud.reach == "direct":
        ranges = [inbound.rule(one) for one in inbound.networks(ec2, cloud)]
        way = {
            "IpProtocol": "tcp", "FromPort": port, "ToPort": port,
            "IpRanges": [one for one in ranges if "CidrIp" in one],
            "Ipv6Ranges": [one for one in ranges if "CidrIpv6" in one],
        }  # fmt: skip
        with _unless_there("InvalidPermission.Duplicate"), aws.translated(f"let SSH into {resource!r}"):
            aws.eventually(
                lambda: ec2.authorize_security_group_ingress(
                    GroupId=group, IpPermissions=[{key: value for key, value in way.items() if value != []}]
                ),
                "InvalidGroup.NotFound",
            )
    if cut_off:
        _let_nothing_out(ec2, group, resource)
    return group


def _group(ec2: Any, resource: str, cloud: Cloud, tagged: tags.Tags) -> str:
    """Make a security group, and return its id. Raises EngineError, and ConfigError where there is no network."""
    where = {"VpcId": _vpc(ec2, cloud.subnets)} if cloud.subnets else {}
    try:
        with aws.translated(f"make a security group for {resource!r}"):
            made = ec2.create_security_group(
                GroupName=resource, Description="one instance of imagetest's", **where,
                TagSpecifications=tags.specification(tagged, "security-group"),
            )  # fmt: skip
            return str(made["GroupId"])
    except aws.RefusedError as error:
        if error.code in {"VPCIdNotSpecified", "DefaultVpcDoesNotExist", "MissingParameter"}:
            raise ConfigError(f"{error}", hint="the account has no default VPC: name boot.ec2.subnets") from error
        if error.code != "InvalidGroup.Duplicate":
            raise
        filters = [{"Name": "group-name", "Values": [resource]}]
        with aws.translated(f"look for the security group of {resource!r}"):
            found = ec2.describe_security_groups(Filters=filters)["SecurityGroups"]
        if not found:
            raise
        return str(found[0]["GroupId"])


def _vpc(ec2: Any, subnets: tuple[str, ...]) -> str:
    """Return the VPC of some subnets. Raises ConfigError when they are of several."""
    with aws.translated(f"look at the subnets {', '.join(subnets)}"):
        found = sorted({str(one["VpcId"]) for one in ec2.describe_subnets(SubnetIds=list(subnets))["Subnets"]})
    if len(found) != 1:
        raise ConfigError(
            f"the subnets {', '.join(subnets)} are of several VPCs: {', '.join(found)}",
            hint="boot.ec2.subnets are zones to try in turn, all of one VPC",
        )
    return found[0]


def _let_nothing_out(ec2: Any, group: str, resource: str) -> None:
    with aws.translated(f"cut {resource!r} off"):
        found = aws.eventually(
            lambda: ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0], "InvalidGroup.NotFound"
        )
        if found["IpPermissionsEgress"]:
            ec2.revoke_security_group_egress(GroupId=group, IpPermissions=found["IpPermissionsEgress"])
        left = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissionsEgress"]
    if left:
        raise EngineError(f"cannot cut {resource!r} off: its security group still lets something out")


def remove(ec2: Any, region: str, resource: str, *, instances: tuple[str, ...] = ()) -> None:
    """Remove everything that carries the tag of a resource, and instances that are known by their ids.

    What was just made may not be listed yet, which is why a caller that knows an id gives it. A key pair or a security
    group of Packer's, which has the resource's name, goes without a tag, and with it what was started with it: whoever
    had it made was killed before it could be marked. Everything is tried; raises LeakError with what is left.
    """
    left = _Attempts(region)
    left.attempt(lambda: _end(ec2, resource, instances))
    for listed, one_of in (
        ("describe_spot_instance_requests", _cancel),
        ("describe_network_interfaces", _delete("delete_network_interface", "NetworkInterfaceId")),
        ("describe_volumes", _delete("delete_volume", "VolumeId")),
        ("describe_security_groups", _delete("delete_security_group", "GroupId")),
        ("describe_key_pairs", _delete("delete_key_pair", "KeyName")),
    ):
        left.attempt(lambda listed=listed, one_of=one_of: _each(ec2, resource, listed, one_of))  # type: ignore[misc]
    left.raise_if_any(resource)


class _Attempts:
    """Tries one thing after another and keeps what went wrong."""

    def __init__(self, region: str) -> None:
        self._region = region
        self._failed: list[ImagetestError] = []

    def attempt(self, act: Callable[[], None]) -> None:
        """Do something; an error of ours is kept."""
        try:
            act()
        except ImagetestError as error:
            self._failed.append(error)

    def raise_if_any(self, resource: str) -> None:
        """Raise LeakError when something went wrong."""
        if self._failed:
            said = "; ".join(str(error) for error in self._failed)
            raise LeakError(
                f"not all of {resource!r} could be removed from {self._region}: {said}",
                hint=self._failed[0].hint or f"look for the tag {tags.RESOURCE}={resource} in {self._region}",
            ) from self._failed[0]


def _mine(resource: str, listed: str = "") -> list[dict[str, object]]:
    """Return the filter for what is of a resource: its tag, or for what Packer gave a name of its own that name."""
    name = resource.rpartition("@")[0]
    if listed in NAMES and tags.PACKERS_OWN.fullmatch(name):
        return [{"Name": NAMES[listed], "Values": [name]}]
    return [{"Name": f"tag:{tags.RESOURCE}", "Values": [resource]}]


def instances_of(ec2: Any, resource: str, *, states: list[str] = LIVE) -> list[dict[str, Any]]:
    """Return the instances of a resource that are not terminated, as the API describes them. Raises EngineError."""
    with aws.translated(f"look for the instances of {resource!r}"):
        return _instances(ec2, _mine(resource), states)


def _instances(ec2: Any, filters: list[dict[str, object]], states: list[str]) -> list[dict[str, Any]]:
    live: dict[str, object] = {"Name": "instance-state-name", "Values": states}
    found = aws.pages(ec2, "describe_instances", "Reservations", Filters=[*filters, live])
    return [one for reservation in found for one in reservation["Instances"]]


def _unmarked(ec2: Any, resource: str) -> list[dict[str, Any]]:
    """Return instances that were started with a resource's key pair or security group and carry no tag of imagetest's.

    Packer's is one until it is marked: whoever was killed in between had marked those two, which are made before it.
    """
    with aws.translated(f"look for the instances of {resource!r}"):
        pairs = ec2.describe_key_pairs(Filters=_mine(resource, "describe_key_pairs"))["KeyPairs"]
        keys = [str(one["KeyName"]) for one in pairs]
        fences = _mine(resource, "describe_security_groups")
        groups = [
            str(one["GroupId"]) for one in aws.pages(ec2, "describe_security_groups", "SecurityGroups", Filters=fences)
        ]
        found = [
            one
            for name, values in (("key-name", keys), ("instance.group-id", groups))
            if values
            for one in _instances(ec2, [{"Name": name, "Values": values}], LIVE)
        ]
    return [one for one in found if tags.RESOURCE not in tags.of(one)]


def _end(ec2: Any, resource: str, known: tuple[str, ...]) -> None:
    """Terminate, and wait for the end."""
    there = [*instances_of(ec2, resource), *_unmarked(ec2, resource)]
    listed = {str(one["InstanceId"]) for one in there}
    doomed = sorted({*known, *listed})
    for one in doomed:
        late = () if one in listed else ("InvalidInstanceID.NotFound",)  # just started, it may not be known yet
        with aws.translated(f"terminate instance {one!r}"):
            _unless_gone(lambda one=one, late=late: _terminate(ec2, one, late))  # type: ignore[misc]
    deadline = time.monotonic() + TERMINATE_SECONDS
    while waiting := [one for one in doomed if not _ended(ec2, one)]:
        if time.monotonic() >= deadline:
            raise EngineError(f"instance {waiting[0]!r} did not end within {TERMINATE_SECONDS:.0f} seconds")
        time.sleep(aws.PAUSE_SECONDS)


def _terminate(ec2: Any, instance: str, late: tuple[str, ...]) -> None:
    aws.eventually(lambda: ec2.terminate_instances(InstanceIds=[instance]), *late)


def _ended(ec2: Any, instance: str) -> bool:
    with aws.translated(f"look at instance {instance!r}"):
        said = _unless_gone(lambda: ec2.describe_instances(InstanceIds=[instance])["Reservations"])
    return not said or said[0]["Instances"][0]["State"]["Name"] == "terminated"


def _each(ec2: Any, resource: str, listed: str, act: Callable[[Any, dict[str, Any]], None]) -> None:
    field = dict(TAGGED).get(listed, "KeyPairs")
    with aws.translated(f"look for what is left of {resource!r}"):
        asked = getattr(ec2, listed)
        found = (
            list(aws.pages(ec2, listed, field, Filters=_mine(resource, listed)))
            if ec2.can_paginate(listed)
            else asked(Filters=_mine(resource, listed))[field]
        )
    for one in found:
        act(ec2, one)


def _delete(operation: str, field: str) -> Callable[[Any, dict[str, Any]], None]:
    """Return a function that deletes a thing; what still holds it may be on its way out."""

    def delete(ec2: Any, found: dict[str, Any]) -> None:
        identity = str(found[field])
        with aws.translated(f"{operation.replace('_', ' ')} {identity!r}"):
            _unless_gone(
                lambda: aws.eventually(
                    lambda: getattr(ec2, operation)(**{field: identity}),
                    "DependencyViolation", "InvalidGroup.InUse", "VolumeInUse", "InvalidParameterValue",
                )
            )  # fmt: skip

    return delete


def _cancel(ec2: Any, found: dict[str, Any]) -> None:
    if found.get("State") not in {"open", "active"}:
        return
    identity = str(found["SpotInstanceRequestId"])
    with aws.translated(f"cancel spot request {identity!r}"):
        _unless_gone(lambda: ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=[identity]))


def _unless_gone(act: Callable[[], Any]) -> Any:
    """Return what an act returns; None where AWS says that there is no such thing."""
    from botocore.exceptions import ClientError

    try:
        return act()
    except ClientError as error:
        if aws.code_of(error) not in GONE:
            raise
        return None


def expired(ec2: Any, now: datetime) -> Expired:
    """Return the resources of which something is there past its expiry, whoever made it.

    A tag that is no time is told, not guessed at: what else there is of that resource may say one.
    """
    found, wrong = set[str](), set[str]()
    for listed, field in (*TAGGED, ("describe_key_pairs", "KeyPairs")):
        for one in _with_expiry(ec2, listed, field):
            told = tags.of(one)
            resource, until = told.get(tags.RESOURCE, ""), told[tags.EXPIRES]
            try:
                over = datetime.fromisoformat(until) <= now
            except (ValueError, TypeError):  # TypeError: it names no zone
                wrong.add(f"a thing of {resource!r} ({field}) expires at {until!r}, which is no time")
            else:
                found |= {resource} if over and resource else set()
    return Expired(resources=tuple(sorted(found)), unreadable=tuple(sorted(wrong)))


def _with_expiry(ec2: Any, listed: str, field: str) -> list[dict[str, Any]]:
    filters: list[dict[str, object]] = [{"Name": "tag-key", "Values": [tags.EXPIRES]}]
    if listed == "describe_instances":
        filters.append({"Name": "instance-state-name", "Values": LIVE})
    if listed == "describe_spot_instance_requests":
        filters.append({"Name": "state", "Values": ["open", "active"]})
    with aws.translated("look for what has expired"):
        if not ec2.can_paginate(listed):
            return list(getattr(ec2, listed)(Filters=filters)[field])
        rows = list(aws.pages(ec2, listed, field, Filters=filters))
    return [one for row in rows for one in row["Instances"]] if listed == "describe_instances" else rows
