"""A project for each test."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.builders.packer.project import Project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Return an empty project, away from this machine's variables."""
    for name in [one for one in os.environ if one.startswith(("PKR_VAR_", "DOCKER_DEFAULT"))]:
        monkeypatch.delenv(name)
    folder = tmp_path / "project"
    folder.mkdir()
    return Project(folder)
