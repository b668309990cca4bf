"""moto's instances, each with a body: what the API does to one is done to a machine."""

from __future__ import annotations

import base64
from typing import Any

from moto.core.utils import utcnow
from moto.ec2.models.instances import Instance as RecordedInstance
from moto.ec2.models.instances import InstanceState, StateReason

from imagetest.testing.aws.bodies import Body, Launch

PENDING, RUNNING, TERMINATED = (0, "pending"), (16, "running"), (48, "terminated")

OFF = "Client.InstanceInitiatedShutdown"


class Instance(RecordedInstance):
    """An instance that is a machine, reached at the address that it reports, privately and publicly."""

    body: Body | None = None

    def __init__(self, ec2_backend: Any, image_id: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(ec2_backend, image_id, *args, **kwargs)
        key = ec2_backend.key_pairs.get(self.key_name)
        self._become(PENDING)
        self.body = Body(
            ec2_backend.yard,
            Launch(
                instance=self.id, image=ec2_backend.references[self.image_id], user=ec2_backend.user,
                keys=(key.material_public.decode().strip(),) if key is not None else (),
                user_data=base64.b64decode(self.user_data.as_bytes()) if self.user_data is not None else b"",
            ),
            up=lambda: self._become(RUNNING),
            failed=self._fail,
        )  # fmt: skip
        for nic in self.nics.values():
            nic.private_ip_address = self.body.address
            nic.private_ip_addresses = [{"Primary": True, "PrivateIpAddress": self.body.address}]
        self._publish()

    def start(self) -> InstanceState:
        """Start it."""
        before = super().start()
        if self.body is not None:
            self.body.start()
        self._publish()
        return before

    def stop(self) -> InstanceState:
        """Stop it."""
        if self.body is not None:
            self.body.stop()
        return super().stop()

    def reboot(self) -> None:
        """Stop it and start it again."""
        if self.body is not None:
            self.body.reboot()
        super().reboot()

    def terminate(self) -> InstanceState:
        """Remove it; its console stays."""
        if self.state == TERMINATED[1]:
            return InstanceState(TERMINATED[1], TERMINATED[0])
        if self.body is not None:
            self.body.remove()
        return super().terminate()

    def look(self) -> None:
        """Do what EC2 does when a machine powers itself off: stop the instance, or terminate it if it was told to."""
        if self.state != RUNNING[1] or self.body is None or not self.body.powered_off():
            return
        if self.instance_initiated_shutdown_behavior == "terminate":
            self.terminate()
        else:
            super().stop()
        self._explain(OFF, "Instance initiated shutdown")

    def _publish(self) -> None:
        """Report the machine's address where moto made up a public one."""
        for nic in self.nics.values():
            if nic.public_ip is not None and self.body is not None:
                nic.public_ip = self.body.address

    def _become(self, state: tuple[int, str]) -> None:
        self._state.code, self._state.name = state

    def _fail(self, reason: str) -> None:
        self.terminate()
        self._explain("Server.InternalError", f"Internal error on launch: {reason}")

    def _explain(self, code: str, message: str) -> None:
        self._reason = f"{message} ({utcnow():%Y-%m-%d %H:%M:%S} GMT)"
        self.state_reason = StateReason(f"{code}: {message}", code)
