"""Errors on demand, what is not emulated, and commands by Systems Manager."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from tests.testing.aws.account import Account, eventually

pytestmark = pytest.mark.docker


@pytest.mark.parametrize(
    ("code", "status"),
    [("InsufficientInstanceCapacity", 500), ("RequestLimitExceeded", 503), ("InvalidInstanceID.NotFound", 400)],
)
def test_the_next_calls_fail_as_ordered_and_no_more(account: Account, code: str, status: int) -> None:
    account.aws.fail("DescribeInstances", code, times=2, message="not now")
    told = []
    for _ in range(2):
        with pytest.raises(ClientError) as caught:
            account.ec2.describe_instances()
        told.append(caught.value.response)

    assert account.ec2.describe_instances()["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert {one["Error"]["Code"] for one in told} == {code}
    assert {one["Error"]["Message"] for one in told} == {"not now"}
    assert {one["ResponseMetadata"]["HTTPStatusCode"] for one in told} == {status}
    assert account.aws.called[-3:] == ["DescribeInstances"] * 3


def test_services_that_speak_json_fail_in_json(account: Account) -> None:
    account.aws.fail("GetParameter", "ThrottlingException")

    with pytest.raises(ClientError) as told:
        account.aws.client("ssm").get_parameter(Name="/a")
    assert told.value.response["Error"]["Code"] == "ThrottlingException"


def test_what_is_not_emulated_says_so(account: Account) -> None:
    with pytest.raises(ClientError, match="CreateStoreImageTask is not emulated here") as told:
        account.ec2.create_store_image_task(ImageId="ami-1", Bucket="b")
    with pytest.raises(ClientError, match="StartSession is not emulated here"):
        account.aws.client("ssm").start_session(Target="i-0123456789abcdef0")

    assert told.value.response["Error"]["Code"] == "NotImplemented"


@pytest.mark.parametrize(("script", "code", "status"), [("true", 0, "Success"), ("exit 3", 3, "Failed")])
def test_a_command_runs_in_the_machine_it_is_meant_for(account: Account, script: str, code: int, status: str) -> None:
    one, other = account.launch(), account.launch()
    ssm = account.aws.client("ssm")
    commands = ["touch /root/ran", "hostname", "echo bad >&2", script]
    sent = ssm.send_command(
        InstanceIds=[one], DocumentName="AWS-RunShellScript", Parameters={"commands": commands}
    )["Command"]  # fmt: skip
    asked = {"CommandId": sent["CommandId"], "InstanceId": one}
    found = eventually(lambda: ssm.get_command_invocation(**asked), lambda it: it["Status"] != "InProgress")

    assert (found["Status"], found["ResponseCode"]) == (status, code)
    assert found["StandardOutputContent"].strip() == account.ssh(one, "hostname")[1]
    assert found["StandardErrorContent"] == "bad\n"
    assert account.ssh(other, "test -e /root/ran")[0] == 1


def test_instances_that_run_are_known_to_systems_manager(account: Account) -> None:
    instance = account.launch()
    ssm = account.aws.client("ssm")
    query = [{"Key": "InstanceIds", "Values": [instance]}]
    before = ssm.describe_instance_information(Filters=query)["InstanceInformationList"]
    account.ec2.stop_instances(InstanceIds=[instance])

    assert [one["PingStatus"] for one in before] == ["Online"]
    assert ssm.describe_instance_information(Filters=query)["InstanceInformationList"] == []
