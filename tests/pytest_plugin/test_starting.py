"""What is imported before it is needed is paid for by every run of pytest on this machine, of whatever project."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {
    "alembic", "asyncio", "boto3", "botocore", "cryptography", "docker", "hcl2", "invoke", "jinja2", "msgspec",
    "paramiko", "pydantic", "requests", "rich", "sqlalchemy", "typer",
}  # fmt: skip
OURS = {"imagetest", "imagetest.marks", "imagetest.pytest_plugin", "imagetest.pytest_plugin.plugin"}

LISTING = """
import atexit, json, sys
atexit.register(lambda: print("\\n" + json.dumps(sorted(
    name for name, module in sys.modules.items() if type(module).__name__ != "_Deferred"
))))
"""


def imported(code: str, folder: Path) -> set[str]:
    """Return the modules that a program has imported when it ends."""
    done = subprocess.run(
        [sys.executable, "-c", LISTING + code], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert "\n[" in done.stdout, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def run(*arguments: str) -> str:
    """Return a program that runs pytest, with no plugin but ours that imports much."""
    given = ["-p", "no:hypothesispytest", "-p", "no:xdist", "-p", "no:cacheprovider", *arguments]
    return f"import pytest; pytest.main({given!r})"


def test_the_plugin_alone_needs_nothing_but_pytest(tmp_path: Path) -> None:
    bare = imported("import pytest", tmp_path)
    found = imported("import imagetest.pytest_plugin.plugin", tmp_path)

    assert {name for name in found - bare if "." not in name} - {"__future__"} == {"imagetest"}
    assert {name for name in found if name.partition(".")[0] == "imagetest"} == OURS


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("--fixtures",)])
def test_a_run_without_an_image_imports_nothing_heavy(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    without = imported(run("-p", "no:imagetest", *arguments), tmp_path)
    found = imported(run(*arguments), tmp_path)

    assert {name.partition(".")[0] for name in found - without} & HEAVY == set()
    assert {name for name in found if name.partition(".")[0] == "imagetest"} <= OURS | {"imagetest.pytest_plugin.guard"}


def test_a_run_with_an_image_waits_with_what_it_may_not_need(tmp_path: Path) -> None:
    """An image that exists needs no builder, and nothing is reported before anything is judged."""
    (tmp_path / "test_it.py").write_text("def test_it(host):\n    assert host\n")
    found = imported(run("--image", "docker:web", "--collect-only", "-q", "test_it.py"), tmp_path)

    assert "imagetest.pytest_plugin.controller" in found
    assert (
        found & {"asyncio", "boto3", "docker", "hcl2", "jinja2", "requests", "sqlalchemy", "alembic", "rich"} == set()
    )


def test_the_commands_help_imports_nothing_heavy(tmp_path: Path) -> None:
    found = imported("from imagetest.cli.main import run; run(['--help'])", tmp_path)

    assert found & (HEAVY - {"typer", "rich"}) == set()
