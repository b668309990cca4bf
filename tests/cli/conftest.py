"""A folder to run commands in."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.workshop import Workshop


@pytest.fixture
def bare(tmp_path: Path) -> Workshop:
    """Return an empty folder, below which nothing of this machine's configuration is found."""
    return Workshop(tmp_path)
