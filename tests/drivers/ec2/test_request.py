"""What is asked of AWS: whatever the configuration and the AMI, no instance without its safeguards."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagetest.drivers.ec2 import launch, request
from imagetest.drivers.ec2.amis import Ami
from imagetest.errors import ConfigError
from imagetest.execute import tags
from imagetest.model.plan import BootPlan, Cloud

UNTIL = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)

words = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=20)
ids = words.map(lambda word: f"x-{word}")

clouds = st.builds(
    Cloud, instance_type=st.sampled_from(["", "t3.micro", "m7g.large"]), subnets=st.lists(ids, max_size=3).map(tuple),
    security_groups=st.lists(ids, max_size=3).map(tuple),
    instance_profile=st.sampled_from(["", "web", "arn:aws:iam::1:x"]),
    spot=st.booleans(), reach=st.sampled_from(["direct", "session-manager"]),
    address=st.sampled_from(["public", "private"]), lifetime=st.floats(1, 1440),
    volume_size=st.none() | st.integers(1, 1000), kms_key=st.sampled_from(["", "alias/own"]),
    tags=st.dictionaries(words, words, max_size=5).map(lambda found: tuple(found.items())),
)  # fmt: skip


@st.composite
def amis(draw: st.DrawFn) -> Ami:
    devices = draw(st.lists(st.sampled_from(["/dev/xvda", "/dev/sdb", "/dev/sdc"]), min_size=1, unique=True))
    volumes: list[dict[str, Any]] = [
        {
            "DeviceName": device,
            "Ebs": {
                "SnapshotId": f"snap-{number}", "VolumeSize": draw(st.integers(1, 100)),
                "Encrypted": draw(st.booleans()), "DeleteOnTermination": draw(st.booleans()),
            },
        }
        for number, device in enumerate(devices)
    ]  # fmt: skip
    volumes += draw(st.sampled_from([[], [{"DeviceName": "/dev/sdh", "VirtualName": "ephemeral0"}]]))
    said = {
        "Architecture": draw(st.sampled_from(["x86_64", "arm64"])), "RootDeviceName": devices[0],
        "BlockDeviceMappings": volumes,
    }  # fmt: skip
    return Ami(region="eu-west-1", id="ami-0123456789abcdef0", said=said)


def wanted(ami: Ami, cloud: Cloud, resource: str = "imagetest-1-web") -> request.Wanted:
    tagged = tags.own(resource, image="web", expires=UNTIL, further=cloud.tags)
    return request.Wanted(
        ami=ami, cloud=cloud, resource=resource, key_pair=resource, group="sg-own", user_data="#cloud-config\n{}",
        tags=tagged,
    )  # fmt: skip


@given(amis(), clouds, st.sampled_from(["", "subnet-1"]))
def test_no_instance_is_asked_for_without_its_safeguards(ami: Ami, cloud: Cloud, subnet: str) -> None:
    asked = request.build(wanted(ami, cloud), subnet=subnet)
    tagged = {
        one["ResourceType"]: {tag["Key"]: tag["Value"] for tag in one["Tags"]} for one in asked["TagSpecifications"]
    }
    volumes = {one["DeviceName"]: one["Ebs"] for one in asked["BlockDeviceMappings"]}

    assert (asked["MinCount"], asked["MaxCount"]) == (1, 1)
    assert asked["InstanceInitiatedShutdownBehavior"] == "terminate"
    assert asked["MetadataOptions"]["HttpTokens"] == "required"
    assert asked["MetadataOptions"]["HttpPutResponseHopLimit"] == 1
    assert set(volumes) == {one["DeviceName"] for one in ami.volumes}
    assert all(one["Encrypted"] and one["DeleteOnTermination"] for one in volumes.values())
    assert set(tagged) == {"instance", "volume", "network-interface"} | (
        {"spot-instances-request"} if cloud.spot else set()
    )
    for found in tagged.values():
        assert found[tags.RESOURCE] == "imagetest-1-web"
        assert datetime.fromisoformat(found[tags.EXPIRES]) == UNTIL
        assert "@" in found[tags.OWNER]
        assert found[tags.RUN] == "1"
        assert dict(cloud.tags).items() <= found.items()
    groups = asked["NetworkInterfaces"][0]["Groups"] if subnet else asked["SecurityGroupIds"]
    assert groups == ["sg-own", *cloud.security_groups]
    assert ("SecurityGroupIds" in asked) != ("NetworkInterfaces" in asked)


@given(amis(), clouds)
def test_the_same_request_has_the_same_token_and_another_one_another(ami: Ami, cloud: Cloud) -> None:
    tokens = [
        request.build(wanted(ami, cloud), subnet="subnet-1"), request.build(wanted(ami, cloud), subnet="subnet-2"),
        request.build(wanted(ami, cloud, "imagetest-2-web"), subnet="subnet-1"),
        request.build(wanted(ami, replace(cloud, spot=not cloud.spot)), subnet="subnet-1"),
    ]  # fmt: skip

    assert len({one["ClientToken"] for one in tokens}) == len(tokens)
    assert tokens[0] == request.build(wanted(ami, cloud), subnet="subnet-1")
    assert all(len(one["ClientToken"]) <= 64 for one in tokens)


@given(st.text(max_size=400))
def test_a_tag_holds_what_ec2_allows(value: str) -> None:
    found = tags.allowed(value)

    assert len(found) <= 256
    assert all(one.isalnum() or one in "_ +-=.:/@" or one.isspace() for one in found)


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        pytest.param(BootPlan(ssh="gateway"), "boot.ssh is for containers", id="gateway"),
        pytest.param(BootPlan(command=("/bin/web",)), "boot.command is for containers", id="command"),
        pytest.param(BootPlan(environment=(("A", "b"),)), "boot.environment is for containers", id="environment"),
        pytest.param(BootPlan(ec2=Cloud(inbound=("0.0.0.0/0",))), "would let everybody in", id="everybody"),
        pytest.param(BootPlan(ec2=Cloud(inbound=("10.0.0.1/8",))), "is no network", id="no-network"),
        pytest.param(BootPlan(ec2=Cloud(tags=(("aws:x", "y"),))), "not yours to set", id="aws-tag"),
        pytest.param(BootPlan(ec2=Cloud(tags=((tags.EXPIRES, "never"),))), "not yours to set", id="own-tag"),
        pytest.param(
            BootPlan(ec2=Cloud(tags=tuple((f"t{number}", "x") for number in range(46)))), "46 tags are too many",
            id="tags",
        ),
        pytest.param(
            BootPlan(network="none", ec2=Cloud(reach="session-manager")), "cannot be reached through Session Manager",
            id="cut-off",
        ),
        pytest.param(
            BootPlan(network="none", ec2=Cloud(security_groups=("sg-1",))), "what they let out would get out",
            id="groups",
        ),
    ],
)  # fmt: skip
def test_what_ec2_does_not_understand_is_refused_before_anything_is_made(plan: BootPlan, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        launch.understood(plan)
