"""What the API does to an instance is done to a machine, and what happens to a machine the API tells."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from imagetest.testing.aws import AwsWithBodies
from tests.testing.aws.account import SYSTEMD, Account, docker, eventually

pytestmark = pytest.mark.docker


def body(instance: str) -> list[str]:
    return docker("ps", "--all", "--quiet", "--filter", f"name={instance}")


def test_an_instance_is_reached_where_the_api_says(account: Account) -> None:
    instance = account.launch()
    found = account.describe(instance)

    assert found["PublicIpAddress"].startswith("127.77.")
    assert found["PublicIpAddress"] == found["PrivateIpAddress"]
    assert found["NetworkInterfaces"][0]["Association"]["PublicIp"] == found["PublicIpAddress"]
    expected = "ip-" + found["PrivateIpAddress"].replace(".", "-")
    assert account.ssh(instance, "hostname; id -un") == (0, f"{expected}\nroot")
    assert account.ssh(instance, "exit 3")[0] == 3


def test_its_host_keys_are_on_its_console_and_its_own(account: Account) -> None:
    one, other = account.launch(), account.launch()

    assert account.ssh(one, "cat /etc/ssh/ssh_host_ed25519_key.pub")[1] == account.host_keys(one)[0]
    assert set(account.host_keys(one)).isdisjoint(account.host_keys(other))


def test_it_stops_and_starts_with_its_files_and_its_keys(account: Account) -> None:
    instance = account.launch()
    account.ssh(instance, "echo kept >/root/kept")
    before = account.host_keys(instance)
    account.ec2.stop_instances(InstanceIds=[instance])
    stopped = account.describe(instance)
    account.ec2.start_instances(InstanceIds=[instance])

    assert stopped["State"]["Name"] == "stopped"
    assert "PublicIpAddress" not in stopped
    assert stopped["PrivateIpAddress"] == account.wait(instance, "running")["PrivateIpAddress"]
    assert account.ssh(instance, "cat /root/kept") == (0, "kept")
    assert account.host_keys(instance) == before


def test_it_reboots(account: Account) -> None:
    instance = account.launch(SYSTEMD)
    before = account.ssh(instance, "cat /run/this-boot 2>/dev/null; echo once >/run/this-boot")[1]
    account.ec2.reboot_instances(InstanceIds=[instance])

    assert before == ""
    assert account.ssh(instance, "cat /run/this-boot 2>/dev/null; systemctl is-active ssh")[1] == "active"


def test_a_terminated_one_is_gone_and_its_console_stays(account: Account) -> None:
    instance = account.launch()
    keys = account.host_keys(instance)
    account.ec2.terminate_instances(InstanceIds=[instance])

    assert account.describe(instance)["State"]["Name"] == "terminated"
    assert body(instance) == []
    assert account.host_keys(instance) == keys


@pytest.mark.parametrize(("behaviour", "state"), [("terminate", "terminated"), ("stop", "stopped")])
def test_one_that_powers_itself_off_does_what_it_was_told(account: Account, behaviour: str, state: str) -> None:
    instance = account.launch(SYSTEMD, InstanceInitiatedShutdownBehavior=behaviour)
    account.ssh(instance, "systemctl poweroff")
    found = account.wait(instance, state)

    assert found["StateReason"]["Code"] == "Client.InstanceInitiatedShutdown"
    assert len(body(instance)) == (state == "stopped")


def test_one_that_reboots_itself_runs_on(account: Account) -> None:
    instance = account.launch(SYSTEMD, InstanceInitiatedShutdownBehavior="terminate")
    account.ssh(instance, "touch /run/this-boot; systemctl reboot")
    code = eventually(lambda: account.ssh(instance, "test -e /run/this-boot")[0], bool)

    assert code == 1
    assert account.describe(instance)["State"]["Name"] == "running"


def test_a_client_token_launches_once(account: Account) -> None:
    first = account.launch(ClientToken="once")
    again = account.launch(ClientToken="once")
    with pytest.raises(ClientError, match="IdempotentParameterMismatch"):
        account.launch(SYSTEMD, ClientToken="once")

    assert first == again


def test_it_has_the_tags_that_it_was_launched_with(account: Account) -> None:
    wanted = [{"Key": "imagetest:owner", "Value": "me"}]
    instance = account.launch(
        TagSpecifications=[{"ResourceType": one, "Tags": wanted} for one in ("instance", "volume")]
    )
    mine = [{"Name": "tag:imagetest:owner", "Values": ["me"]}]
    volumes = account.ec2.describe_volumes(Filters=mine)["Volumes"]

    assert account.describe(instance)["Tags"] == wanted
    assert [one["Attachments"][0]["InstanceId"] for one in volumes] == [instance]


REFUSED = {
    "an image that is not there": ({"ImageId": "ami-0123456789abcdef0"}, "InvalidAMIID.NotFound"),
    "a type that is not there": ({"InstanceType": "z9.nope"}, "InvalidParameterValue"),
    "a key that is not there": ({"KeyName": "nobody's"}, "InvalidKeyPair.NotFound"),
    "a group that is not there": ({"SecurityGroupIds": ["sg-0123456789abcdef0"]}, "InvalidGroup.NotFound"),
    "a dry run": ({"DryRun": True}, "DryRunOperation"),
}


@pytest.mark.parametrize(("settings", "code"), REFUSED.values(), ids=REFUSED)
def test_what_ec2_refuses_is_refused(account: Account, settings: dict[str, object], code: str) -> None:
    wanted = {"ImageId": account.aws.ami(SYSTEMD), "MinCount": 1, "MaxCount": 1, **settings}
    with pytest.raises(ClientError) as told:
        account.ec2.run_instances(**wanted)

    assert told.value.response["Error"]["Code"] == code


def test_two_emulations_have_addresses_of_their_own(account: Account, images: dict[str, str]) -> None:
    with AwsWithBodies(images=images) as aws:
        other = Account.of(aws)
        there, here = other.launch(), account.launch()

        assert other.describe(there)["PublicIpAddress"] != account.describe(here)["PublicIpAddress"]
        assert other.ssh(there, "true")[0] == account.ssh(here, "true")[0] == 0
        assert account.ec2.describe_instances(InstanceIds=[here])["Reservations"]
        with pytest.raises(ClientError, match=r"InvalidInstanceID\.NotFound"):
            account.describe(there)
