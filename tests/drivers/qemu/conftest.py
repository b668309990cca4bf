"""The disk that these tests boot, made by scripts/base-disk and kept for the next run."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from imagetest.drivers.qemu import QemuDriver

SCRIPTS = Path(__file__).parents[3] / "scripts"


@pytest.fixture(scope="session")
def base_disk() -> Path:
    done = subprocess.run([SCRIPTS / "base-disk"], check=False, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


@pytest.fixture(scope="module")
def driver() -> QemuDriver:
    return QemuDriver()
