"""What the tests of the templates need of the machine."""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "packer: bakes with this machine's Packer and Docker")
