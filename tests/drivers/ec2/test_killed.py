"""A run that is killed: what it had made says whose it is, and goes by lease or by expiry with `imagetest reap`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from imagetest.drivers.ec2 import Ec2Driver
from imagetest.execute import tags
from imagetest.testing.aws import AwsWithBodies
from tests.drivers.ec2.conftest import left

pytestmark = pytest.mark.docker

BOOTS = """
import sys
from pathlib import Path
from imagetest.config import wiring
from imagetest.execute.leases import Leases
from imagetest.model.plan import BootPlan, Cloud
from imagetest.pipeline.boot import Fleet
state, reference, lifetime = sys.argv[1:]
driver = wiring.driver("ec2")
fleet = Fleet(run="1", leases=Leases(Path(state) / "leases"), folder=Path(state) / "keys", drivers=lambda _: driver)
plan = BootPlan(driver="ec2", ec2=Cloud(lifetime=float(lifetime)))
fleet.boot(driver.identify(reference, name="web"), plan, lambda event: None)
print("up", flush=True)
sys.stdin.read()
"""


class Killed:
    """Runs in a project's folder that end by SIGKILL."""

    def __init__(self, aws: AwsWithBodies, folder: Path) -> None:
        self._aws = aws
        self.folder = folder
        self._env = {**os.environ, **aws.environ(), "HOME": str(folder)}

    def run(self, until: Callable[[], bool], *, lifetime: float = 120) -> None:
        """Boot in a process of its own and kill it as soon as something is so."""
        reference = f"{self._aws.region}:{self._aws.ami('server')}"
        argv = [sys.executable, "-c", BOOTS, str(self.folder / ".imagetest"), reference, str(lifetime)]
        pipe = subprocess.PIPE
        with subprocess.Popen(argv, stdin=pipe, stdout=pipe, env=self._env, cwd=self.folder) as child:
            deadline = time.monotonic() + 60
            while not until() and time.monotonic() < deadline:
                assert child.poll() is None
                time.sleep(0.005)
            child.send_signal(signal.SIGKILL)

    def reap(self, *options: str) -> str:
        """Run `imagetest reap` to its end and return what it says."""
        argv = [sys.executable, "-m", "imagetest.cli.main", "reap", *options]
        done = subprocess.run(argv, check=False, capture_output=True, env=self._env, cwd=self.folder, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def leases(self) -> list[Path]:
        return list((self.folder / ".imagetest" / "leases").glob("*.json"))


@pytest.fixture
def killed(aws: AwsWithBodies, tmp_path: Path, ec2: Any) -> Iterator[Killed]:
    made = Killed(aws, tmp_path)
    yield made
    made.reap()
    assert left(ec2) == []


def tagged(ec2: Any) -> list[dict[str, str]]:
    """Return the tags of everything that is no part of the account as it was: groups, keys, instances, volumes."""
    found = [one for one in ec2.describe_security_groups()["SecurityGroups"] if one["GroupName"] != "default"]
    found += ec2.describe_key_pairs()["KeyPairs"]
    rows = ec2.describe_instances()["Reservations"]
    found += [one for row in rows for one in row["Instances"] if one["State"]["Name"] != "terminated"]
    found += ec2.describe_volumes()["Volumes"]
    return [tags.of(one) for one in found]


@pytest.mark.parametrize(
    "operation",
    ["ImportKeyPair", "CreateSecurityGroup", "AuthorizeSecurityGroupIngress", "RunInstances", "DescribeInstances"],
)
def test_a_run_that_is_killed_in_the_middle_leaves_only_what_is_tagged_and_reap_removes_it(
    aws: AwsWithBodies, killed: Killed, ec2: Any, operation: str
) -> None:
    before = len(aws.called)
    killed.run(lambda: operation in aws.called[before:])
    found = tagged(ec2)
    said = killed.reap()

    assert found
    for one in found:
        assert one[tags.OWNER]
        assert datetime.fromisoformat(one[tags.EXPIRES]).tzinfo is not None
        assert one[tags.RESOURCE] == f"imagetest-1-web@{aws.region}"
    assert said == f"removed imagetest-1-web@{aws.region}\n"
    assert left(ec2) == []
    assert killed.leases() == []


def test_what_has_expired_is_found_without_a_lease_and_what_has_not_stays(
    aws: AwsWithBodies, killed: Killed, ec2: Any
) -> None:
    before = len(aws.called)
    killed.run(lambda: "RunInstances" in aws.called[before:], lifetime=120)
    (lease,) = killed.leases()
    kept = lease.read_bytes()
    lease.unlink()
    early = killed.reap("--expired", f"ec2:{aws.region}")
    still = left(ec2)
    ids = [one["GroupId"] for one in ec2.describe_security_groups()["SecurityGroups"] if one["GroupName"] != "default"]
    rows = ec2.describe_instances()["Reservations"]
    ids += [one["InstanceId"] for row in rows for one in row["Instances"]]
    ec2.create_tags(Resources=ids, Tags=[{"Key": tags.EXPIRES, "Value": "2026-01-01T00:00:00+00:00"}])
    late = killed.reap("--expired", f"ec2:{aws.region}")

    assert (early, bool(still), bool(kept)) == ("", True, True)
    assert late == f"removed imagetest-1-web@{aws.region}, which had expired\n"
    assert left(ec2) == []


def test_a_tag_that_is_no_time_is_said_and_keeps_nothing_else(aws: AwsWithBodies, killed: Killed, ec2: Any) -> None:
    past, wrong = "2026-01-01T00:00:00+00:00", ("soon", "2026-01-01T00:00:00")
    for number, until in enumerate((wrong[0], past, wrong[1], past)):
        tagged = {tags.RESOURCE: f"imagetest-{number}-web@{aws.region}", tags.EXPIRES: until}
        told = [{"Key": key, "Value": value} for key, value in tagged.items()]
        ec2.create_security_group(
            GroupName=f"test-{number}", Description="x", TagSpecifications=tags.specification(told, "security-group")
        )
    with pytest.raises(AssertionError) as raised:
        killed.reap("--expired", f"ec2:{aws.region}")
    filters = [{"Name": "tag-key", "Values": [tags.EXPIRES]}]
    stay = ec2.describe_security_groups(Filters=filters)["SecurityGroups"]
    for one in stay:
        ec2.delete_security_group(GroupId=one["GroupId"])

    assert {one["GroupName"] for one in stay} == {"test-0", "test-2"}
    for number, until in ((0, wrong[0]), (2, wrong[1])):
        assert f"'imagetest-{number}-web@{aws.region}' (SecurityGroups) expires at '{until}', which is no time" in str(
            raised.value
        )


def test_an_instance_that_was_not_marked_yet_goes_with_its_marked_key_and_group(
    aws: AwsWithBodies, driver: Ec2Driver, ec2: Any
) -> None:
    resource = f"imagetest-packer-1@{aws.region}"
    marks = tags.belonging(resource, run="packer-1", expires=datetime(2026, 1, 1, tzinfo=UTC))
    ec2.create_key_pair(KeyName="packer_1", TagSpecifications=tags.specification(marks, "key-pair"))
    group = ec2.create_security_group(
        GroupName="packer_2", Description="x", TagSpecifications=tags.specification(marks, "security-group")
    )["GroupId"]
    ways: tuple[dict[str, Any], ...] = ({"KeyName": "packer_1"}, {"SecurityGroupIds": [group]}, {})
    ids = [
        ec2.run_instances(ImageId=aws.ami("server"), MinCount=1, MaxCount=1, **way)["Instances"][0]["InstanceId"]
        for way in ways
    ]
    found = driver.expired(aws.region, datetime.now(UTC))
    driver.destroy(resource)
    states = [ec2.describe_instances(InstanceIds=[one])["Reservations"][0]["Instances"][0]["State"] for one in ids]
    ec2.terminate_instances(InstanceIds=[ids[2]])

    assert found.resources == (resource,)
    assert [one["Name"] == "terminated" for one in states] == [True, True, False]
    assert left(ec2) == []


@pytest.mark.parametrize(
    ("option", "said"),
    [("ec2", "names no place"), ("docker:here", "carry no expiry"), ("ec3:x", "unknown driver 'ec3'")],
)
def test_a_place_that_is_none_is_one_line(killed: Killed, option: str, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        killed.reap("--expired", option)
