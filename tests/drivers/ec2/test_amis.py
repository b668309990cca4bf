"""AMIs by botocore's Stubber, which holds each request and answer against AWS's own description of them."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.stub import Stubber

from imagetest.drivers.ec2 import amis
from imagetest.errors import ConfigError, EngineError

AMI = "ami-0123456789abcdef0"
REGION = "eu-west-1"


def described(**changes: Any) -> dict[str, Any]:
    volume = {"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": "snap-1", "VolumeSize": 8, "Encrypted": False}}
    said: dict[str, Any] = {
        "ImageId": AMI, "State": "available", "Architecture": "x86_64", "RootDeviceType": "ebs",
        "RootDeviceName": "/dev/xvda", "CreationDate": "2026-11-22T10:00:00.000Z", "Name": "web-7",
        "BlockDeviceMappings": [volume], "VirtualizationType": "hvm",
    }  # fmt: skip
    return said | changes


def looked_at(stubber: Stubber, said: dict[str, Any]) -> amis.Ami:
    asked = {"ImageIds": [AMI], "IncludeDeprecated": True}
    stubber.add_response("describe_images", {"Images": [said]}, asked)
    return amis.look(stubber.client, REGION, AMI)


def test_an_ami_is_what_its_snapshots_and_its_way_to_boot_are(stubber: Stubber) -> None:
    image = looked_at(stubber, described()).image("web")

    assert (image.kind, image.reference, image.platform) == ("ec2", f"{REGION}:{AMI}", "linux/amd64")
    assert image.size == 8 << 30
    assert image.created is not None
    assert image.created.isoformat() == "2026-11-22T10:00:00+00:00"


@pytest.mark.parametrize(
    "changes",
    [
        {"Name": "another"}, {"Tags": [{"Key": "a", "Value": "b"}]}, {"Public": True}, {"Description": "d"},
        {"DeprecationTime": "2027-01-01T00:00:00.000Z"}, {"OwnerId": "123456789012"},
    ],
)  # fmt: skip
def test_what_promotion_sets_is_no_content(stubber: Stubber, changes: dict[str, Any]) -> None:
    assert looked_at(stubber, described()).digest() == looked_at(stubber, described(**changes)).digest()


@pytest.mark.parametrize(
    "changes",
    [
        {"BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": "snap-2", "VolumeSize": 8}}]},
        {"BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": "snap-1", "VolumeSize": 9}}]},
        {"Architecture": "arm64"}, {"BootMode": "uefi"}, {"ImdsSupport": "v2.0"}, {"RootDeviceName": "/dev/sda1"},
    ],
)  # fmt: skip
def test_what_decides_how_it_boots_and_what_is_on_it_is_content(stubber: Stubber, changes: dict[str, Any]) -> None:
    assert looked_at(stubber, described()).digest() != looked_at(stubber, described(**changes)).digest()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"State": "pending"}, "is still being made"),
        ({"State": "failed", "StateReason": {"Message": "no space"}}, "could not be made: no space"),
        ({"State": "deregistered"}, "is deregistered"),
        ({"State": "disabled"}, "is disabled"),
        ({"Platform": "windows"}, "is of Windows"),
        ({"Architecture": "x86_64_mac"}, "is for 'x86_64_mac'"),
        ({"RootDeviceType": "instance-store", "BlockDeviceMappings": []}, "is not on EBS"),
    ],
)
def test_an_ami_that_cannot_be_booted_is_told_apart(stubber: Stubber, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(EngineError, match=said):
        looked_at(stubber, described(**changes))


@pytest.mark.parametrize("code", amis.ABSENT)
def test_an_ami_that_is_not_there_is_one_line(stubber: Stubber, code: str) -> None:
    stubber.add_client_error("describe_images", code)

    with pytest.raises(EngineError, match=rf"there is no AMI '{AMI}' in {REGION}"):
        amis.look(stubber.client, REGION, AMI)


def test_another_error_is_not_taken_for_absence(stubber: Stubber) -> None:
    stubber.add_client_error("describe_images", "UnauthorizedOperation")

    with pytest.raises(EngineError, match="UnauthorizedOperation"):
        amis.look(stubber.client, REGION, AMI)


@pytest.mark.parametrize("reference", ["", "ami-", "eu-west-1:", "EU-west-1:ami-0abc1234", "eu-west-1:i-0abc1234"])
def test_what_names_no_ami_is_one_line(reference: str) -> None:
    with pytest.raises(EngineError, match="names no AMI"):
        amis.parse(reference)


def test_a_reference_without_a_region_takes_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-gov-west-1")

    assert amis.parse("ami-0abc1234") == ("us-gov-west-1", "ami-0abc1234")
    assert amis.parse("us-iso-east-1:ami-0abc1234") == ("us-iso-east-1", "ami-0abc1234")


def test_an_instance_type_of_another_architecture_is_a_mistake(stubber: Stubber) -> None:
    ami = looked_at(stubber, described())
    types = [{"InstanceType": "t4g.small", "ProcessorInfo": {"SupportedArchitectures": ["arm64"]}}]
    stubber.add_response("describe_instance_types", {"InstanceTypes": types}, {"InstanceTypes": ["t4g.small"]})

    with pytest.raises(ConfigError, match=r"is for x86_64, and instance type 't4g\.small' for arm64"):
        amis.fits(stubber.client, ami, "t4g.small")


def test_an_instance_type_that_is_none_is_a_mistake(stubber: Stubber) -> None:
    ami = looked_at(stubber, described())
    stubber.add_client_error("describe_instance_types", "InvalidInstanceType")

    with pytest.raises(ConfigError, match=r"no instance type 'z9\.none'"):
        amis.fits(stubber.client, ami, "z9.none")
