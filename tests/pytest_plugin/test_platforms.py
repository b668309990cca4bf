"""Platform parity: the images that one template bakes are held against the first, and a gate can require it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.dockyard import Dockyard
from tests.workshop import TEMPLATE, Workshop, workshop_in

pytestmark = pytest.mark.packer

SECOND = """
source "docker" "edge" {
  image       = var.base
  pull        = false
  commit      = true
  run_command = ["-d", "-i", "-t", "--", "{{.Image}}", "/bin/sh"]
}
"""
ONLY_ON_EDGE = """
  provisioner "shell" {
    only   = ["docker.edge"]
    inline = ["echo edge >/etc/platform"]
  }
}
"""
CONFIGURATION = """
[images.web]
template = "web.pkr.hcl"
suites = ["suite"]
allowances = ["allowances.toml"]

[gates.default]
parity = ["platform"]
"""
ALLOWANCE = """
[[allow]]
pattern = "files:/etc/{name}"
reason = "the edge is told what it is"
owner = "edge team"
"""


@pytest.fixture
def project(tmp_path: Path, dockyard: Dockyard) -> Iterator[Workshop]:
    with workshop_in(tmp_path, dockyard) as workshop:
        template = TEMPLATE.replace('["source.docker.web"]', '["source.docker.web", "source.docker.edge"]') + SECOND
        ending = template.index("}\n}\n", template.index("provisioner")) + 2
        workshop.furnish(template[:ending] + ONLY_ON_EDGE + template[ending + 2 :], CONFIGURATION)
        yield workshop


def parities(project: Workshop, image: str) -> list[Any]:
    path = project.folder / ".imagetest" / "runs" / "latest" / image / "assessment.json"
    found: list[Any] = json.loads(path.read_text())["assessment"]["parities"]
    return found


def test_a_difference_that_a_platform_needs_is_allowed_and_any_other_closes_the_gate(project: Workshop) -> None:
    project.file("allowances.toml", ALLOWANCE.format(name="platform"))
    allowed = project.pytest("--image", "web", "--gate", "--platform-parity")
    (parity,) = parities(project, "web.web")
    project.file("allowances.toml", ALLOWANCE.format(name="another"))
    closed = project.pytest("--image", "web", "--gate", "--platform-parity")
    (unexplained,) = parities(project, "web.edge")

    assert allowed.code == 0, allowed.text
    assert (parity["kind"], parity["name"]) == ("platform", "web")
    (comparison,) = parity["comparisons"]
    assert {comparison["left"], comparison["right"]} == {"web.web", "web.edge"}
    assert comparison["drift"]["allowed"] == 1
    assert closed.code == 1, closed.text
    assert "parity-holds: platform web: " in closed.text
    (difference,) = unexplained["comparisons"][0]["drift"]["differences"]
    assert (difference["family"], difference["key"]) == ("files", "/etc/platform")


def test_a_gate_that_requires_it_is_closed_where_nobody_looked(project: Workshop) -> None:
    project.file("allowances.toml", ALLOWANCE.format(name="platform"))
    ended = project.pytest("--image", "web", "--gate")

    assert ended.code == 1, ended.text
    assert "required-parity-was-proved: platform parity was not looked at" in ended.text.replace("objection ", "")
