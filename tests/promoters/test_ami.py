"""AMIs: copied once, shared, named by a parameter, and retired only when nobody can need them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import ANY, Stubber

from imagetest.errors import ConfigError, EngineError, GateClosedError
from imagetest.execute import aws
from imagetest.execute.operator import operator
from imagetest.model.image import Image
from imagetest.model.outlet import AmiOutlet, Evidence, Outlet
from imagetest.model.promotion import Placement
from imagetest.promoters.ami import AmiPromoter
from imagetest.promoters.ami.place import Place
from imagetest.promoters.ami.pointing import tag_of
from imagetest.promoters.ami.shareable import must_be_shareable
from imagetest.testing.aws import AwsWithBodies
from tests.dockyard import Dockyard

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
        return aws.client(service, region)

    def ami(self) -> Image:
        ec2 = self.plain("ec2", HOME)
        (found,) = ec2.describe_images(Filters=[{"Name": "name", "Values": ["debian"]}])["Images"]
        made = ec2.copy_image(SourceImageId=found["ImageId"], SourceRegion=HOME, Name=f"web-{next(NUMBERS)}")["ImageId"]
        return Image(name="web", kind="ec2", reference=f"{HOME}:{made}", digest="sha256:" + made[4:].ljust(64, "0"))

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


@pytest.fixture(scope="module")
def account(dockyard: Dockyard) -> Iterator[AwsWithBodies]:
    with AwsWithBodies(images={"debian": dockyard.plain}, region=HOME) as made:
        yield made


@pytest.fixture
def cloud(account: AwsWithBodies, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    for name, value in account.environ().items():
        monkeypatch.setenv(name, value)
    yield Cloud(account.endpoint)
    for region in (HOME, THERE):
        aws.client("ssm", region).delete_parameters(Names=[NAME])


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


def channels_of(tags: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in tags.items() if key.startswith("imagetest:channel:")}


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
        assert (tags["imagetest:assessment"], channels_of(tags)) == ("run-web", {tag_of(OUTLET): "web"})
        assert {"Key": "imagetest:ami", "Value": ami} in snapshot["Tags"]
        assert (cloud.parameter(region)["Value"], cloud.parameter(region)["DataType"]) == (ami, "aws:ec2:image")
        listed = cloud.plain("ssm", region).list_tags_for_resource(ResourceType="Parameter", ResourceId=NAME)
        assert [one["Key"] for one in listed["TagList"]] == ["imagetest:owner"]


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
        assert channels_of(cloud.tags(place.where)) == {}
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


@pytest.mark.parametrize(
    "theirs", [replace(OUTLET, registry="another"), replace(OUTLET, image="other"), replace(OUTLET, channel="beta")]
)
def test_what_another_channel_stands_at_stays_and_is_not_deprecated(
    promoter: AmiPromoter, cloud: Cloud, theirs: Outlet
) -> None:
    """Of another registry, of another image, or of another name: each says so by a tag of its own."""
    ours, theirs = (replace(one, ami=AmiOutlet(deprecate=1)) for one in (OUTLET, theirs))
    (place,) = old = put(promoter, cloud.ami(), ours)
    promoter.publish(Image(name="web", kind="ec2", reference=place.where[4:], digest=place.digest), theirs, old)
    promoter.retire(ours, old, old)
    promoter.withdraw(ours, old)
    stayed, told = cloud.said(place.where), channels_of(cloud.tags(place.where))
    promoter.withdraw(theirs, old)
    promoter.retire(ours, old, old)

    assert stayed
    assert "DeprecationTime" not in stayed
    assert told == {tag_of(theirs): theirs.image}
    assert not cloud.said(place.where)


def test_a_parameter_that_another_makes_meanwhile_is_set_all_the_same(promoter: AmiPromoter, cloud: Cloud) -> None:
    image, ssm = cloud.ami(), cloud.plain("ssm", HOME)
    cloud.broken["PutParameter"] = lambda: ssm.put_parameter(Name=NAME, Value="ami-0abc1234", Type="String")
    (place, _) = put(promoter, image)

    assert cloud.parameter(HOME)["Value"] == ami_of(place)


def test_a_revoke_leaves_a_parameter_that_names_anothers_ami(promoter: AmiPromoter, cloud: Cloud) -> None:
    ours = put(promoter, cloud.ami())
    put(promoter, cloud.ami(), replace(OUTLET, registry="another"))
    before = cloud.parameter(HOME)["Value"]
    promoter.withdraw(OUTLET, ours)

    assert cloud.parameter(HOME)["Value"] == before != ami_of(ours[0])


def test_a_revoke_takes_away_what_a_promotion_that_failed_halfway_left(promoter: AmiPromoter, cloud: Cloud) -> None:
    before = put(promoter, cloud.ami())
    after = put(promoter, cloud.ami(), replace(OUTLET, ami=replace(AMI, regions=(HOME,))))
    promoter.withdraw(OUTLET, (*after, *before))

    assert [cloud.parameter(region) for region in (HOME, THERE)] == [{}, {}]
    assert [channels_of(cloud.tags(one.where)) for one in (*after, *before)] == [{}, {}, {}]


def test_a_channel_without_amis_says_so() -> None:
    with pytest.raises(ConfigError, match="channel 'stable' takes no AMIs, which 'web' is") as caught:
        AmiPromoter().check(replace(OUTLET, ami=None))
    assert "[channels.stable.ami]" in caught.value.hint


def test_an_ami_that_is_gone_is_not_promoted(promoter: AmiPromoter, cloud: Cloud) -> None:
    gone = replace(cloud.ami(), reference=f"{HOME}:ami-00000000000000000")

    with pytest.raises(EngineError, match=r"ami-0+ is not available|cannot promote"):
        promoter.place(gone, OUTLET, EVIDENCE)


# -- what nobody recorded

LATER = datetime.now(UTC) + timedelta(days=30)


def test_a_copy_expires_until_its_promotion_is_recorded(promoter: AmiPromoter, cloud: Cloud) -> None:
    placements = promoter.place(cloud.ami(), OUTLET, EVIDENCE)
    home, there = before = [cloud.tags(one.where) for one in placements]
    disk = cloud.said(placements[1].where)["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    promoter.publish(
        Image(name="web", kind="ec2", reference=placements[0].where[4:], digest=placements[0].digest),
        OUTLET,
        placements,
    )
    snapshot = cloud.plain("ec2", THERE).describe_snapshots(SnapshotIds=[disk])["Snapshots"][0]

    assert {one["imagetest:owner"] for one in before} == {operator()}
    assert "imagetest:expires" not in home
    assert datetime.now(UTC) + timedelta(days=1) < datetime.fromisoformat(there["imagetest:expires"]) < LATER
    assert all("imagetest:expires" not in cloud.tags(one.where) for one in placements)
    assert "imagetest:expires" not in {one["Key"] for one in snapshot["Tags"]}
    assert all(one.where != placements[1].where for one in promoter.leftovers(THERE, LATER))


def test_what_was_not_recorded_in_time_is_found_and_goes_with_its_snapshots(
    promoter: AmiPromoter, cloud: Cloud
) -> None:
    image = cloud.ami()
    (home, there) = promoter.place(image, OUTLET, EVIDENCE)
    disk = cloud.said(there.where)["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    young = [one.where for one in promoter.leftovers(THERE, datetime.now(UTC))]
    (old,) = [one for one in promoter.leftovers(THERE, LATER) if one.where == there.where]
    removed = promoter.abandon(old, LATER)
    filters = [{"Name": "snapshot-id", "Values": [disk]}]

    assert there.where not in young
    assert (old.digest, old.assessment_id, old.owner) == (image.digest, "run-web", operator())
    assert removed
    assert (cloud.said(there.where), bool(cloud.said(home.where))) == ({}, True)
    assert cloud.plain("ec2", THERE).describe_snapshots(Filters=filters)["Snapshots"] == []
    assert promoter.abandon(old, LATER)  # what somebody else removed meanwhile is gone, too


def test_a_snapshot_whose_copy_is_gone_is_found_too(promoter: AmiPromoter, cloud: Cloud) -> None:
    _, there = promoter.place(cloud.ami(), OUTLET, EVIDENCE)
    disk = cloud.said(there.where)["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    ec2, where = cloud.plain("ec2", THERE), f"ec2:{THERE}:{disk}"
    with_it = [one.where for one in promoter.leftovers(THERE, LATER)]
    ec2.deregister_image(ImageId=ami_of(there))
    (alone,) = [one for one in promoter.leftovers(THERE, LATER) if one.where == where]

    assert where not in with_it
    assert promoter.abandon(alone, LATER)
    assert ec2.describe_snapshots(Filters=[{"Name": "snapshot-id", "Values": [disk]}])["Snapshots"] == []


def test_what_is_in_use_or_promoted_again_meanwhile_stays(promoter: AmiPromoter, cloud: Cloud) -> None:
    image = cloud.ami()
    _, there = promoter.place(image, OUTLET, EVIDENCE)
    ec2 = cloud.plain("ec2", THERE)
    ec2.create_tags(
        Resources=[ami_of(there)], Tags=[{"Key": "imagetest:expires", "Value": "2026-01-01T00:00:00+00:00"}]
    )
    (old,) = [one for one in promoter.leftovers(THERE, datetime.now(UTC)) if one.where == there.where]
    ec2.create_launch_template(LaunchTemplateName="web-used", LaunchTemplateData={"ImageId": ami_of(there)})
    used = promoter.abandon(old, datetime.now(UTC))
    ec2.delete_launch_template(LaunchTemplateName="web-used")
    promoter.place(image, OUTLET, EVIDENCE)
    prolonged = promoter.abandon(old, datetime.now(UTC))

    assert (used, prolonged) == (False, False)
    assert cloud.said(there.where)


def test_a_tag_that_is_no_time_is_said_and_keeps_nothing_else(promoter: AmiPromoter, cloud: Cloud) -> None:
    wrong, other = (promoter.place(cloud.ami(), OUTLET, EVIDENCE)[1] for _ in range(2))
    tag = {"Key": "imagetest:expires", "Value": "soon"}
    cloud.plain("ec2", THERE).create_tags(Resources=[ami_of(wrong)], Tags=[tag])
    found = {one.where: one for one in promoter.leftovers(THERE, LATER)}
    with pytest.raises(EngineError, match="expires at 'soon', which is no time"):
        promoter.abandon(found[wrong.where], LATER)
    removed = promoter.abandon(found[other.where], LATER)
    cloud.plain("ec2", THERE).delete_tags(Resources=[ami_of(wrong)], Tags=[tag])

    assert removed
    assert cloud.said(wrong.where)


def test_a_copy_that_a_record_names_expires_no_more(promoter: AmiPromoter, cloud: Cloud) -> None:
    _, there = promoter.place(cloud.ami(), OUTLET, EVIDENCE)
    promoter.settle(there.where)

    assert "imagetest:expires" not in cloud.tags(there.where)
    assert all(one.where != there.where for one in promoter.leftovers(THERE, LATER))


def test_with_another_key_another_copy_is_made_and_both_can_be_found(promoter: AmiPromoter, cloud: Cloud) -> None:
    kms, image = cloud.plain("kms", THERE), cloud.ami()
    keys = [kms.create_key()["KeyMetadata"] for _ in range(2)]
    plain, *encrypted = (
        promoter.place(image, replace(OUTLET, ami=replace(AMI, kms_key=key)), EVIDENCE)[1]
        for key in ("", keys[0]["KeyId"], keys[1]["Arn"])
    )
    again = promoter.place(image, replace(OUTLET, ami=replace(AMI, kms_key=keys[0]["Arn"])), EVIDENCE)[1]

    assert len({plain.where, *(one.where for one in encrypted)}) == 3
    assert again == encrypted[0]
    assert [cloud.tags(one.where)["imagetest:key"] for one in encrypted] == [one["Arn"] for one in keys]


def test_where_one_place_cannot_be_retired_the_others_are(promoter: AmiPromoter, cloud: Cloud) -> None:
    (place,) = old = put(promoter, cloud.ami(), replace(OUTLET, ami=AmiOutlet()))
    unreadable = Placement(where="ec2:nowhere", digest=place.digest)
    with pytest.raises(EngineError, match="'ec2:nowhere' names no AMI"):
        promoter.retire(OUTLET, (unreadable, *old), (unreadable, *old))

    assert not cloud.said(place.where)


# -- what the emulator lacks, by AWS's own words

SOURCE = "ami-0aaaaaaaaaaaaaaaa"
COPY = "ami-0bbbbbbbbbbbbbbbb"
DISKS = [{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": "snap-0a", "VolumeSize": 8, "Encrypted": True}}]
HELD = {"ImageId": SOURCE, "State": "available", "Name": "web", "Architecture": "x86_64", "BlockDeviceMappings": DISKS}
KEY = f"arn:aws:kms:{THERE}:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
TAGS = [{"Key": "imagetest:source", "Value": f"{HOME}:{SOURCE}"}, {"Key": "imagetest:key", "Value": KEY}]
COPIED = {**HELD, "ImageId": COPY, "SourceImageId": SOURCE, "SourceImageRegion": HOME, "Tags": TAGS}
IMAGE = Image(name="web", kind="ec2", reference=f"{HOME}:{SOURCE}", digest="sha256:" + "a" * 64)


class Scripted:
    """Clients that answer as AWS documents it, in order, and are asked for nothing else."""

    def __init__(self) -> None:
        self.stubs: dict[str, Stubber] = {}
        self.made: dict[str, Any] = {}
        for service, region in (("ec2", HOME), ("ec2", THERE), ("kms", THERE)):
            client = boto3.client(service, region_name=region, aws_access_key_id="x", aws_secret_access_key="x")  # type: ignore[call-overload]  # noqa: S106
            client.close = lambda: None
            name = region if service == "ec2" else service
            self.made[name], self.stubs[name] = client, Stubber(client)
            self.stubs[name].activate()

    def client(self, service: str, region: str) -> Any:
        assert service == "ec2" or region == THERE
        return self.made[region if service == "ec2" else service]

    def say(self, region: str, operation: str, answer: dict[str, Any], asked: dict[str, Any] | None = None) -> None:
        self.stubs[region].add_response(operation, answer, asked)

    def refuse(self, region: str, operation: str, code: str, message: str = "no") -> None:
        self.stubs[region].add_client_error(operation, code, message)

    def home(self) -> None:
        self.say(HOME, "describe_images", {"Images": [HELD]})
        self.say(HOME, "create_tags", {})
        self.say(HOME, "create_tags", {})
        found = {"KeyMetadata": {"KeyId": KEY.rpartition("/")[2], "Arn": KEY}}
        self.say("kms", "describe_key", found, {"KeyId": "alias/images"})

    def proved(self, key: str = KEY) -> None:
        """Say of the copy's snapshot by which key it is encrypted."""
        asked = {"SnapshotIds": ["snap-0a"]}
        told = {"SnapshotId": "snap-0a", "Encrypted": bool(key), **({"KmsKeyId": key} if key else {})}
        self.say(THERE, "describe_snapshots", {"Snapshots": [told]}, asked)

    def done(self) -> None:
        for stub in self.stubs.values():
            stub.assert_no_pending_responses()

    def place(self, *, wait: float = 5.0, kms_key: str = "alias/images") -> tuple[Placement, ...]:
        outlet = replace(OUTLET, ami=AmiOutlet(regions=(THERE,), kms_key=kms_key, wait=wait))
        return AmiPromoter(client=self.client, poll=0.01, consistent=0.2).place(IMAGE, outlet, EVIDENCE)

    def order(self) -> dict[str, Any]:
        return {
            "SourceImageId": SOURCE, "SourceRegion": HOME, "Name": ANY, "Description": ANY, "ClientToken": ANY,
            "Encrypted": True, "KmsKeyId": KEY, "TagSpecifications": ANY,
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
    scripted.proved()
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
    scripted.say(THERE, "delete_snapshot", {}, {"SnapshotId": "snap-0a"})
    scripted.say(THERE, "copy_image", {"ImageId": COPY})
    for _ in range(2):
        scripted.say(THERE, "describe_images", {"Images": [COPIED]})
    scripted.proved()
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


@pytest.mark.parametrize("untold", ["SourceImageId", "SourceImageRegion"])
def test_a_copy_of_which_nobody_tells_where_it_is_from_is_refused(untold: str, scripted: Scripted) -> None:
    for _ in range(2):
        said = {key: value for key, value in COPIED.items() if key != untold}
        scripted.say(THERE, "describe_images", {"Images": [said]})

    with pytest.raises(GateClosedError, match="is not known to be of what was tested"):
        scripted.place()
    scripted.done()


@pytest.mark.parametrize("tags", [TAGS[:1], [TAGS[0], {"Key": "imagetest:key", "Value": KEY + "0"}]])
def test_a_copy_with_another_key_is_not_the_wanted_one(tags: list[dict[str, str]], scripted: Scripted) -> None:
    scripted.say(THERE, "describe_images", {"Images": [{**COPIED, "ImageId": "ami-0c", "Tags": tags}]})
    scripted.say(THERE, "copy_image", {"ImageId": COPY}, scripted.order())
    for _ in range(2):
        scripted.say(THERE, "describe_images", {"Images": [COPIED]})
    scripted.proved()
    for _ in range(2):
        scripted.say(THERE, "create_tags", {})

    assert scripted.place()[1].where == f"ec2:{THERE}:{COPY}"
    scripted.done()


def test_a_copy_that_is_encrypted_with_another_key_than_its_tag_says_is_refused(scripted: Scripted) -> None:
    for _ in range(2):
        scripted.say(THERE, "describe_images", {"Images": [COPIED]})
    scripted.proved(KEY + "0")

    with pytest.raises(EngineError, match=f"is encrypted with the key {KEY}0, expected {KEY}$"):
        scripted.place()
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
    for _ in range(2):
        scripted.say(THERE, "describe_images", {"Images": [COPIED]})
    scripted.proved("")

    with pytest.raises(EngineError, match="is not encrypted"):
        scripted.place()
    scripted.done()


def test_a_copy_of_which_no_snapshot_is_told_is_not_taken_for_encrypted(scripted: Scripted) -> None:
    bare = [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 8}}]
    for _ in range(2):
        scripted.say(THERE, "describe_images", {"Images": [{**COPIED, "BlockDeviceMappings": bare}]})

    with pytest.raises(EngineError, match="is not encrypted"):
        scripted.place()
    scripted.done()


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
        if said is HELD:
            scripted.say(HOME, "enable_image_deprecation", {"Return": True})
        scripted.say(HOME, "delete_tags", {})
    place = Placement(where=f"ec2:{HOME}:{SOURCE}", digest=IMAGE.digest)
    for _ in range(2):
        promoter = AmiPromoter(client=scripted.client)
        promoter.retire(replace(OUTLET, ami=AmiOutlet(deprecate=30)), (place,), ())

    assert [(at - before).days for at in asked] in ([29], [30])
    scripted.done()


