"""One instance, asked about through the API: its state, its addresses, its console, its status checks."""

from __future__ import annotations

import re
import time
from typing import Any

from imagetest.drivers.console import text
from imagetest.errors import BootError
from imagetest.execute import aws

PENDING_SECONDS = 300.0
"""How long AWS may take to start one; the time limit of a boot counts from then."""

EVERY_SECONDS = 2.0
"""How often a machine that boots is looked at; SSH is tried more often than that."""

HOST_KEYS = re.compile(r"-----BEGIN SSH HOST KEY KEYS-----(.*?)-----END SSH HOST KEY KEYS-----", re.DOTALL)
"""What cloud-init prints to the console on the first boot."""


class Ec2Instance:
    """An instance that was started."""

    def __init__(self, ec2: Any, identity: str) -> None:
        self._ec2 = ec2
        self.id = identity
        self.said: dict[str, Any] = {}
        """What DescribeInstances told last."""
        self._looked = 0.0

    def look(self) -> str:
        """Ask for its state; an instance that was just started may not be known yet. Raises EngineError."""
        with aws.translated(f"look at instance {self.id!r}"):
            found = aws.eventually(self._describe, "InvalidInstanceID.NotFound")
        self.said = found["Reservations"][0]["Instances"][0]
        self._looked = time.monotonic()
        return str(self.said["State"]["Name"])

    def _describe(self) -> Any:
        return self._ec2.describe_instances(InstanceIds=[self.id])

    def wait_until_it_runs(self) -> None:
        """Wait until AWS has started it. Raises BootError when it ends instead, or does not start."""
        deadline = time.monotonic() + PENDING_SECONDS
        while (state := self.look()) == "pending":
            if time.monotonic() >= deadline:
                raise BootError(f"AWS did not start instance {self.id!r} within {PENDING_SECONDS:.0f} seconds")
            time.sleep(aws.PAUSE_SECONDS)
        if state != "running":
            raise BootError(self.ended(state))

    def alive(self) -> None:
        """Raise BootError when it has ended; it is looked at now and then."""
        if time.monotonic() - self._looked < EVERY_SECONDS:
            return
        if (state := self.look()) != "running":
            raise BootError(self.ended(state))

    def ended(self, state: str) -> str:
        """Say that it has ended and why, as far as AWS says (StateReason, StateTransitionReason)."""
        reason = self.said.get("StateReason") or {}
        why = str(reason.get("Message") or self.said.get("StateTransitionReason") or "AWS does not say why")
        if reason.get("Code") in {"Server.SpotInstanceTermination", "Server.SpotInstanceShutdown"}:
            why = f"AWS took the spot instance back ({why})"
        if reason.get("Code") == "Client.InternalError":  # "Troubleshoot instance launch issues": most often a key
            why += "; may these credentials use the key that its volumes are encrypted with (kms:CreateGrant, Decrypt)?"
        return f"instance {self.id!r} is {state}: {why}"

    def address(self, which: str) -> str:
        """Return its public or private address. Raises BootError when it has none."""
        found = str(self.said.get("PublicIpAddress" if which == "public" else "PrivateIpAddress") or "")
        if not found:
            raise BootError(
                f"instance {self.id!r} got no {which} address",
                hint="boot.ec2: name subnets that give one, or address = 'private', or reach = 'session-manager'",
            )
        return found

    def console(self) -> str:
        """Return what its serial console said; the newest where the hypervisor has it. Raises EngineError."""
        from botocore.exceptions import ClientError

        with aws.translated(f"read the console of instance {self.id!r}"):
            try:
                said = self._ec2.get_console_output(InstanceId=self.id, Latest=True)
            except ClientError as error:  # only instances on Nitro have the newest at once
                if aws.code_of(error) not in {"UnsupportedOperation", "Unsupported", "InvalidParameterCombination"}:
                    raise
                said = self._ec2.get_console_output(InstanceId=self.id)
        return text(str(said.get("Output") or ""))

    def host_keys(self) -> list[str]:
        """Return the Ed25519 host keys that cloud-init printed, the newest first. Raises EngineError."""
        lines = [line.split() for block in HOST_KEYS.findall(self.console()) for line in block.splitlines()]
        return [" ".join(words[:2]) for words in reversed(lines) if words[:1] == ["ssh-ed25519"] and len(words) > 1]

    def checks(self) -> str:
        """Return AWS's own status checks in words. Raises EngineError."""
        with aws.translated(f"read the status checks of instance {self.id!r}"):
            found = self._ec2.describe_instance_status(InstanceIds=[self.id], IncludeAllInstances=True)[
                "InstanceStatuses"
            ]
        if not found:
            return "no status checks yet"
        one = found[0]
        parts = [f"system {one['SystemStatus']['Status']}", f"instance {one['InstanceStatus']['Status']}"]
        parts += [f"event {event.get('Code')}: {event.get('Description')}" for event in one.get("Events", ())]
        return f"status checks: {', '.join(parts)}"

    def card(self) -> str:
        """Return what it is, in words, for the record."""
        said, placement = self.said, self.said.get("Placement", {})
        kind = "spot" if said.get("InstanceLifecycle") == "spot" else "on demand"
        return (
            f"instance {self.id} ({said.get('InstanceType')}, {kind}) in {placement.get('AvailabilityZone')} "
            f"from {said.get('ImageId')}, launched at {_time(said.get('LaunchTime'))}"
        )


def _time(value: object) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
