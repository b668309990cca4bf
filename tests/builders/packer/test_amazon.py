"""Sources that make AMIs: what they start from, what they made, and what they leave when nobody ends them."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from imagetest.builders.packer import amazon
from imagetest.builders.packer.builder import PackerBuilder
from imagetest.model.plan import BakeOrder
from imagetest.ports import Event
from imagetest.testing.aws import AwsWithBodies
from tests.builders.packer.project import Project
from tests.dockyard import Dockyard

NAME = "debian-12-amd64-20261101"

FILTER: dict[str, Any] = {"filters": {"name": "debian-12-amd64-*"}, "owners": ["136693071363"], "most_recent": True}


def source(**settings: object) -> str:
    """Return a legacy template with one source, as they are written."""
    plain = {
        "type": "amazon-ebs", "region": "us-east-1", "source_ami": "ami-0123456789abcdef0", "ssh_username": "root",
        "instance_type": "t3.micro", "ami_name": "web {{timestamp}}", "tags": {"Made": "{{isotime}}"},
    }  # fmt: skip
    steps = [{"type": "shell", "inline": ["echo baked >/etc/baked", "sleep ${SLEEP:-0}"]}]
    return json.dumps({"builders": [{**plain, **settings}], "provisioners": steps})


@pytest.fixture
def project(project: Project) -> Project:
    project.template = "web.json"
    return project


def test_an_ami_is_its_own_digest_and_its_name_is_no_input(project: Project) -> None:
    project.file("web.json", source())
    found = project.one()

    assert found.base == "us-east-1:ami-0123456789abcdef0"
    assert found.unknown == ()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"source_ami": ""}, "names no source AMI"),
        ({"source_ami": "", "region": "", "source_ami_filter": FILTER}, "a region that the template does not name"),
        ({"source_ami": "", "access_key": "AKIA", "source_ami_filter": FILTER}, "by other means"),
        ({"user_data": "{{timestamp}}"}, "user_data"),
    ],
)
def test_what_cannot_be_known_of_an_ami_is_named(
    project: Project, monkeypatch: pytest.MonkeyPatch, settings: dict[str, object], said: str
) -> None:
    for name in amazon.REGIONS:
        monkeypatch.delenv(name, raising=False)
    project.file("web.json", source(**settings))

    assert any(said in one for one in project.one().unknown), project.one().unknown


def test_the_template_in_hcl_says_the_same(project: Project) -> None:
    project.template = "web.pkr.hcl"
    project.file(
        "web.pkr.hcl",
        'source "amazon-ebs" "web" {\n region = "eu-west-1"\n source_ami = "ami-1"\n ami_name = "a-${timestamp()}"\n}\n'
        'build {\n sources = ["source.amazon-ebs.web"]\n}\n',
    )

    assert (project.one().base, project.one().unknown) == ("eu-west-1:ami-1", ())


@pytest.mark.parametrize(
    ("made", "own", "copies"),
    [
        ("us-east-1:ami-1", "us-east-1:ami-1", ()),
        ("eu-west-1:ami-2,us-east-1:ami-1", "us-east-1:ami-1", ("eu-west-1:ami-2",)),
        ("eu-west-1:ami-2", "eu-west-1:ami-2", ()),
        ("eu-west-1:ami-2,eu-west-2:ami-3", "", ("eu-west-1:ami-2", "eu-west-2:ami-3")),
    ],
)
def test_the_ami_of_the_templates_own_region_is_tested(made: str, own: str, copies: tuple[str, ...]) -> None:
    assert amazon.chosen(made, "us-east-1") == (own, copies)


# -- with this machine's Packer


@pytest.fixture
def aws(dockyard: Dockyard, monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsWithBodies]:
    with AwsWithBodies(images={NAME: dockyard.machine}) as running:
        for name, value in running.environ().items():
            monkeypatch.setenv(name, value)
        yield running


@pytest.fixture
def order(tmp_path: Path) -> BakeOrder:
    (tmp_path / "web.json").write_text(source(source_ami="", source_ami_filter=FILTER))
    return BakeOrder(name="web", template=tmp_path / "web.json", project=tmp_path)


@pytest.mark.packer
@pytest.mark.docker
def test_an_ami_is_baked_from_the_newest_that_the_filter_finds(
    aws: AwsWithBodies, order: BakeOrder, tmp_path: Path
) -> None:
    builder, told, claimed = PackerBuilder(), list[Event](), list[tuple[str, str]]()
    found = builder.ingredients(order)[0]
    made = builder.build(
        order, ["amazon-ebs"], log=tmp_path / "log", secrets=(), progress=told.append,
        claim=lambda kind, name: claimed.append((kind, name)),
    )  # fmt: skip
    ec2 = aws.client("ec2")
    mine = ec2.describe_images(Owners=["self"])["Images"]

    assert (found.base, found.unknown) == (f"us-east-1:{aws.ami(NAME)}", ())
    assert [(one.kind, one.reference) for one in made] == [("ec2", f"us-east-1:{mine[0]['ImageId']}")]
    assert [name for kind, name in claimed if kind == "ec2" and re.fullmatch(r"imagetest-packer-\w+@us-east-1", name)]
    assert [one.text for one in told if "not marked" in one.text] == []
    assert ec2.describe_key_pairs()["KeyPairs"] == []
    assert [one["GroupName"] for one in ec2.describe_security_groups()["SecurityGroups"]] == ["default"]


MADE = {"instance", "key-pair", "network-interface", "security-group", "volume"}

BAKE = """
import sys
from pathlib import Path
from imagetest.builders.packer.builder import PackerBuilder
from imagetest.model.plan import BakeOrder
here = Path(sys.argv[1])
order = BakeOrder(name="web", template=here / "web.json", project=here)
PackerBuilder().build(order, ["amazon-ebs"], log=here / "log", secrets=(), progress=lambda event: None,
                      claim=lambda kind, name: print(kind, name, flush=True))
