"""Workers of pytest-xdist: one boot for each image, and the images' checks side by side."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.pytest_plugin.project import Project

pytestmark = pytest.mark.docker

SUITE = """
def test_slow(host):
    assert host.run("sleep 2; ls /proc/1 >/dev/null; echo x >>/ran").rc == 0
"""


def span(check: Any) -> tuple[datetime, datetime]:
    began = datetime.fromisoformat(check["started"])
    return began, began + timedelta(seconds=check["seconds"])


def test_several_images_are_checked_side_by_side(project: Project) -> None:
    """Each has one instance, for two workers; while one waits for its machine, the other's is asked."""
    whole = (project.folder / "imagetest.toml").read_text()
    block, channels = whole[: whole.index("[channels")], whole[whole.index("[channels") :]
    (project.folder / "imagetest.toml").write_text(f"{block}\n{block.replace('images.web', 'images.api')}\n{channels}")
    project.write(SUITE)
    run = project.run("--image", "web", "--image", "api", "-n", "2", "--report-dir", "reports")
    reports = [json.loads(path.read_text()) for path in (project.folder / "reports").glob("**/assessment.json")]
    (one,), (two,) = [[check for check in each["assessment"]["checks"] if check["commands"]] for each in reports]

    assert run.code == 0, run.text
    assert max(span(one)[0], span(two)[0]) < min(span(one)[1], span(two)[1])
    assert len({each["assessment"]["boot"]["host_key_fingerprint"] for each in reports}) == len(reports)
    assert project.remains() == []
