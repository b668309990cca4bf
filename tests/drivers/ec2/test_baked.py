"""AMIs of bakes: how they go, by botocore's Stubber and against moto, and how one comes to stay."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.stub import Stubber

from imagetest.drivers.ec2 import Ec2Driver, baked
from imagetest.errors import EngineError, LeakError
from imagetest.execute import tags
from imagetest.testing.aws import AwsWithBodies
from tests.drivers.ec2.test_amis import AMI, REGION, described

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def looked_for(stubber: Stubber, *images: dict[str, Any], snapshots: tuple[str, ...] = ()) -> None:
    stubber.add_response("describe_images", {"Images": list(images)})
    stubber.add_response("describe_snapshots", {"Snapshots": [{"SnapshotId": one} for one in snapshots]})


def test_an_ami_goes_with_its_snapshots(stubber: Stubber) -> None:
    looked_for(stubber, described(), snapshots=("snap-1", "snap-2"))
    stubber.add_response("deregister_image", {}, {"ImageId": AMI})
    stubber.add_client_error("delete_snapshot", "InvalidSnapshot.InUse")
    stubber.add_response("delete_snapshot", {}, {"SnapshotId": "snap-1"})
    stubber.add_client_error("delete_snapshot", "InvalidSnapshot.NotFound")

    baked.discard(stubber.client, REGION, AMI)


def test_a_snapshot_that_stays_is_a_leak(stubber: Stubber) -> None:
    looked_for(stubber, described())
    stubber.add_response("deregister_image", {}, {"ImageId": AMI})
    stubber.add_client_error("delete_snapshot", "UnauthorizedOperation")

    with pytest.raises(LeakError, match="delete snapshot 'snap-1'"):
        baked.discard(stubber.client, REGION, AMI)


def test_of_an_ami_that_is_gone_already_the_snapshots_go(stubber: Stubber) -> None:
    stubber.add_client_error("describe_images", "InvalidAMIID.NotFound")
    stubber.add_response("describe_snapshots", {"Snapshots": [{"SnapshotId": "snap-1"}]})
    stubber.add_response("delete_snapshot", {}, {"SnapshotId": "snap-1"})

    baked.discard(stubber.client, REGION, AMI)


@pytest.mark.parametrize("gone", ["InvalidAMIID.Unavailable", "InvalidAMIID.NotFound"])
def test_an_ami_that_somebody_removes_meanwhile_is_gone(gone: str, stubber: Stubber) -> None:
    looked_for(stubber, described())
    stubber.add_client_error("deregister_image", gone)
    stubber.add_response("delete_snapshot", {}, {"SnapshotId": "snap-1"})

    baked.discard(stubber.client, REGION, AMI)


def test_an_ami_that_stays_already_is_asked_for_nothing_else(stubber: Stubber) -> None:
    stays = {**described(), "Tags": [{"Key": tags.OWNER, "Value": "maria@desk"}]}
    stubber.add_response("describe_images", {"Images": [stays]})

    baked.settle(stubber.client, REGION, AMI)


def test_an_ami_that_aws_does_not_list_cannot_be_told_to_stay(stubber: Stubber) -> None:
    stubber.add_response("describe_images", {"Images": []})

    with pytest.raises(EngineError, match="as one that stays: AWS does not list it"):
        baked.settle(stubber.client, REGION, AMI)


def test_credentials_that_have_run_out_leave_a_leak(stubber: Stubber) -> None:
    stubber.add_client_error("describe_images", "ExpiredToken")

    with pytest.raises(LeakError, match="may still be there"):
        baked.discard_left(stubber.client, REGION, "made-of:i-0123456789abcdef0")


# -- in an account


class Made:
    """AMIs that were made of one instance, as Packer makes them."""

    def __init__(self, aws: AwsWithBodies, ec2: Any) -> None:
        self._ec2, self._region = ec2, aws.region
        started = ec2.run_instances(ImageId=aws.ami("server"), MinCount=1, MaxCount=1)
        self.instance = str(started["Instances"][0]["InstanceId"])

    def ami(self, name: str, **tagged: str) -> str:
        ami = str(self._ec2.create_image(InstanceId=self.instance, Name=name)["ImageId"])
        (said,) = self._ec2.describe_images(ImageIds=[ami])["Images"]
        marks = [{"Key": f"imagetest:{key}", "Value": value} for key, value in tagged.items()]
        things = [ami, *(one["Ebs"]["SnapshotId"] for one in said["BlockDeviceMappings"])]
        if marks:
            self._ec2.create_tags(Resources=things, Tags=marks)
        return ami

    def reference(self, ami: str) -> str:
        return f"{self._region}:{ami}"

    def there(self) -> set[str]:
        return {one["ImageId"] for one in self._ec2.describe_images(Owners=["self"])["Images"]}

    def disks(self) -> set[str]:
        """Return of which AMIs there are snapshots."""
        found = self._ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
        return {one["Description"].rpartition(" ")[2] for one in found if "CreateImage(" in one["Description"]}

    def told(self, ami: str) -> list[set[str]]:
        """Return the tags of an AMI, and those of its snapshot."""
        (said,) = self._ec2.describe_images(ImageIds=[ami])["Images"]
        ids = [one["Ebs"]["SnapshotId"] for one in said["BlockDeviceMappings"]]
        disks = self._ec2.describe_snapshots(SnapshotIds=ids)["Snapshots"]
        return [set(tags.of(one)) for one in (said, *disks)]


@pytest.fixture
def made(aws: AwsWithBodies, ec2: Any) -> Any:
    made = Made(aws, ec2)
    before = made.there()
    yield made
    ec2.terminate_instances(InstanceIds=[made.instance])
    for ami in made.there() - before:
        baked.discard(ec2, aws.region, ami)


@pytest.mark.docker
def test_what_was_made_of_an_instance_goes_unless_its_bake_was_recorded(driver: Ec2Driver, made: Made) -> None:
    bare = made.ami("bare")
    expiring = made.ami("expiring", owner="somebody", expires="2099-01-01T00:00:00+00:00")
    recorded = made.ami("recorded", owner="somebody")
    driver.discard(made.reference(f"made-of:{made.instance}"))
    driver.discard(made.reference(f"made-of:{made.instance}"))

    assert {bare, expiring, recorded} & made.there() == {recorded}
    assert {bare, expiring, recorded} & made.disks() == {recorded}


@pytest.mark.docker
def test_an_ami_that_stays_says_whose_it_is_and_expires_no_more(driver: Ec2Driver, made: Made) -> None:
    marked = made.ami("marked", owner="somebody", run="packer-1", expires="2026-01-01T00:00:00+00:00")
    bare = made.ami("bare")
    before = made.told(marked)
    for ami in (marked, bare):
        driver.settle(made.reference(ami))

    assert before == [{tags.OWNER, tags.RUN, tags.EXPIRES}] * 2
    assert made.told(marked) == [{tags.OWNER, tags.RUN}] * 2
    assert made.told(bare) == [{tags.OWNER}] * 2
    assert made.reference(marked) not in driver.expired(made.reference("").rstrip(":"), datetime.now(UTC)).images


@pytest.mark.docker
def test_what_is_not_there_cannot_come_to_stay(driver: Ec2Driver, made: Made) -> None:
    with pytest.raises(EngineError, match="as one that stays"):
        driver.settle(made.reference("ami-0123456789abcdef0"))


@pytest.mark.docker
def test_an_ami_past_its_expiry_is_found_and_goes_with_a_snapshot_whose_ami_is_gone(
    aws: AwsWithBodies, driver: Ec2Driver, ec2: Any, made: Made
) -> None:
    past, later = ((NOW + timedelta(hours=n)).isoformat() for n in (-1, 1))
    over = made.ami("over", owner="x", run="packer-1", expires=past)
    soon = made.ami("soon", owner="x", run="packer-1", expires=later)
    odd = made.ami("odd", owner="x", run="packer-1", expires="soon")
    copy = made.ami("copy", owner="x", source="us-east-1:ami-1", expires=past)
    half = made.ami("half", owner="x", run="packer-1", expires=past)
    ec2.deregister_image(ImageId=half)
    found = driver.expired(aws.region, NOW)
    for reference in found.images:
        driver.discard(reference)

    assert made.reference(over) in found.images
    assert len([one for one in found.images if ":snap-" in one]) == 1
    assert len(found.images) == 2
    assert [one for one in found.unreadable if odd in one] == [f"{odd!r} expires at 'soon', which is no time"]
    assert {over, soon, odd, copy, half} & made.there() == {soon, odd, copy}
    assert {over, soon, odd, copy, half} & made.disks() == {soon, odd, copy}
