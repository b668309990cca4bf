"""Each control of the gallery passes on its image, and a one-line breakage fails it and no other.

The breakages share images as those of the baseline do (tests/suites/test_baseline.py): rows and columns of a table.
"""

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
from tests.packer.machine import LABEL, TEMPLATES, run

pytestmark = pytest.mark.packer

ROOT = TEMPLATES.parents[1]
SUITE = ROOT / "suites" / "photoapp"
CONTROLS = frozenset(tomllib.loads((SUITE / "controls.toml").read_text()))
UNITS = "/etc/systemd/system"
APP, UNIT = "/opt/photoapp/photoapp.py", f"{UNITS}/photoapp.service"
PASSWORDS = 'return HTTPStatus.OK, "text/plain", Path("/etc/passwd").read_text()'

BREAKAGES = {
    "photoapp-starts-at-boot": (
        f"systemctl --quiet disable photoapp.service && mkdir -p {UNITS}/ssh.service.d"
        f" && printf '[Unit]\\nWants=photoapp.service\\n' >{UNITS}/ssh.service.d/worse.conf"
    ),
    "photoapp-serves": f'sed -i \'s|"ok.n"|"not ok"|\' {APP}',
    "photoapp-shows-its-photos": f"sed -i 's|pictures.name..read_bytes()|b\"\"|' {APP}",
    "photoapp-serves-nothing-else": f"sed -i 's|return HTTPStatus.NOT_FOUND.*|{PASSWORDS}|' {APP}",
    "photoapp-tells-browsers-to-be-careful": f"sed -i '/nosniff/d' {APP}",
    "photoapp-unprivileged": f"sed -i 's/^CapabilityBoundingSet=/&CAP_NET_RAW/' {UNIT}",
    "photoapp-sandboxed": f"sed -i '/^ProtectSystem=/d' {UNIT}",
    "photoapp-filtered": f"sed -i '/^SystemCallFilter=/d' {UNIT}",
    "photoapp-cannot-change-itself": "chown photoapp /opt/photoapp/photos",
    "photoapp-one-port": f"sed -i 's|^    with Threading|    debug = socket.create_server((\"\", 0))\\n&|' {APP}",
    "photoapp-configured-at-boot": f"sed -i 's|os.environ.get(\"PHOTOAPP_TITLE\", |str(|' {APP}",
    "photoapp-nothing-baked": "mkdir /etc/photoapp && echo PHOTOAPP_TITLE=Production >/etc/photoapp/photoapp.env",
    "photoapp-own-host-keys": "ssh-keygen -q -t rsa -N '' -f /etc/ssh/ssh_host_rsa_key",
    "photoapp-boots-cleanly": (
        f"printf '[Service]\\nType=oneshot\\nExecStart=/bin/false\\n' >{UNITS}/worse.service"
        f" && ln -s ../worse.service {UNITS}/multi-user.target.wants/"
    ),
}

WIDTH = 4
TABLE = list(BREAKAGES)
GROUPS = {
    **{f"row-{start // WIDTH}": TABLE[start : start + WIDTH] for start in range(0, len(TABLE), WIDTH)},
    **{f"column-{start}": TABLE[start::WIDTH] for start in range(WIDTH)},
}
"""The breakages of each spoiled image, by the image's name."""


@pytest.fixture(scope="module")
def judged(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict[str, str]]]:
    """Give the status of every control on the image as it should be, and on each spoiled one."""
    with ThreadPoolExecutor(2) as pool:
        made = pool.map(lambda names: _spoil(image, "\n".join(BREAKAGES[one] for one in names)), GROUPS.values())
        spoiled = dict(zip(GROUPS, made, strict=True))
    try:
        yield _judge({"sound": image, **spoiled}, tmp_path_factory.mktemp("photoapp"))
    finally:
        # They were made from the image, which is untagged and would be removed with the last of them.
        run("docker", "rmi", "--force", "--no-prune", *spoiled.values())


def test_every_control_has_a_breakage() -> None:
    assert BREAKAGES.keys() == CONTROLS


def test_the_image_passes(judged: dict[str, dict[str, str]]) -> None:
    assert judged["sound"] == dict.fromkeys(CONTROLS, "passed")


@pytest.mark.parametrize("control", BREAKAGES)
def test_a_breakage_fails_its_control_and_no_other(judged: dict[str, dict[str, str]], control: str) -> None:
    failed = {name: _failed(judged[name]) for name, breakages in GROUPS.items() if control in breakages}

    assert failed == {name: set(GROUPS[name]) for name in failed}
    assert set.intersection(*failed.values()) == {control}


def _failed(found: dict[str, str]) -> set[str]:
    return {control for control, status in found.items() if status != "passed"}


def _spoil(image: str, script: str) -> str:
    """Return an image that a script has spoiled."""
    container = run("docker", "create", "--label", LABEL, image, "sh", "-ec", script)
    try:
        run("docker", "start", "--attach", container)
        return run("docker", "commit", '--change=CMD ["/sbin/init"]', container)
    finally:
        run("docker", "rm", "--volumes", container)


def _judge(images: dict[str, str], scratch: Path) -> dict[str, dict[str, str]]:
    """Judge images in one run of pytest, and return what each control says of each."""
    (scratch / "pytest.ini").write_text("[pytest]\n")
    named = [option for digest in images.values() for option in ("--image", f"docker:{digest}")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", SUITE, "-q", "--tb=line", "-c", "pytest.ini", "--report-dir=reports", *named],
        check=False, cwd=scratch, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    documents = [codec.decode(path.read_bytes()).assessment for path in scratch.glob("reports/*/assessment.json")]
    found = {
        one.image.digest: {finding.control_id: finding.status.value for finding in one.findings} for one in documents
    }
    assert found.keys() == set(images.values()), done.stdout[-3000:] + done.stderr[-3000:]
    return {name: found[digest] for name, digest in images.items()}
