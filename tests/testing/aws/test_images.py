"""An AMI is a container image: made of a machine, copied, shared, deprecated, deregistered."""

from __future__ import annotations

from dataclasses import replace

import pytest
from botocore.exceptions import ClientError

from tests.testing.aws.account import KEY_NAME, SYSTEMD, Account, images

pytestmark = pytest.mark.docker


def made(account: Account, name: str, **settings: object) -> str:
    instance = account.launch()
    account.ssh(instance, "echo baked >/etc/baked")
    return str(account.ec2.create_image(InstanceId=instance, Name=name, **settings)["ImageId"])


def test_what_was_baked_boots(account: Account) -> None:
    ami = made(account, "baked", TagSpecifications=[{"ResourceType": "image", "Tags": [{"Key": "a", "Value": "b"}]}])
    instance = account.launch(ami=ami)
    found = account.ec2.describe_images(ImageIds=[ami])["Images"][0]

    assert account.ssh(instance, "cat /etc/baked") == (0, "baked")
    assert (found["State"], found["RootDeviceType"], found["Architecture"]) == ("available", "ebs", "x86_64")
    assert found["Tags"] == [{"Key": "a", "Value": "b"}]
    assert account.ec2.describe_snapshots(SnapshotIds=[found["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]])


def test_an_image_of_a_running_instance_reboots_it_unless_told_not_to(account: Account) -> None:
    instance = account.launch(SYSTEMD)
    account.ssh(instance, "touch /run/this-boot")
    account.ec2.create_image(InstanceId=instance, Name="while it runs", NoReboot=True)
    still = account.ssh(instance, "test -e /run/this-boot")[0]
    account.ec2.create_image(InstanceId=instance, Name="while it is down")

    assert still == 0
    assert account.ssh(instance, "test -e /run/this-boot")[0] == 1


def test_a_name_is_used_once(account: Account) -> None:
    made(account, "twice")

    with pytest.raises(ClientError, match=r"InvalidAMIName\.Duplicate"):
        made(account, "twice")


def test_what_is_deregistered_is_gone_with_what_was_behind_it(account: Account) -> None:
    before = set(images(account.aws.owner))
    ami = made(account, "short-lived")
    found = account.ec2.describe_images(ImageIds=[ami])["Images"][0]
    snapshot = found["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    with pytest.raises(ClientError, match=r"InvalidSnapshot\.InUse"):
        account.ec2.delete_snapshot(SnapshotId=snapshot)
    assert len(set(images(account.aws.owner)) - before) == 1
    account.ec2.deregister_image(ImageId=ami, DeleteAssociatedSnapshots=True)

    assert set(images(account.aws.owner)) - before == set()
    with pytest.raises(ClientError, match=r"InvalidAMIID\.(NotFound|Unavailable)"):
        account.launch(ami=ami)
    with pytest.raises(ClientError, match=r"InvalidSnapshot"):
        account.ec2.describe_snapshots(SnapshotIds=[snapshot])


def test_a_copy_boots_in_its_region_and_says_where_it_is_from(account: Account) -> None:
    ami = made(account, "copied")
    account.ec2.create_tags(Resources=[ami], Tags=[{"Key": "state", "Value": "tested"}])
    there = account.aws.client("ec2", "eu-west-1")
    copy = there.copy_image(Name="copied", SourceImageId=ami, SourceRegion="us-east-1", CopyImageTags=True)["ImageId"]
    bare = there.copy_image(Name="bare", SourceImageId=ami, SourceRegion="us-east-1", Encrypted=True)["ImageId"]
    found, untagged = (there.describe_images(ImageIds=[one])["Images"][0] for one in (copy, bare))
    there.import_key_pair(KeyName=KEY_NAME, PublicKeyMaterial=account.key.public.encode())
    elsewhere = replace(account, ec2=there, launched=[])
    instance = elsewhere.launch(ami=copy)
    said = elsewhere.ssh(instance, "cat /etc/baked")
    elsewhere.clear()

    assert copy != ami
    assert said == (0, "baked")
    assert (found["SourceImageId"], found["SourceImageRegion"]) == (ami, "us-east-1")
    assert found["Tags"] == [{"Key": "state", "Value": "tested"}]
    assert "Tags" not in untagged or untagged["Tags"] == []


def test_a_copy_is_made_once_for_each_token_though_it_is_gone(account: Account) -> None:
    ami = made(account, "asked twice")
    there = account.aws.client("ec2", "eu-west-1")
    order = {"SourceImageId": ami, "SourceRegion": "us-east-1", "Name": "asked twice"}
    first, second = (there.copy_image(**order, ClientToken="one")["ImageId"] for _ in range(2))
    another = there.copy_image(**order, ClientToken="two")["ImageId"]
    there.deregister_image(ImageId=first)
    third = there.copy_image(**order, ClientToken="one")["ImageId"]

    assert first == second == third != another


def test_deprecation_is_noted_and_taken_back(account: Account) -> None:
    ami = made(account, "old")
    account.ec2.enable_image_deprecation(ImageId=ami, DeprecateAt="2031-05-06T07:08:09Z")
    noted = account.ec2.describe_images(ImageIds=[ami])["Images"][0].get("DeprecationTime")
    account.ec2.disable_image_deprecation(ImageId=ami)

    assert noted == "2031-05-06T07:08:00.000Z"
    assert "DeprecationTime" not in account.ec2.describe_images(ImageIds=[ami])["Images"][0]


def test_launch_permissions_of_accounts_and_organisations_are_kept(account: Account) -> None:
    ami = made(account, "shared")
    organisation = "arn:aws:organizations::123456789012:organization/o-abc123"
    wanted = [{"UserId": "210987654321"}, {"OrganizationArn": organisation}]
    account.ec2.modify_image_attribute(ImageId=ami, LaunchPermission={"Add": wanted})

    found = account.ec2.describe_image_attribute(ImageId=ami, Attribute="launchPermission")
    assert found["LaunchPermissions"] == wanted


def test_a_parameter_names_the_image_to_launch(account: Account) -> None:
    ssm = account.aws.client("ssm")
    ami = account.aws.ami(SYSTEMD)
    ssm.put_parameter(Name="/golden/web", Value=ami, Type="String", DataType="aws:ec2:image")
    instance = account.launch(ami="resolve:ssm:/golden/web")

    assert account.describe(instance)["ImageId"] == ami
    assert ssm.get_parameter(Name="/golden/web")["Parameter"]["DataType"] == "aws:ec2:image"


def test_an_image_is_another_one_in_each_region_and_the_newest_is_told(account: Account) -> None:
    found = account.ec2.describe_images(Owners=["136693071363"], Filters=[{"Name": "name", "Values": ["*"]}])["Images"]
    newest = max(found, key=lambda one: str(one["CreationDate"]))

    assert newest["Name"] == "plain-20261115"
    assert account.aws.ami(SYSTEMD) != account.aws.ami(SYSTEMD, "eu-west-1")
