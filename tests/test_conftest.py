"""A real test that cannot run is skipped with its reason, and fails where it must run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SUITE = """
import pytest
from tests import conftest

conftest.MISSING["docker"] = lambda: "no engine today"
from tests.conftest import pytest_runtest_setup, pytest_runtest_makereport


@pytest.mark.docker
def test_real():
    pass


@pytest.mark.packer
def test_that_skips_by_itself():
    pytest.skip("not now")


def test_pure():
    pass
"""


@pytest.mark.parametrize(
    ("required", "outcomes"),
    [
        ("", "1 passed, 2 skipped"),
        ("docker", "1 passed, 1 skipped, 1 error"),
        ("packer, docker", "1 failed, 1 passed, 1 error"),
        ("postgres", "1 passed, 2 skipped"),
    ],
)
def test_what_is_required_may_not_be_skipped(tmp_path: Path, required: str, outcomes: str) -> None:
    root = Path(__file__).parents[1]
    (tmp_path / "conftest.py").write_text(SUITE.partition("@pytest.mark")[0])
    (tmp_path / "test_it.py").write_text("import pytest\n" + "".join(SUITE.partition("@pytest.mark")[1:]))
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    docker\n    packer\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-rs", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path, env=os.environ | {"IMAGETEST_REQUIRE": required, "PYTHONPATH": str(root)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert outcomes in done.stdout, done.stdout
    assert "no engine today" in done.stdout
