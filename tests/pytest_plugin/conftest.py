"""Projects to run `pytest --image` in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dockyard import Dockyard
from tests.drivers import images
from tests.pytest_plugin.project import Project, project_in


@pytest.fixture
def project(tmp_path: Path, dockyard: Dockyard) -> Iterator[Project]:
    """Give a project whose image boots at once and has no SSH server."""
    for one in project_in(tmp_path, dockyard):
        one.configure(dockyard.build(*images.NO_SERVER))
        yield one
