"""AMIs: copied once, shared, named by a parameter, and retired only when nobody can need them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import ANY, Stubber

from imagetest.errors import ConfigError, EngineError, GateClosedError
from imagetest.execute import aws
from imagetest.model.image import Image
from imagetest.model.outlet import AmiOutlet, Evidence, Outlet
from imagetest.model.promotion import Placement
from imagetest.promoters.ami import AmiPromoter

HOME, THERE, FURTHER = "eu-west-1", "us-east-1", "eu-central-1"
ACCOUNT, ORGANISATION = "999988887777", "arn:aws:organizations::111122223333:organization/o-abcdef1234"
NAME = "/images/web/stable"
EVIDENCE = Evidence(assessment_id="run-web", document=b"{}")
NUMBERS = count()


@dataclass
class Cloud:
    """An account, as the promoter sees it and as the test does."""

    endpoint: str
    broken: dict[str, Callable[[], None]] = field(default_factory=dict)
    """What is done instead of an operation, once."""
    calls: list[str] = field(default_factory=list)

    def client(self, service: str, region: str = "") -> Any:
        made = aws.client(service, region)
        made.meta.events.register("before-call", self._before)
        return made

    def _before(self, model: Any, **_: object) -> None:
        self.calls.append(model.name)
        if model.name in self.broken:
            self.broken.pop(model.name)()

    def plain(self, service: str, region: str) -> Any:
        return boto3.Session(region_name=region).client(service)  # type: ignore[call-overload]

    def ami(self, region: str = HOME) -> Image:
        ec2 = self.plain("ec2", region)
        volume = ec2.create_volume(Size=8, AvailabilityZone=f"{region}a")["VolumeId"]
        disk = {"SnapshotId": ec2.create_snapshot(VolumeId=volume)["SnapshotId"], "VolumeSize": 8}
        made = ec2.register_image(
            Name=f"web-{next(NUMBERS)}", Architecture="x86_64", RootDeviceName="/dev/xvda", VirtualizationType="hvm",
            BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": disk}],
        )["ImageId"]  # fmt: skip
        return Image(name="web", kind="ec2", reference=f"{region}:{made}", digest="sha256:" + made[4:].ljust(64, "0"))

    def copies(self, image: Image, region: str) -> list[dict[str, Any]]:
        filters = [{"Name": "tag:imagetest:source", "Values": [image.reference]}]
        return list(self.plain("ec2", region).describe_images(Owners=["self"], Filters=filters)["Images"])

    def said(self, where: str) -> dict[str, Any]:
        region, _, ami = where.removeprefix("ec2:").partition(":")
        found = self.plain("ec2", region).describe_images(ImageIds=[ami])["Images"]
        return dict(found[0]) if found else {}

    def tags(self, where: str) -> dict[str, str]:
        return {one["Key"]: one["Value"] for one in self.said(where).get("Tags", [])}

    def parameter(self, region: str, name: str = NAME) -> dict[str, Any]:
        ssm = self.plain("ssm", region)
        try:
            return dict(ssm.get_parameter(Name=name)["Parameter"])
        except ssm.exceptions.ParameterNotFound:
            return {}


@pytest.fixture
def cloud(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    settings = {"AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    yield Cloud(endpoint)
    boto3.client("ssm", region_name=HOME).delete_parameters(Names=[NAME])
    boto3.client("ssm", region_name=THERE).delete_parameters(Names=[NAME])


@pytest.fixture
def promoter(cloud: Cloud) -> AmiPromoter:
    return AmiPromoter(client=cloud.client, poll=0.01, consistent=1.0)


AMI = AmiOutlet(regions=(HOME, THERE), accounts=(ACCOUNT,), organisations=(ORGANISATION,), parameter=NAME, wait=5.0)
OUTLET = Outlet(channel="stable", image="web", ami=AMI)


def put(promoter: AmiPromoter, image: Image, outlet: Outlet = OUTLET) -> tuple[Placement, ...]:
    placements = promoter.place(image, outlet, EVIDENCE)
    promoter.publish(image, outlet, placements)
    return placements


def ami_of(place: Placement) -> str:
    return place.where.rpartition(":")[2]


def test_an_ami_is_copied_shared_tagged_and_named(promoter: AmiPromoter, cloud: Cloud) -> None:
    image = cloud.ami()
    home, there = put(promoter, image)

    assert home == Placement(where=f"ec2:{image.reference}", digest=image.digest)
    assert re.fullmatch(rf"ec2:{THERE}:ami-[0-9a-f]+", there.where)
    for place, region in ((home, HOME), (there, THERE)):
        ec2, ami = cloud.plain("ec2", region), ami_of(place)
        shared = ec2.describe_image_attribute(ImageId=ami, Attribute="launchPermission")["LaunchPermissions"]
        disk = cloud.said(place.where)["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
        snapshot = ec2.describe_snapshots(SnapshotIds=[disk])["Snapshots"][0]
        readers = ec2.describe_snapshot_attribute(SnapshotId=disk, Attribute="createVolumePermission")
        tags = cloud.tags(place.where)

        assert {"UserId": ACCOUNT} in shared
        assert {"OrganizationArn": ORGANISATION} in shared
        assert readers["CreateVolumePermissions"] == [{"UserId": ACCOUNT}]
        assert tags["imagetest:digest"] == image.digest
        assert (tags["imagetest:assessment"], tags["imagetest:channel:stable"]) == ("run-web", "web")
        assert {"Key": "imagetest:ami", "Value": ami} in snapshot["Tags"]
        assert (cloud.parameter(region)["Value"], cloud.parameter(region)["DataType"]) == (ami, "aws:ec2:image")


def test_promoting_again_makes_no_second_copy(promoter: AmiPromoter, cloud: Cloud) -> None:
    image = cloud.ami()
    first = put(promoter, image)

    assert put(promoter, image) == first
    assert len(cloud.copies(image, THERE)) == 1


STEPS = ["CreateTags", "CopyImage", "DescribeImages", "ModifyImageAttribute", "ModifySnapshotAttribute", "PutParameter"]


@pytest.mark.parametrize("step", STEPS)
def test_a_failure_at_any_point_is_mended_by_doing_it_again(step: str, promoter: AmiPromoter, cloud: Cloud) -> None:
    def fail() -> None:
        raise ClientError({"Error": {"Code": "InternalError", "Message": "an error occurred"}}, step)

    image = cloud.ami()
    cloud.broken[step] = fail
    with pytest.raises(EngineError, match="an error occurred"):
        put(promoter, image)
    placements = put(promoter, image)

    assert len(placements) == 2
    assert [ami_of(one) for one in placements] == [cloud.parameter(region)["Value"] for region in (HOME, THERE)]
    assert len(cloud.copies(image, THERE)) == 1


def test_a_channel_moves_to_the_next_and_back(promoter: AmiPromoter, cloud: Cloud) -> None:
    one, two = cloud.ami(), cloud.ami()
    for image in (one, two, one):
        placements = put(promoter, image)

        assert cloud.parameter(HOME)["Value"] == ami_of(placements[0])
        assert cloud.parameter(THERE)["Value"] == ami_of(placements[1])


def test_a_withdrawn_channel_names_nothing_and_the_ami_stays(promoter: AmiPromoter, cloud: Cloud) -> None:
    placements = put(promoter, cloud.ami())
    for _ in range(2):
        promoter.withdraw(OUTLET, placements)

    for place in placements:
        assert cloud.said(place.where)
        assert "imagetest:channel:stable" not in cloud.tags(place.where)
    assert (cloud.parameter(HOME), cloud.parameter(THERE)) == ({}, {})


def test_what_is_surplus_goes_with_its_snapshots(promoter: AmiPromoter, cloud: Cloud) -> None:
    old = put(promoter, cloud.ami())
    disks = [cloud.said(one.where)["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"] for one in old]
    put(promoter, cloud.ami())
    promoter.retire(OUTLET, old, old)
    promoter.retire(OUTLET, old, old)

    assert [cloud.said(one.where) for one in old] == [{}, {}]
    for region, disk in zip((HOME, THERE), disks, strict=True):
        filters = [{"Name": "snapshot-id", "Values": [disk]}]
        assert cloud.plain("ec2", region).describe_snapshots(Filters=filters)["Snapshots"] == []


def test_snapshots_that_a_broken_off_removal_left_go_with_the_next(promoter: AmiPromoter, cloud: Cloud) -> None:
    (place,) = put(promoter, cloud.ami(), replace(OUTLET, ami=AmiOutlet()))
    disk = cloud.said(place.where)["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    ec2 = cloud.plain("ec2", HOME)
    ec2.deregister_image(ImageId=ami_of(place))
    promoter.retire(OUTLET, (place,), (place,))

    assert ec2.describe_snapshots(Filters=[{"Name": "snapshot-id", "Values": [disk]}])["Snapshots"] == []


@pytest.mark.parametrize("state", ["running", "stopped"])
def test_what_an_instance_is_made_of_stays(state: str, promoter: AmiPromoter, cloud: Cloud) -> None:
    (place,) = old = put(promoter, cloud.ami(), replace(OUTLET, ami=AmiOutlet()))
    ec2 = cloud.plain("ec2", HOME)
    made = ec2.run_instances(ImageId=ami_of(place), MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    if state == "stopped":
        ec2.stop_instances(InstanceIds=[made])
    promoter.retire(OUTLET, old, old)
    stayed = cloud.said(place.where)
    ec2.terminate_instances(InstanceIds=[made])
    promoter.retire(OUTLET, old, old)

    assert stayed
    assert not cloud.said(place.where)


def test_what_a_launch_template_names_stays(promoter: AmiPromoter, cloud: Cloud) -> None:
    (place,) = old = put(promoter, cloud.ami(), replace(OUTLET, ami=AmiOutlet()))
    ec2 = cloud.plain("ec2", HOME)
    data = {"ImageId": ami_of(place)}
    ec2.create_launch_template(LaunchTemplateName="web-template", LaunchTemplateData=data)
    promoter.retire(OUTLET, old, old)
    stayed = cloud.said(place.where)
    ec2.delete_launch_template(LaunchTemplateName="web-template")
    promoter.retire(OUTLET, old, old)

    assert stayed
    assert not cloud.said(place.where)


def test_what_another_channels_parameter_names_stays(promoter: AmiPromoter, cloud: Cloud) -> None:
    (place,) = old = put(promoter, cloud.ami(), replace(OUTLET, ami=AmiOutlet()))
    ssm = cloud.plain("ssm", HOME)
    ssm.put_parameter(Name="/images/web/beta", Value=ami_of(place), Type="String")
    promoter.retire(OUTLET, old, old)
    stayed = cloud.said(place.where)
    ssm.delete_parameter(Name="/images/web/beta")
    promoter.retire(OUTLET, old, old)

    assert stayed
    assert not cloud.said(place.where)


def test_a_channel_without_amis_says_so() -> None:
    with pytest.raises(ConfigError, match="channel 'stable' takes no AMIs, which 'web' is") as caught:
        AmiPromoter().check(replace(OUTLET, ami=None))
    assert "[channels.stable.ami]" in caught.value.hint


def test_an_ami_that_is_gone_is_not_promoted(promoter: AmiPromoter, cloud: Cloud) -> None:
    gone = replace(cloud.ami(), reference=f"{HOME}:ami-00000000000000000")

    with pytest.raises(EngineError, match=r"ami-0+ is not available|cannot promote"):
        promoter.place(gone, OUTLET, EVIDENCE)


# -- what the emulator lacks, by AWS's own words

SOURCE = "ami-0aaaaaaaaaaaaaaaa"
COPY = "ami-0bbbbbbbbbbbbbbbb"
DISKS = [{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": "snap-0a", "VolumeSize": 8, "Encrypted": True}}]
HELD = {"ImageId": SOURCE, "State": "available", "Name": "web", "Architecture": "x86_64", "BlockDeviceMappings": DISKS}
COPIED = {**HELD, "ImageId": COPY, "SourceImageId": SOURCE, "SourceImageRegion": HOME}
IMAGE = Image(name="web", kind="ec2", reference=f"{HOME}:{SOURCE}", digest="sha256:" + "a" * 64)


class Scripted:
    """Clients that answer as AWS documents it, in order, and are asked for nothing else."""

    def __init__(self) -> None:
        self.stubs: dict[str, Stubber] = {}
        self.made: dict[str, Any] = {}
        for region in (HOME, THERE):
            client = boto3.client("ec2", region_name=region, aws_access_key_id="x", aws_secret_access_key="x")  # noqa: S106
            client.close = lambda: None
            self.made[region], self.stubs[region] = client, Stubber(client)
            self.stubs[region].activate()

    def client(self, service: str, region: str) -> Any:
        assert service == "ec2"
        return self.made[region]

    def say(self, region: str, operation: str, answer: dict[str, Any], asked: dict[str, Any] | None = None) -> None:
        self.stubs[region].add_response(operation, answer, asked)

    def refuse(self, region: str, operation: str, code: str, message: str = "no") -> None:
        self.stubs[region].add_client_error(operation, code, message)

    def home(self) -> None:
        self.say(HOME, "describe_images", {"Images": [HELD]})
        self.say(HOME, "create_tags", {})
        self.say(HOME, "create_tags", {})

    def done(self) -> None:
        for stub in self.stubs.values():
            stub.assert_no_pending_responses()

    def place(self, *, wait: float = 5.0, kms_key: str = "alias/images") -> tuple[Placement, ...]:
        outlet = replace(OUTLET, ami=AmiOutlet(regions=(THERE,), kms_key=kms_key, wait=wait))
        return AmiPromoter(client=self.client, poll=0.01, consistent=0.2).place(IMAGE, outlet, EVIDENCE)

    def order(self) -> dict[str, Any]:
        return {
            "SourceImageId": SOURCE, "SourceRegion": HOME, "Name": ANY, "Description": ANY, "ClientToken": ANY,
            "Encrypted": True, "KmsKeyId": "alias/images", "TagSpecifications": ANY,
        }  # fmt: skip


@pytest.fixture
def scripted() -> Scripted:
    made = Scripted()
    made.home()
    return made


def test_a_copy_is_unknown_at_first_then_pending_then_there(scripted: Scripted) -> None:
    scripted.say(THERE, "describe_images", {"Images": []})
    scripted.refuse(THERE, "copy_image", "ResourceLimitExceeded", "too many copies")
    scripted.say(THERE, "copy_image", {"ImageId": COPY}, scripted.order())
    scripted.refuse(THERE, "describe_images", "InvalidAMIID.NotFound")
    scripted.say(THERE, "describe_images", {"Images": [{**COPIED, "State": "pending"}]})
    scripted.say(THERE, "describe_images", {"Images": [{**COPIED, "State": "pending"}]})
    scripted.say(THERE, "describe_images", {"Images": [COPIED]})
    scripted.say(THERE, "create_tags", {})
    scripted.say(THERE, "create_tags", {})
    placements = scripted.place()

    assert [one.where for one in placements] == [f"ec2:{HOME}:{SOURCE}", f"ec2:{THERE}:{COPY}"]
    scripted.done()


def test_a_copy_that_failed_says_why(scripted: Scripted) -> None:
    said = {**COPIED, "State": "failed", "StateReason": {"Code": "x", "Message": "Given key ID is not accessible"}}
    scripted.say(THERE, "describe_images", {"Images": []})
    scripted.say(THERE, "copy_image", {"ImageId": COPY})
    for _ in range(2):
        scripted.say(THERE, "describe_images", {"Images": [said]})

    with pytest.raises(EngineError, match="failed: Given key ID is not accessible") as caught:
        scripted.place()
    assert "alias/images" in caught.value.hint
    scripted.done()


def test_a_copy_that_failed_before_is_cleared_away_and_made_anew(scripted: Scripted) -> None:
    scripted.say(THERE, "describe_images", {"Images": [{**COPIED, "ImageId": "ami-0c", "State": "failed"}]})
    scripted.say(THERE, "deregister_image", {}, {"ImageId": "ami-0c"})
    scripted.say(THERE, "copy_image", {"ImageId": COPY})
    for _ in range(2):
        scripted.say(THERE, "describe_images", {"Images": [COPIED]})
    for _ in range(2):
        scripted.say(THERE, "create_tags", {})

    assert scripted.place()[1].where == f"ec2:{THERE}:{COPY}"
    scripted.done()


def test_a_copy_that_takes_too_long_is_given_up_and_can_be_waited_for_again(scripted: Scripted) -> None:
    scripted.say(THERE, "describe_images", {"Images": [{**COPIED, "State": "pending"}]})
    scripted.say(THERE, "describe_images", {"Images": [{**COPIED, "State": "pending"}]})

    with pytest.raises(EngineError, match=r"is pending after 0 seconds") as caught:
        scripted.place(wait=0.0)
    assert "'wait'" in caught.value.hint
    scripted.done()


@pytest.mark.parametrize(
    "wrong",
    [{"SourceImageId": "ami-0cccccccccccccccc"}, {"SourceImageRegion": FURTHER}, {"Architecture": "arm64"},
     {"BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 9, "Encrypted": True}}]},
     {"BlockDeviceMappings": [*DISKS, {"DeviceName": "/dev/xvdb", "Ebs": {"VolumeSize": 1, "Encrypted": True}}]}],
    ids=["source", "region", "architecture", "size", "another-disk"],
)  # fmt: skip
def test_a_copy_of_something_else_is_refused(wrong: dict[str, Any], scripted: Scripted) -> None:
    for _ in range(2):
        scripted.say(THERE, "describe_images", {"Images": [{**COPIED, **wrong}]})

    with pytest.raises(GateClosedError, match="is not of what was tested"):
        scripted.place()
    scripted.done()


def test_a_copy_that_should_be_encrypted_and_is_not_is_refused(scripted: Scripted) -> None:
    plain = [{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": "snap-0a", "VolumeSize": 8, "Encrypted": False}}]
    for _ in range(2):
        scripted.say(THERE, "describe_images", {"Images": [{**COPIED, "BlockDeviceMappings": plain}]})

    with pytest.raises(EngineError, match="is not encrypted"):
        scripted.place()


def test_a_copy_is_asked_for_with_one_token_however_often(scripted: Scripted) -> None:
    tokens: list[str] = []
    scripted.made[THERE].meta.events.register(
        "provide-client-params.ec2.CopyImage", lambda params, **_: tokens.append(params["ClientToken"])
    )
    for _ in range(2):
        scripted.say(THERE, "describe_images", {"Images": []})
        scripted.refuse(THERE, "copy_image", "InternalError")
        with pytest.raises(EngineError, match="InternalError"):
            scripted.place()
        scripted.home()

    assert len(tokens) == 2
    assert len(set(tokens)) == 1


def test_what_was_superseded_is_deprecated_once(scripted: Scripted) -> None:
    scripted = Scripted()
    before = datetime.now(UTC)
    asked: list[datetime] = []
    scripted.made[HOME].meta.events.register(
        "provide-client-params.ec2.EnableImageDeprecation", lambda params, **_: asked.append(params["DeprecateAt"])
    )
    for said in (HELD, {**HELD, "DeprecationTime": "2027-01-01T00:00:00.000Z"}):
        scripted.say(HOME, "describe_images", {"Images": [said]})
        scripted.say(HOME, "delete_tags", {})
        if said is HELD:
            scripted.say(HOME, "enable_image_deprecation", {"Return": True})
    place = Placement(where=f"ec2:{HOME}:{SOURCE}", digest=IMAGE.digest)
    for _ in range(2):
        promoter = AmiPromoter(client=scripted.client)
        promoter.retire(replace(OUTLET, ami=AmiOutlet(deprecate=30)), (place,), ())

    assert [(at - before).days for at in asked] in ([29], [30])
    scripted.done()


def test_what_is_promoted_again_is_deprecated_no_more() -> None:
    scripted = Scripted()
    scripted.say(HOME, "describe_images", {"Images": [{**HELD, "DeprecationTime": "2027-01-01T00:00:00.000Z"}]})
    scripted.say(HOME, "disable_image_deprecation", {"Return": True}, {"ImageId": SOURCE})
    scripted.say(HOME, "create_tags", {})
    place = Placement(where=f"ec2:{HOME}:{SOURCE}", digest=IMAGE.digest)
    AmiPromoter(client=scripted.client).publish(IMAGE, replace(OUTLET, ami=AmiOutlet()), (place,))

    scripted.done()
