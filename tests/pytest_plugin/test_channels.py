"""Whether a channel takes an image of a kind is found out before anything is baked or booted."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.workshop import Workshop

pytestmark = pytest.mark.qemu

AMI = """
source "amazon-ebs" "web" {
  ami_name = "web"
}
build {
  sources = ["source.amazon-ebs.web"]
}
"""
DISK = '[images.web]\nimage = "qemu:web.qcow2"\nsuites = ["suite"]\n[channels.stable]\n'


def test_a_disk_and_a_channel_without_a_place_for_disks(tmp_path: Path) -> None:
    project = Workshop(tmp_path)
    project.furnish()
    project.file("imagetest.toml", DISK)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", project.folder / "web.qcow2", "1M"], check=True)
    ended = project.pytest("--image", "web", "--promote", "stable")

    assert ended.code == 4, ended.text
    assert "channel 'stable' takes no disks, which 'web' is" in ended.text
    assert "[channels.stable] disks = a folder, or s3://BUCKET/PREFIX" in ended.text
    assert not list((project.folder / ".imagetest/runs").glob("*/assessment.json"))


def test_a_template_of_amis_and_a_channel_that_takes_none(tmp_path: Path) -> None:
    project = Workshop(tmp_path)
    project.furnish()
    project.file("web.pkr.hcl", AMI)
    ended = project.pytest("--image", "web", "--promote", "stable")

    assert ended.code == 4, ended.text
    assert "channel 'stable' takes no AMIs, which 'web' is" in ended.text
    assert not list((project.folder / ".imagetest").glob("runs/*/assessment.json"))
