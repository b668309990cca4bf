"""Start one instance: everything it needs first, then itself, wherever there is room for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from imagetest.drivers.ec2 import belongings, first_boot, inbound, request, tunnel
from imagetest.drivers.ec2.amis import Ami, fits
from imagetest.errors import BootError, ConfigError
from imagetest.execute import aws, tags
from imagetest.model.plan import BootPlan
from imagetest.ports import Access

NO_ROOM = frozenset(
    {"InsufficientInstanceCapacity", "InsufficientHostCapacity", "InsufficientFreeAddressesInSubnet", "Unsupported"}
)
"""Codes that another Availability Zone may not answer with."""

NOT_YET = ("InvalidGroup.NotFound", "InvalidKeyPair.NotFound")
"""What was made a moment ago may not be known yet to RunInstances."""

HINTS = {
    "InsufficientInstanceCapacity": "AWS has none left there: name boot.ec2.subnets in several zones, or another type",
    "InsufficientFreeAddressesInSubnet": "name further boot.ec2.subnets",
    "InstanceLimitExceeded": "ask AWS for a higher quota (Service Quotas), or end what is not needed",
    "MaxSpotInstanceCountExceeded": "ask AWS for a higher quota of spot instances (Service Quotas)",
    "SpotMaxPriceTooLow": "boot.ec2: leave spot out",
    "Unsupported": "the type is not offered in that zone: name boot.ec2.subnets in others, or another type",
    "VcpuLimitExceeded": "ask AWS for more vCPUs of that family (Service Quotas), or end what is not needed",
    "VolumeLimitExceeded": "ask AWS for more EBS storage (Service Quotas)",
}


def understood(plan: BootPlan) -> None:
    """Raise ConfigError for what EC2 does not understand, before anything is made."""
    for name, wrong in (
        ("ssh", plan.ssh == "gateway"), ("command", bool(plan.command)), ("environment", bool(plan.environment)),
    ):  # fmt: skip
        if wrong:
            raise ConfigError(
                f"boot.{name} is for containers, and the driver 'ec2' boots an AMI as it is",
                hint=f"leave boot.{name} out; an instance is reached by its own SSH server and starts what it starts",
            )
    cloud = plan.ec2
    if plan.network == "none" and cloud.security_groups:
        raise ConfigError(
            "an instance that is cut off cannot have boot.ec2.security_groups: what they let out would get out",
            hint="leave them out for this image",
        )
    inbound.check(cloud.inbound)
    check_tags(cloud.tags)
    if cloud.reach == "session-manager":
        if plan.network == "none":
            raise ConfigError(
                "an instance that is cut off cannot be reached through Session Manager: its agent calls out",
                hint="set boot.ec2.reach = 'direct' for this image",
            )
        tunnel.check()


def check_tags(further: tuple[tuple[str, str], ...]) -> None:
    """Raise ConfigError for tags that are AWS's or imagetest's own, and for more than EC2 takes."""
    for key, _ in further:
        if key.startswith(tags.RESERVED) or key == "Name":
            raise ConfigError(f"tag {key!r} is not yours to set", hint="call it something else")
    if len(further) > tags.MOST:
        raise ConfigError(f"{len(further)} tags are too many: EC2 takes {tags.MOST} besides imagetest's own")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordered:
    """An instance for which everything is there but itself."""

    wanted: request.Wanted
    until: datetime
    """When it ends by itself."""


def prepare(ec2: Any, ami: Ami, plan: BootPlan, *, resource: str, image: str, access: Access) -> Ordered:
    """Make what an instance needs. Raises ConfigError for what is asked for wrongly, EngineError."""
    cloud = plan.ec2
    if cloud.instance_type:
        fits(ec2, ami, cloud.instance_type)
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=cloud.lifetime)
    tagged = tags.own(resource, image=image, expires=until, further=cloud.tags)
    wanted = request.Wanted(
        ami=ami, cloud=cloud, resource=resource, tags=tagged,
        key_pair=belongings.let_in(ec2, resource, access, tagged),
        group=belongings.fence(ec2, resource, cloud, tagged, port=plan.port, cut_off=plan.network == "none"),
        user_data=first_boot.user_data(access, user=plan.user, until=until, most=cloud.lifetime * 60),
    )  # fmt: skip
    return Ordered(wanted=wanted, until=until)


def start(ec2: Any, ordered: Ordered, *, began: Callable[[str], None]) -> None:
    """Start an instance; `began` hears its id before anything can interrupt.

    Raises BootError where AWS has no room or allows no more, ConfigError for what is asked for wrongly, EngineError.
    """
    refused: list[aws.RefusedError] = []
    for subnet in ordered.wanted.cloud.subnets or ("",):
        try:
            with aws.translated(f"start {ordered.wanted.resource!r}"):
                asked = request.build(ordered.wanted, subnet=subnet)
                made = aws.eventually(lambda asked=asked: ec2.run_instances(**asked), *NOT_YET)  # type: ignore[misc]
                began(str(made["Instances"][0]["InstanceId"]))
        except aws.RefusedError as error:
            if error.code not in NO_ROOM:
                raise _no_instance(error) from error
            refused.append(error)
        else:
            return
    raise _no_instance(refused[-1]) from refused[-1]


def _no_instance(error: aws.RefusedError) -> Exception:
    """Say what keeps AWS from starting one: no room and quotas are no mistake of the configuration."""
    hint = HINTS.get(error.code, error.hint)
    if error.code in HINTS:
        return BootError(str(error), hint=hint)
    if error.code.startswith(("Invalid", "Missing")):
        return ConfigError(str(error), hint=hint or "see boot.ec2 in docs/configuration.md")
    return aws.RefusedError(str(error), code=error.code, hint=hint)