"""


@pytest.mark.packer
@pytest.mark.docker
def test_what_a_bake_leaves_whose_every_process_was_killed_is_removed_by_its_lease(
    aws: AwsWithBodies, order: BakeOrder, tmp_path: Path
) -> None:
    from imagetest.drivers.ec2 import Ec2Driver

    text = order.template.read_text().replace("sleep ${SLEEP:-0}", "sleep 300")
    order.template.write_text(text)
    child = subprocess.Popen([sys.executable, "-c", BAKE, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    try:
        lines = [child.stdout.readline().split() for _ in range(2)]
        ec2 = aws.client("ec2")
        eventually(lambda: marked(ec2, lines[1][1]) == MADE)
    finally:
        for pid in [*descendants(child.pid), child.pid]:
            subprocess.run(["kill", f"-{signal.SIGKILL:d}", str(pid)], check=False, capture_output=True)
        child.communicate()
        for kind, name in [line for line in lines if line[0] == "folder"]:
            assert kind
            shutil.rmtree(name, ignore_errors=True)
    driver = Ec2Driver()
    driver.destroy(lines[1][1])
    driver.close()

    assert lines[1][0] == "ec2"
    assert [one["GroupName"] for one in ec2.describe_security_groups()["SecurityGroups"]] == ["default"]
    assert {
        one["State"]["Name"] for group in ec2.describe_instances()["Reservations"] for one in group["Instances"]
    } == {"terminated"}
    assert ec2.describe_key_pairs()["KeyPairs"] == []


def marked(ec2: Any, resource: str) -> set[str]:
    found = ec2.describe_tags(Filters=[{"Name": "key", "Values": ["imagetest:resource"]}])["Tags"]
    return {str(one["ResourceType"]) for one in found if one["Value"] == resource}


def descendants(pid: int) -> list[int]:
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], check=True, capture_output=True, text=True).stdout.split()
    parents = dict(zip(map(int, listed[::2]), map(int, listed[1::2]), strict=True))
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found[1:]


def eventually(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.2)
