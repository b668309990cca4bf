"""The request that starts an instance (RunInstances), made of values alone: what it always holds can be proved."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from imagetest.drivers.ec2.amis import Ami
from imagetest.execute import tags
from imagetest.model.plan import Cloud

SMALL = {"x86_64": "t3.small", "arm64": "t4g.small"}

TAGGED = ("instance", "volume", "network-interface")
"""What comes into being by this request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One instance, as it is asked for."""

    ami: Ami
    cloud: Cloud
    resource: str
    key_pair: str
    group: str
    """The security group that was made for it."""
    user_data: str
    tags: tags.Tags


def build(wanted: Wanted, *, subnet: str = "") -> dict[str, Any]:
    """Return the arguments of RunInstances.

    The ClientToken is a digest of all the others: a request that is sent again makes no second instance, and one for
    another subnet is another request ("Ensuring idempotency in Amazon EC2 API requests").
    """
    cloud, groups = wanted.cloud, [wanted.group, *wanted.cloud.security_groups]
    kinds = (*TAGGED, "spot-instances-request") if cloud.spot else TAGGED
    request: dict[str, Any] = {
        "ImageId": wanted.ami.id,
        "InstanceType": cloud.instance_type or SMALL[wanted.ami.architecture],
        "MinCount": 1,
        "MaxCount": 1,
        "KeyName": wanted.key_pair,
        "UserData": wanted.user_data,
        "InstanceInitiatedShutdownBehavior": "terminate",
        "MetadataOptions": {"HttpTokens": "required", "HttpEndpoint": "enabled", "HttpPutResponseHopLimit": 1},
        "BlockDeviceMappings": _volumes(wanted.ami, cloud),
        "TagSpecifications": tags.specification(wanted.tags, *kinds),
    }
    request |= _network(cloud, groups, subnet)
    if cloud.instance_profile:
        name = "Arn" if cloud.instance_profile.startswith("arn:") else "Name"
        request["IamInstanceProfile"] = {name: cloud.instance_profile}
    if cloud.spot:
        once = {"SpotInstanceType": "one-time", "InstanceInterruptionBehavior": "terminate"}
        request["InstanceMarketOptions"] = {"MarketType": "spot", "SpotOptions": once}
    whole = json.dumps([wanted.resource, request], sort_keys=True).encode()
    return request | {"ClientToken": hashlib.sha256(whole).hexdigest()}


def _network(cloud: Cloud, groups: list[str], subnet: str) -> dict[str, Any]:
    """Say where it is connected; without a subnet AWS chooses one of the default VPC's, which give public addresses."""
    if not subnet:
        return {"SecurityGroupIds": groups}
    card = {
        "DeviceIndex": 0, "SubnetId": subnet, "Groups": groups, "DeleteOnTermination": True,
        "AssociatePublicIpAddress": cloud.address == "public",
    }  # fmt: skip
    return {"NetworkInterfaces": [card]}


def _volumes(ami: Ami, cloud: Cloud) -> list[dict[str, Any]]:
    """Have every volume of the AMI encrypted, and gone with the instance."""
    found = []
    for one in ami.volumes:
        volume: dict[str, Any] = {"Encrypted": True, "DeleteOnTermination": True}
        if cloud.kms_key:
            volume["KmsKeyId"] = cloud.kms_key
        size = cloud.volume_size if one["DeviceName"] == ami.root_device else None
        if size or one["Ebs"].get("VolumeSize"):
            volume["VolumeSize"] = size or one["Ebs"]["VolumeSize"]
        found.append({"DeviceName": one["DeviceName"], "Ebs": volume})
    return found
