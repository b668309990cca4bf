"""moto's Systems Manager, whose Run Command runs commands in machines, with their real output and exit code."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.models import ec2_backends
from moto.ssm.exceptions import InvalidDocument
from moto.ssm.models import Command, SimpleSystemManagerBackend
from moto.ssm.responses import SimpleSystemManagerResponse
from moto.ssm.urls import url_bases

from imagetest.errors import ImagetestError
from imagetest.testing.aws.instances import Instance
from imagetest.testing.aws.machines import Ran

SHELL = "AWS-RunShellScript"

GONE = Ran(exit_code=1, stdout="", stderr="the machine is gone")

SHOWN = 24000
"""How many characters of a stream GetCommandInvocation returns."""


class Ssm(SimpleSystemManagerBackend):
    """One region of Systems Manager."""

    @property
    def _url_module(self) -> Any:
        return SimpleNamespace(url_bases=url_bases, url_paths={"{0}/$": SsmAnswers.dispatch})

    def send_command(self, *args: Any, **kwargs: Any) -> Command:
        """Begin to run a shell script in machines."""
        if kwargs.get("document_name") != SHELL:
            raise InvalidDocument(f"only {SHELL} is run here")
        wanted = list(kwargs.get("instance_ids") or [])
        known = ec2_backends[self.account_id][self.region_name]
        machines = {one: known.get_instance(one) for one in wanted}
        command = super().send_command(*args, **kwargs)
        if wanted:
            command.instance_ids = wanted  # moto takes every instance where no target is given
            command.invocations = [one for one in command.invocations if one["InstanceId"] in wanted]
        command.status = command.status_details = "InProgress"
        for one in command.invocations:
            one.update(Status="InProgress", StatusDetails="InProgress", ResponseCode=-1)
            machine = machines.get(one["InstanceId"]) or known.get_instance(one["InstanceId"])
            threading.Thread(target=_run, args=(command, one, machine), daemon=True).start()
        return command


class SsmAnswers(SimpleSystemManagerResponse):
    """What Systems Manager answers."""

    def describe_instance_information(self) -> ActionResult:
        """List the instances that run: each is taken to have the agent."""
        wanted = {
            value for one in self._get_param("Filters", []) if one["Key"] == "InstanceIds" for value in one["Values"]
        }
        instances = ec2_backends[self.current_account][self.region].all_instances()
        listed = [
            {"InstanceId": one.id, "PingStatus": "Online", "PlatformType": "Linux", "IPAddress": one.private_ip}
            for one in instances
            if one.state == "running" and (not wanted or one.id in wanted)
        ]
        return ActionResult({"InstanceInformationList": listed})


def _run(command: Command, invocation: dict[str, Any], instance: object) -> None:
    script = "\n".join(command.parameters.get("commands", []))
    directory = next(iter(command.parameters.get("workingDirectory", [])), None)
    machine = instance.body.machine if isinstance(instance, Instance) and instance.body is not None else None
    try:
        ran = machine.run(["/bin/sh", "-c", script], directory=directory or None) if machine is not None else GONE
        status = "Failed" if ran.exit_code else "Success"
        invocation.update(ResponseCode=ran.exit_code, StandardOutputContent=ran.stdout[:SHOWN])
        invocation.update(StandardErrorContent=ran.stderr[:SHOWN])
    except ImagetestError as error:
        status = "Undeliverable"
        invocation.update(StandardErrorContent=str(error))
    invocation.update(Status=status, StatusDetails=status)
    states = {one["Status"] for one in command.invocations}
    if "InProgress" not in states:
        command.status = command.status_details = "Success" if states == {"Success"} else "Failed"
