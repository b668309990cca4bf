"""`imagetest demo --aws`: an AMI of a legacy template, from bake to promotion, and once more on another day."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.dockyard import SCRIPTS, Dockyard
from tests.workshop import Workshop

pytestmark = [pytest.mark.packer, pytest.mark.docker]


def test_an_ami_is_promoted_and_copied_each_time_it_is_told(tmp_path: Path, dockyard: Dockyard) -> None:
    workshop = Workshop(tmp_path, {"PKR_VAR_base_image": dockyard.plain})
    if "PKR_VAR_apt_settings" not in os.environ:
        said = subprocess.run([SCRIPTS / "apt-settings"], check=True, capture_output=True, text=True, timeout=500)
        workshop.environment["PKR_VAR_apt_settings"] = said.stdout.strip()
    for record in (1, 2):
        done = workshop.run("imagetest", "demo", "--aws")
        rows = [line.split() for line in done.out.splitlines() if line.startswith(("us-east-1 ", "eu-west-1 "))]

        assert done.code == 0, done.text
        assert f"promoted to 'stable-ami' as record {record}" in done.out
        assert re.findall(r"^\s+ec2:([a-z0-9-]+):ami-[0-9a-f]+$", done.out, re.MULTILINE) == ["us-east-1", "eu-west-1"]
        assert [row[0] for row in rows] == ["us-east-1", "eu-west-1"]
        assert all(len(row) == 3 and row[1] == row[2] for row in rows)