@pytest.mark.parametrize("manager", ["AWS", "CUSTOMER", ""])
def test_what_is_encrypted_with_aws_s_own_key_is_not_shared(manager: str) -> None:
    """Moto calls every key the customer's."""
    scripted, place = Scripted(), Place(THERE, COPY)
    scripted.say(THERE, "describe_images", {"Images": [COPIED]})
    scripted.proved()
    if manager:
        scripted.say("kms", "describe_key", {"KeyMetadata": {"KeyId": KEY, "Arn": KEY, "KeyManager": manager}})
    else:
        scripted.refuse("kms", "describe_key", "AccessDeniedException")
    refused = pytest.raises(ConfigError, match=f"{place} cannot be shared: it is encrypted with {KEY}")
    with refused if manager == "AWS" else nullcontext():
        must_be_shareable(scripted.client, place, AMI)
    must_be_shareable(scripted.client, place, replace(AMI, accounts=(), organisations=()))

    scripted.done()


def test_what_is_promoted_again_is_deprecated_no_more() -> None:
    scripted = Scripted()
    scripted.say(HOME, "describe_images", {"Images": [HELD]})
    scripted.say(HOME, "delete_tags", {})
    scripted.say(HOME, "describe_images", {"Images": [{**HELD, "DeprecationTime": "2027-01-01T00:00:00.000Z"}]})
    scripted.say(HOME, "disable_image_deprecation", {"Return": True}, {"ImageId": SOURCE})
    scripted.say(HOME, "create_tags", {})
    place = Placement(where=f"ec2:{HOME}:{SOURCE}", digest=IMAGE.digest)
    AmiPromoter(client=scripted.client).publish(IMAGE, replace(OUTLET, ami=AmiOutlet()), (place,))

    scripted.done()
