"""Each control of the baseline passes on a hardened image, and a one-line breakage fails it and no other."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from imagetest.model import codec
from tests.suites.breakages import BREAKAGES, NEEDS_SYSTEMD
from tests.suites.images import COMMAND, HARDEN, SYSTEMD, workshop

ROOT = Path(__file__).parents[2]
SUITE = ROOT / "suites" / "baseline"
CONTROLS = frozenset(tomllib.loads((SUITE / "controls.toml").read_text()))

Statuses = dict[str, str]


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Statuses]]:
    """Give the status of every control on every image: hardened, hardened with systemd, and broken once each."""
    scratch = tmp_path_factory.mktemp("baseline")
    with workshop(f"imagetest-test/baseline-{os.getpid()}") as place:
        fresh = place.debian(scratch)
        hardened = place.make("hardened", HARDEN.read_text(), base=fresh, change=COMMAND)
        broken = {name: (line, hardened, _start(name)) for name, line in BREAKAGES.items()}
        good = {"command": ("true", hardened, COMMAND), "systemd": ("true", hardened, SYSTEMD)}
        yield _judge(place.make_all(broken | good), scratch)


def test_every_control_has_a_breakage() -> None:
    assert BREAKAGES.keys() == CONTROLS


def test_a_hardened_image_passes(judged: dict[str, Statuses]) -> None:
    assert judged["command"] == _expected(COMMAND)


def test_a_hardened_image_with_systemd_passes(judged: dict[str, Statuses]) -> None:
    assert judged["systemd"] == dict.fromkeys(CONTROLS, "passed")


@pytest.mark.parametrize("control", BREAKAGES)
def test_a_breakage_fails_its_control_and_no_other(judged: dict[str, Statuses], control: str) -> None:
    assert judged[control] == _expected(_start(control)) | {control: "failed"}


def _start(control: str) -> str:
    return SYSTEMD if control in NEEDS_SYSTEMD else COMMAND


def _expected(start: str) -> Statuses:
    out_of_place = NEEDS_SYSTEMD if start == COMMAND else frozenset()
    return {control: "not_applicable" if control in out_of_place else "passed" for control in CONTROLS}


def _judge(ids: dict[str, str], scratch: Path) -> dict[str, Statuses]:
    """Return what each control says of each image, given by its digest; two runs of pytest share the work."""
    digests = list(ids.values())
    halves = {scratch / "even": digests[::2], scratch / "odd": digests[1::2]}
    with ThreadPoolExecutor(2) as pool:
        found = {digest: one for half in pool.map(_run, halves, halves.values()) for digest, one in half.items()}
    return {name: found[digest] for name, digest in ids.items()}


def _run(folder: Path, digests: list[str]) -> dict[str, Statuses]:
    folder.mkdir()
    (folder / "pytest.ini").write_text("[pytest]\n")
    options = ["-q", "-c", "pytest.ini", "--profile=baseline", "--report-dir=reports"]
    images = [option for digest in digests for option in ("--image", f"docker:{digest}")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", SUITE, *options, *images],
        check=False, cwd=folder, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assessments = [codec.decode(path.read_bytes()).assessment for path in folder.glob("reports/*/assessment.json")]
    assert {one.image.digest for one in assessments} == set(digests), (done.stdout + done.stderr)[-3000:]
    return {one.image.digest: {each.control_id: each.status.value for each in one.findings} for one in assessments}
