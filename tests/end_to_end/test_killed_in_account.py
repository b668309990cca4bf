"""A run over an AMI that is killed, alone, at any moment: nobody is asked to clean up, and nothing is left."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from imagetest.testing.aws import AwsWithBodies
from tests.builders.packer.test_amazon import there
from tests.dockyard import Dockyard

pytestmark = [pytest.mark.packer, pytest.mark.docker]

NAME = "debian-12-amd64-20261101"

TEMPLATE = {
    "builders": [
        {
            "type": "amazon-ebs", "region": "us-east-1", "ssh_username": "root", "instance_type": "t3.micro",
            "ami_name": "web {{timestamp}}",
            "source_ami_filter": {"filters": {"name": NAME}, "owners": ["136693071363"], "most_recent": True},
        }
    ],
    "provisioners": [{"type": "shell", "inline": ["echo baked >/etc/baked"]}],
}  # fmt: skip

PROJECT = '[images.web]\ntemplate = "web.json"\nsuites = ["suite"]\n[images.web.boot]\nuser = "root"\n'

SUITE = "import time\n\ndef test_it_is_baked(host):\n    assert host.file('/etc/baked').exists\n    time.sleep(60)\n"

LONG = 90.0


@pytest.fixture
def aws(dockyard: Dockyard, monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsWithBodies]:
    with AwsWithBodies(images={NAME: dockyard.machine}) as running:
        for name, value in running.environ().items():
            monkeypatch.setenv(name, value)
        yield running


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "web.json").write_text(json.dumps(TEMPLATE))
    (tmp_path / "imagetest.toml").write_text(PROJECT)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "suite").mkdir()
    (tmp_path / "suite" / "test_web.py").write_text(SUITE)
    return tmp_path


def eventually(true: Callable[[], bool], what: Callable[[], Any]) -> None:
    deadline = time.monotonic() + LONG
    while not true():
        assert time.monotonic() < deadline, what()
        time.sleep(0.02)


def paired(ec2: Any) -> bool:
    """Say whether Packer has its key pair."""
    return bool(ec2.describe_key_pairs()["KeyPairs"])


def baked(ec2: Any) -> bool:
    """Say whether there is an AMI that Packer has asked for."""
    return bool(ec2.describe_images(Owners=["self"])["Images"])


def booted(ec2: Any) -> bool:
    """Say whether an instance of the AMI that was baked runs."""
    own = [one["ImageId"] for one in ec2.describe_images(Owners=["self"])["Images"]]
    rows = ec2.describe_instances(Filters=[{"Name": "image-id", "Values": own or ["ami-0"]}])["Reservations"]
    return any(one["State"]["Name"] == "running" for row in rows for one in row["Instances"])


@pytest.mark.parametrize(
    ("moment", "stays"),
    [(paired, []), (baked, []), (booted, ["AMI"])],
    ids=["Packer has a key pair", "Packer has an AMI", "an instance of the AMI is up"],
)
def test_nothing_is_left_of_a_run_that_is_killed(
    aws: AwsWithBodies, project: Path, moment: Callable[[Any], bool], stays: list[str]
) -> None:
    ec2 = aws.client("ec2")
    argv = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", "--image", "web"]
    with (project / "out").open("w") as out:
        child = subprocess.Popen(argv, cwd=project, stdout=out, stderr=out)
    said = (project / "out").read_text
    eventually(lambda: child.poll() is not None or moment(ec2), said)
    early = child.poll()
    child.kill()
    child.wait()
    eventually(lambda: kinds(there(ec2)) == stays, lambda: (there(ec2), said()))
    eventually(lambda: not list((project / ".imagetest" / "leases").glob("*.json")), said)

    assert early is None, said()
    assert kinds(there(ec2)) == stays


def kinds(found: list[str]) -> list[str]:
    """Return the kinds of what is there; a snapshot counts as its AMI."""
    return sorted({"AMI" if "ImageId': 'ami" in one or "CreateImage(" in one else one[:60] for one in found})
