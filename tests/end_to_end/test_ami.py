"""A legacy JSON template with an amazon-ebs builder, from bake to verdict, as it stands, against AWS with bodies."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from imagetest.execute import tags
from imagetest.testing.aws import AwsWithBodies
from tests.dockyard import SCRIPTS, Dockyard, install
from tests.workshop import Workshop

pytestmark = [pytest.mark.packer, pytest.mark.docker]

ROOT = SCRIPTS.parent

SUITE = """
def test_the_gallery_runs(host):
    assert host.service("gallery").is_running
    ask = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8080/healthz').read().decode(), end='')"
    assert host.check_output("python3 -c %s", ask) == "ok"

def test_no_key_of_the_bake_is_left(host):
    assert "packer" not in host.check_output("cat /home/admin/.ssh/authorized_keys")
"""

PROJECT = """
[images.gallery]
template = "packer/legacy/legacy.json"
suites = ["suite"]
variables = { apt_settings = '%s' }

[images.gallery.boot]
user = "admin"

[images.gallery.boot.ec2]
region = "us-east-1"
instance_type = "t3.micro"
"""


@pytest.fixture(scope="module")
def base(dockyard: Dockyard) -> str:
    """Return what Debian's AMI has: systemd, an SSH server and sudo."""
    return dockyard.build("FROM {machine}", install("sudo"))


@pytest.fixture
def aws(base: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsWithBodies]:
    with AwsWithBodies(images={"debian-12-amd64-20261101": base}, user="admin") as running:
        for name, value in running.environ().items():
            monkeypatch.setenv(name, value)
        yield running


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    made = Workshop(tmp_path)
    for name in ("legacy", "photoapp"):
        shutil.copytree(ROOT / "packer" / name, tmp_path / "packer" / name)
    settings = os.environ.get("PKR_VAR_apt_settings") or _said_by("apt-settings")
    made.file("imagetest.toml", PROJECT % settings)
    made.file("suite/test_gallery.py", SUITE)
    made.file("pytest.ini", "[pytest]\n")
    return made


def _said_by(script: str) -> str:
    done = subprocess.run([SCRIPTS / script], check=True, capture_output=True, text=True, timeout=500)
    return done.stdout.strip()


def test_it_is_baked_booted_checked_and_not_baked_again(workshop: Workshop, aws: AwsWithBodies) -> None:
    first = run(workshop)
    ec2 = aws.client("ec2")
    mine = ec2.describe_images(Owners=["self"])["Images"]
    second = run(workshop)

    assert first["image"]["kind"] == "ec2"
    assert first["image"]["reference"] == f"us-east-1:{mine[0]['ImageId']}"
    assert first["bake"]["base"] == f"us-east-1:{aws.ami('debian-12-amd64-20261101')}"
    assert first["bake"]["unknown"] == []
    assert {one["status"] for one in first["findings"]} == {"passed"}
    assert second["image"]["digest"] == first["image"]["digest"]
    assert second["bake"]["reused"] is True
    states = {one["State"]["Name"] for group in ec2.describe_instances()["Reservations"] for one in group["Instances"]}
    assert states == {"terminated"}
    assert ec2.describe_key_pairs()["KeyPairs"] == []


def run(workshop: Workshop) -> dict[str, Any]:
    """Run the project's suite on a throwaway of the AMI and return the assessment."""
    done = workshop.run("pytest", "-p", "no:cacheprovider", "-p", "no:xdist", "--image", "gallery")
    stored = sorted(workshop.folder.rglob("assessment.json"), key=lambda path: path.stat().st_mtime)
    assert stored, done
    found: dict[str, Any] = json.loads(stored[-1].read_text())["assessment"]
    return found


def test_what_is_kept_says_when_it_ends_and_goes_when_that_is_asked_for(workshop: Workshop, aws: AwsWithBodies) -> None:
    kept = workshop.run("pytest", "-p", "no:cacheprovider", "-p", "no:xdist", "--image", "gallery", "--keep", "always")
    ec2 = aws.client("ec2")
    filters = [{"Name": "tag-key", "Values": [tags.EXPIRES]}, {"Name": "instance-state-name", "Values": ["running"]}]
    (reservation,) = ec2.describe_instances(Filters=filters)["Reservations"]
    until = datetime.fromisoformat(tags.of(reservation["Instances"][0])[tags.EXPIRES])
    removed = workshop.run("imagetest", "reap", "--kept")

    assert f"gallery is still up, and ends by itself at {until:%H:%M} UTC; get in with:" in kept.text
    assert "removed imagetest-" in removed.text
    assert ec2.describe_instances(Filters=filters)["Reservations"] == []
