"""What is made in an account: fenced, tagged, ended by itself, and gone afterwards, whatever went wrong between."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from imagetest.drivers.ec2 import Ec2Driver, belongings, blocks
from imagetest.errors import BootError, ConfigError, EngineError, LeakError
from imagetest.execute import aws as door
from imagetest.execute import keys, tags
from imagetest.execute.operator import operator
from imagetest.model.plan import BootPlan, Cloud
from imagetest.ports import Access
from imagetest.testing.aws import AwsWithBodies
from imagetest.testing.contracts import ask, ignore, make_access
from imagetest.transport.connection import AuthenticationRefusedError, HostKeyError
from tests.drivers.ec2.conftest import Boot, left

pytestmark = pytest.mark.docker


@pytest.fixture(autouse=True)
def _nothing_is_left(ec2: Any) -> Iterator[None]:
    yield
    assert left(ec2) == []


@contextmanager
def started(aws: AwsWithBodies, boot: Boot, **plan: Any) -> Iterator[tuple[dict[str, Any], Any]]:
    """Boot an instance; give what the API says of it."""
    client = aws.client("ec2")
    try:
        with boot("server", **plan) as up:
            filters = [{"Name": f"tag:{tags.RESOURCE}", "Values": [up.instance.id]}]
            yield client.describe_instances(Filters=filters)["Reservations"][0]["Instances"][0], up
    finally:
        client.close()


def test_everything_says_whose_it_is_and_until_when(aws: AwsWithBodies, boot: Boot, ec2: Any) -> None:
    with started(aws, boot, ec2=Cloud(tags=(("team", "web"),))) as (said, up):
        filters = [{"Name": f"tag:{tags.RESOURCE}", "Values": [up.instance.id]}]
        made = [
            said, *ec2.describe_volumes(Filters=filters)["Volumes"],
            *ec2.describe_security_groups(Filters=filters)["SecurityGroups"],
            *ec2.describe_key_pairs(Filters=filters)["KeyPairs"],
        ]  # fmt: skip
        found = [tags.of(one) for one in made]

    assert len(made) == 4
    for one in found:
        assert one[tags.OWNER] == tags.allowed(operator())
        assert timedelta(0) < datetime.fromisoformat(one[tags.EXPIRES]) - datetime.now(UTC) <= timedelta(minutes=120)
        assert one["team"] == "web"


def test_ssh_is_let_in_from_here_alone_and_the_run_s_key_is_the_only_one(
    aws: AwsWithBodies, boot: Boot, ec2: Any
) -> None:
    with started(aws, boot) as (said, up):
        (group,) = ec2.describe_security_groups(GroupIds=[said["SecurityGroups"][0]["GroupId"]])["SecurityGroups"]
        listed = ask(up, "cat /root/.ssh/authorized_keys")[1].decode()
        own = Path(up.instance.address.key_file + ".pub").read_text().split()[1]
    (rule,) = group["IpPermissions"]

    assert {line.split()[1] for line in listed.splitlines() if line} == {own}
    assert (rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) == ("tcp", 22, 22)
    assert [one["CidrIp"] for one in rule["IpRanges"]] == ["127.0.0.1/32"]
    assert said["MetadataOptions"]["HttpTokens"] == "required"


def test_what_was_made_by_a_request_whose_answer_was_lost_is_taken(ec2: Any, tmp_path: Path) -> None:
    """Then botocore asks again, and AWS answers that it is there."""
    resource, until = "imagetest-asked-twice", datetime.now(UTC) + timedelta(hours=1)
    marks, access = tags.belonging(resource, run="asked", expires=until), make_access(tmp_path / "keys")
    try:
        pairs = [belongings.let_in(ec2, resource, access, marks) for _ in range(2)]
        groups = [belongings.fence(ec2, resource, Cloud(), marks, port=22, cut_off=False) for _ in range(2)]
        (found,) = ec2.describe_security_groups(GroupIds=groups[:1])["SecurityGroups"]
    finally:
        belongings.remove(ec2, "us-east-1", resource)

    assert pairs == [resource, resource]
    assert groups[0] == groups[1]
    assert len(found["IpPermissions"]) == 1


def test_a_network_that_is_named_is_let_in(aws: AwsWithBodies, boot: Boot, ec2: Any) -> None:
    with started(aws, boot, ec2=Cloud(inbound=("192.0.2.0/24", "2001:db8::/64"))) as (said, _):
        (group,) = ec2.describe_security_groups(GroupIds=[said["SecurityGroups"][0]["GroupId"]])["SecurityGroups"]
    rules = group["IpPermissions"]

    assert [one["CidrIp"] for rule in rules for one in rule["IpRanges"]] == ["192.0.2.0/24"]
    assert [one["CidrIpv6"] for rule in rules for one in rule["Ipv6Ranges"]] == ["2001:db8::/64"]


def test_an_instance_that_is_cut_off_lets_nothing_out_and_says_what_is_not_seen(
    aws: AwsWithBodies, boot: Boot, ec2: Any
) -> None:
    with started(aws, boot, network="none") as (said, up):
        (group,) = ec2.describe_security_groups(GroupIds=[said["SecurityGroups"][0]["GroupId"]])["SecurityGroups"]

    assert group["IpPermissionsEgress"] == []
    assert len(group["IpPermissions"]) == 1
    assert any("does not tell what it tried to reach" in note for note in up.boot.notes)
    assert up.boot.attempts == ()


def test_a_boot_records_what_the_instance_is(aws: AwsWithBodies, boot: Boot) -> None:
    with started(aws, boot, ec2=Cloud(instance_type="t3.micro")) as (said, up):
        notes = "\n".join(up.boot.notes)

    for part in (said["InstanceId"], "t3.micro", said["Placement"]["AvailabilityZone"], said["ImageId"], "on demand"):
        assert part in notes
    assert "status checks: system" in notes
    assert "-----BEGIN SSH HOST KEY KEYS-----" in up.boot.console
    assert "given to it by user-data" in notes


def test_a_machine_with_systemd_is_ready_when_systemd_says_so(boot: Boot) -> None:
    with boot("init") as up:
        moments = {one.name: one.seconds for one in up.boot.timeline}

    assert up.boot.init == "systemd"
    assert 0 <= moments["systemd"] <= moments["ready"] + 1
    assert moments["ssh.service"] <= moments["reachable"] + 1


@pytest.mark.parametrize("name", ["server", "init"])
def test_an_instance_ends_by_itself_when_nobody_is_left(boot: Boot, ec2: Any, name: str) -> None:
    with boot(name, ec2=Cloud(lifetime=0.25)) as up:
        filters = [{"Name": f"tag:{tags.RESOURCE}", "Values": [up.instance.id]}]
        state, deadline = "", time.monotonic() + 60
        found: dict[str, Any] = {}
        while state != "terminated" and time.monotonic() < deadline:
            time.sleep(0.5)
            found = ec2.describe_instances(Filters=filters)["Reservations"][0]["Instances"][0]
            state = found["State"]["Name"]

    assert any("it ends by itself" in note for note in up.boot.notes)
    assert (state, found["StateReason"]["Code"]) == ("terminated", "Client.InstanceInitiatedShutdown")


def test_the_timer_is_there_after_a_reboot_as_well(boot: Boot, driver: Ec2Driver, aws: AwsWithBodies) -> None:
    with boot("init") as up:
        image = driver.identify(f"{aws.region}:{aws.ami('init')}", name="web")
        file = Path(up.instance.address.key_file)
        access = Access(host=keys.generate(), user=keys.read(file), key_file=file)
        back = driver.restart(up, image, BootPlan(), access=access, progress=ignore)
        active = ask(back, "systemctl is-active imagetest-expiry.timer")
        assert back.transport is not None
        back.transport.close()

    assert active == (0, b"active\n", b"")
    assert any("it ends by itself" in note for note in back.boot.notes)


@pytest.mark.parametrize(
    ("operation", "code", "times"),
    [
        pytest.param("DescribeInstances", "InvalidInstanceID.NotFound", 3, id="instance-not-known-yet"),
        pytest.param("AuthorizeSecurityGroupIngress", "InvalidGroup.NotFound", 2, id="group-not-known-yet"),
        pytest.param("RunInstances", "InvalidGroup.NotFound", 2, id="group-not-known-to-run"),
        pytest.param("RunInstances", "RequestLimitExceeded", 2, id="throttled"),
        pytest.param("RunInstances", "Unavailable", 1, id="overloaded"),
        pytest.param("DeleteSecurityGroup", "DependencyViolation", 2, id="group-still-in-use"),
    ],
)
def test_what_aws_says_for_a_moment_only_is_asked_again(
    aws: AwsWithBodies, boot: Boot, operation: str, code: str, times: int
) -> None:
    before = len(aws.called)
    aws.fail(operation, code, times=times)
    with boot("server") as up:
        answer = ask(up, "echo up")

    assert answer == (0, b"up\n", b"")
    assert aws.called[before:].count(operation) > times


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("InsufficientInstanceCapacity", "subnets in several zones"),
        ("VcpuLimitExceeded", "more vCPUs"),
        ("InstanceLimitExceeded", "higher quota"),
        ("MaxSpotInstanceCountExceeded", "quota of spot"),
    ],
)
def test_no_room_and_no_quota_are_one_line_and_leave_nothing(
    aws: AwsWithBodies, boot: Boot, code: str, hint: str
) -> None:
    aws.fail("RunInstances", code, times=6 if code == "InsufficientInstanceCapacity" else 1)

    with pytest.raises(BootError, match=code) as caught, boot("server"):
        raise AssertionError
    assert hint in caught.value.hint
    assert "\n" not in str(caught.value)


def test_another_zone_is_tried_where_one_is_configured(aws: AwsWithBodies, boot: Boot, ec2: Any) -> None:
    subnets = [one["SubnetId"] for one in ec2.describe_subnets()["Subnets"]][:2]
    aws.fail("RunInstances", "Unsupported")
    with started(aws, boot, ec2=Cloud(subnets=tuple(subnets))) as (said, _):
        where = said["SubnetId"]

    assert where == subnets[1]


def test_subnets_of_several_networks_are_a_mistake(boot: Boot, ec2: Any) -> None:
    other = ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
    far = ec2.create_subnet(VpcId=other, CidrBlock="10.7.1.0/24")["Subnet"]["SubnetId"]
    near = next(one["SubnetId"] for one in ec2.describe_subnets()["Subnets"] if one["VpcId"] != other)
    try:
        with pytest.raises(ConfigError, match="are of several VPCs"), boot("server", ec2=Cloud(subnets=(near, far))):
            raise AssertionError
    finally:
        ec2.delete_subnet(SubnetId=far)
        ec2.delete_vpc(VpcId=other)


def test_a_request_that_is_refused_is_a_mistake_and_leaves_nothing(aws: AwsWithBodies, boot: Boot) -> None:
    aws.fail("RunInstances", "InvalidParameterValue", message="Value (web) for iamInstanceProfile is invalid")

    with pytest.raises(ConfigError, match="iamInstanceProfile"), boot("server", ec2=Cloud(instance_profile="web")):
        raise AssertionError


def test_a_permission_that_is_missing_is_named(aws: AwsWithBodies, boot: Boot) -> None:
    aws.fail("CreateSecurityGroup", "UnauthorizedOperation")

    with pytest.raises(door.RefusedError, match="UnauthorizedOperation") as caught, boot("server"):
        raise AssertionError
    assert "CreateSecurityGroup" in caught.value.hint


def test_a_machine_that_ends_says_what_it_said_last(boot: Boot) -> None:
    with pytest.raises(BootError, match="nothing to do here") as caught, boot("ends", timeout=30.0):
        raise AssertionError
    assert "terminated" in str(caught.value)


def test_a_user_who_is_not_let_in_is_told_with_what_to_do(boot: Boot) -> None:
    with pytest.raises(AuthenticationRefusedError, match="'nobody'") as caught, boot("server", user="nobody"):
        raise AssertionError
    assert "boot.user" in caught.value.hint


def test_a_host_key_that_nobody_vouches_for_is_never_trusted(boot: Boot) -> None:
    with (
        pytest.raises(HostKeyError, match="neither user-data gave it nor its console shows"),
        boot("own key", timeout=8.0),
    ):
        raise AssertionError


def test_a_host_key_that_the_console_shows_is_pinned(boot: Boot) -> None:
    with boot("own key, told") as up:
        theirs = ask(up, "cat /etc/ssh/own.pub")[1].decode().split()[:2]
        known = Path(up.instance.address.key_file).with_name("known_hosts").read_text()

    assert up.instance.address.host_key.split() == theirs
    assert known.split()[1:] == theirs
    assert any("the one that its console shows" in note for note in up.boot.notes)


def test_what_cannot_be_removed_is_a_leak_that_names_it(aws: AwsWithBodies, boot: Boot, driver: Ec2Driver) -> None:
    resource = f"imagetest-test-stays@{aws.region}"
    with pytest.raises(LeakError, match="delete key pair") as caught, boot("server", resource=resource):
        aws.fail("DeleteKeyPair", "UnauthorizedOperation")
    driver.destroy(resource)

    assert "DeleteKeyPair" in caught.value.hint
    assert resource in str(caught.value)


def test_an_ami_that_changed_since_it_was_judged_is_not_booted(
    aws: AwsWithBodies, driver: Ec2Driver, tmp_path: Path
) -> None:
    found = driver.identify(f"{aws.region}:{aws.ami('server')}", name="web")
    other = driver.identify(f"{aws.region}:{aws.ami('init')}", name="web")
    mixed = type(found)(name="web", kind="ec2", reference=found.reference, digest="sha256:" + "0" * 64)

    assert other.reference != found.reference
    with pytest.raises(EngineError, match="was to be booted"):
        driver.boot(mixed, BootPlan(), resource="imagetest-x", access=make_access(tmp_path / "k"), progress=ignore)
    driver.destroy("imagetest-x")


def test_a_spot_instance_is_asked_for_once_and_tagged_with_its_request(aws: AwsWithBodies, boot: Boot) -> None:
    with started(aws, boot, ec2=Cloud(spot=True)) as (said, up):
        answer = ask(up, "echo spot")

    assert answer == (0, b"spot\n", b"")
    assert said["InstanceLifecycle"] == "spot"
    assert any("spot" in note for note in up.boot.notes)


def test_the_policy_in_the_docs_allows_what_is_called_and_nothing_else(
    aws: AwsWithBodies, boot: Boot, driver: Ec2Driver, tmp_path: Path
) -> None:
    """The calls of this module's tests, which is why this one is its last; those for `discard` are added."""
    subnets = tuple(one["SubnetId"] for one in aws.client("ec2").describe_subnets()["Subnets"])[:1]
    with boot("server", network="none", ec2=Cloud(subnets=subnets, instance_type="t3.small")) as up:
        image = driver.identify(f"{aws.region}:{aws.ami('server')}", name="web")
        file = Path(up.instance.address.key_file)
        access = Access(host=keys.generate(), user=keys.read(file), key_file=file)
        back = driver.restart(up, image, BootPlan(network="none"), access=access, progress=ignore)
        assert "console" in driver.last_words(up.instance.id)
        assert back.transport is not None
        back.transport.close()
    driver.expired(aws.region, datetime.now(UTC))
    driver.discard(f"{aws.region}:ami-0abc1234")
    blocks.Snapshot(aws.client("ebs"), _root_of(aws, "server")).copy(tmp_path / "disk")
    page = (Path(__file__).parents[3] / "docs" / "drivers" / "ec2.md").read_text()
    policy = json.loads(re.findall(r"```json\n(.*?)```", page, re.DOTALL)[0])
    allowed = {
        action.removeprefix("ec2:").removeprefix("ebs:") for one in policy["Statement"] for action in one["Action"]
    }
    rare = {
        "DeregisterImage", "DeleteSnapshot", "DeleteTags", "DeleteVolume", "DeleteNetworkInterface",
        "CancelSpotInstanceRequests",
    }  # fmt: skip
    private = {"CreateTags", "DescribeVpcs"}
    """CreateTags is not called: AWS asks for it where a request tags what it makes."""

    tests_own = {"CreateVpc", "CreateSubnet", "DeleteSubnet", "DeleteVpc"}

    assert set(aws.called) - allowed - tests_own == set()
    assert allowed - set(aws.called) <= rare | private | {"iam:PassRole", "kms:Decrypt"}


def _root_of(aws: AwsWithBodies, name: str) -> str:
    (found,) = aws.client("ec2").describe_images(ImageIds=[aws.ami(name)])["Images"]
    return str(found["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"])
