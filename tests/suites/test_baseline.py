"""Each control of the baseline passes on a hardened image, and a one-line breakage fails it and no other.

To bake, boot and judge is the same work for one breakage as for ten. The breakages stand in a table; each row and each
column is one image, broken by all that stand in it. Each breakage so is in two images that share no other, and what it
fails fails in both: if only the controls of the row fail in the one and only those of the column in the other, it fails
its own and no other.
"""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from docker.errors import ImageNotFound

from imagetest.model import codec
from tests.dockyard import SSHD, SYSTEMD, Dockyard, install
from tests.suites.breakages import BREAKAGES, NEEDS_SYSTEMD

ROOT = Path(__file__).parents[2]
SUITE = ROOT / "suites" / "baseline"
CONTROLS = frozenset(tomllib.loads((SUITE / "controls.toml").read_text()))

pytestmark = pytest.mark.timeout(1200)
REAL = pytest.mark.docker
REPORTS = "reports"

Statuses = dict[str, str]

WIDTH = 9
TABLE = sorted(BREAKAGES, key=lambda name: name not in NEEDS_SYSTEMD)  # these share a row, so that few images need it
GROUPS = {
    **{f"row-{start // WIDTH}": TABLE[start : start + WIDTH] for start in range(0, len(TABLE), WIDTH)},
    **{f"column-{start}": TABLE[start::WIDTH] for start in range(WIDTH)},
}
"""The breakages of each broken image, by the image's name."""


@pytest.fixture(scope="module")
def images(dockyard: Dockyard) -> Iterator[dict[str, str]]:
    """Build a hardened image, with and without systemd, and the broken ones; give their ids by name."""
    encoded = base64.b64encode(Path(__file__).with_name("harden.sh").read_bytes()).decode()
    harden = f"RUN echo {encoded} | base64 --decode | /bin/sh -eu"
    hardened = dockyard.build("FROM {machine}", install("cron", "sudo"), harden, SSHD)

    def build(name: str) -> str:
        return _built(dockyard, hardened, GROUPS[name])

    with ThreadPoolExecutor(2) as pool:
        broken = dict(zip(GROUPS, pool.map(build, GROUPS), strict=True))
    listens = {"listens": _built(dockyard, hardened, ["network-known-listeners"])}
    built = broken | listens | {"systemd": dockyard.build(f"FROM {hardened}", SYSTEMD), "command": hardened}
    yield built
    for image in built.values():  # children first: the dockyard takes images away in no order
        with suppress(ImageNotFound):
            dockyard.engine.images.remove(image, force=True)


@pytest.fixture(scope="module")
def judged(images: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Statuses]:
    """Return the status of every control on every image; two runs of pytest share the work."""
    scratch = tmp_path_factory.mktemp("judged")
    asked = [(name, image) for name, image in images.items() if name != "listens"]
    halves = {scratch / half: dict(asked[start::2]) for half, start in (("even", 0), ("odd", 1))}
    with ThreadPoolExecutor(2) as pool:
        return {name: one for half in pool.map(_judge, halves, halves.values()) for name, one in half.items()}


def test_every_control_has_a_breakage() -> None:
    assert BREAKAGES.keys() == CONTROLS


@REAL
def test_a_hardened_image_passes(judged: dict[str, Statuses]) -> None:
    assert judged["command"] == _expected(SSHD)


@REAL
def test_a_hardened_image_with_systemd_passes(judged: dict[str, Statuses]) -> None:
    assert judged["systemd"] == dict.fromkeys(CONTROLS, "passed")


@REAL
@pytest.mark.parametrize("control", BREAKAGES)
def test_a_breakage_fails_its_control_and_no_other(judged: dict[str, Statuses], control: str) -> None:
    of_it = [name for name, breakages in GROUPS.items() if control in breakages]

    for name in of_it:
        assert judged[name] == _expected(_start(GROUPS[name])) | dict.fromkeys(GROUPS[name], "failed")
    assert set.intersection(*(_failed(judged[name]) for name in of_it)) == {control}


@REAL
def test_a_declared_listener_is_allowed(images: dict[str, str], tmp_path: Path) -> None:
    """The image is judged by its id, so that its name in `baseline.toml` is made of that."""
    image = images["listens"]
    allow = f'[images."{image.replace(":", "-")[:60]}"]\nlisteners = ["tcp/2222"]\n'

    assert _judge(tmp_path / "allowed", {"image": image}, allow)["image"] == _expected(SSHD)


@REAL
def test_an_unknown_allowance_ends_the_run_before_it_begins(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "baseline.toml").write_text('listener = ["tcp/2222"]')
    said = _pytest(tmp_path, ["-c", "pytest.ini", "--image=docker:none"], code=4)

    assert "unknown listener (known: listeners, " in said


def _built(dockyard: Dockyard, hardened: str, breakages: Sequence[str]) -> str:
    script = "\n".join(BREAKAGES[name] for name in breakages)
    encoded = base64.b64encode(script.encode()).decode()
    return dockyard.build(f"FROM {hardened}", f"RUN echo {encoded} | base64 --decode | /bin/sh -eu", _start(breakages))


def _start(breakages: Sequence[str]) -> str:
    return SSHD if NEEDS_SYSTEMD.isdisjoint(breakages) else SYSTEMD


def _failed(found: Statuses) -> set[str]:
    return {control for control, status in found.items() if status == "failed"}


def _expected(start: str) -> Statuses:
    out_of_place = NEEDS_SYSTEMD if start == SSHD else frozenset()
    return {control: "not_applicable" if control in out_of_place else "passed" for control in CONTROLS}


def _judge(folder: Path, images: Mapping[str, str], allow: str = "") -> dict[str, Statuses]:
    folder.mkdir()
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "baseline.toml").write_text(allow)
    options = ["-q", "-c", "pytest.ini", "--profile=baseline", f"--report-dir={REPORTS}"]
    _pytest(folder, [*options, *(option for one in images.values() for option in ("--image", f"docker:{one}"))])
    documents = [codec.decode(path.read_bytes()) for path in folder.glob(f"{REPORTS}/**/assessment.json")]
    found = {
        one.assessment.image.digest: {each.control_id: each.status.value for each in one.assessment.findings}
        for one in documents
    }
    return {name: found[digest] for name, digest in images.items()}


def _pytest(folder: Path, arguments: Sequence[str], *, code: int | None = None) -> str:
    """Run the suite, which ends with 1 as nearly every image has a failed control, and return what it said."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", SUITE, *arguments],
        check=False, cwd=folder, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode in ({0, 1} if code is None else {code}), done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr
