"""What looks at an image before its first boot says of an AMI what it says of a container of the same files."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagetest.drivers.held import place
from imagetest.model import codec
from imagetest.testing.aws import AwsWithBodies
from tests.dockyard import SYSTEMD, Dockyard

pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root opens a disk at rest"),
]

ROOT = Path(__file__).parents[2]

SUITES = [ROOT / "suites" / "baseline" / name for name in ("test_leftovers.py", "test_identity.py", "test_secrets.py")]

LEFT = "RUN echo secret >/root/.bash_history && touch /tmp/left && echo packer >/var/log/bake.log"
BROKEN = {"image-no-histories", "image-no-temporary-files", "image-no-logs"}


@pytest.fixture
def image(dockyard: Dockyard) -> str:
    return dockyard.build("FROM {machine}", LEFT, SYSTEMD)


@pytest.fixture
def aws(image: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsWithBodies]:
    with AwsWithBodies(images={"left": image}) as running:
        for name, value in running.environ().items():
            monkeypatch.setenv(name, value)
        yield running


def test_leftovers_of_an_ami_are_found_as_those_of_a_container_are(
    aws: AwsWithBodies, image: str, tmp_path: Path
) -> None:
    of_ami = judged(tmp_path / "ami", f"ec2:{aws.region}:{aws.ami('left')}")
    read = aws.called.count("GetSnapshotBlock")
    of_container = judged(tmp_path / "container", f"docker:{image}")

    assert {name for name, status in of_ami.items() if status == "failed"} >= BROKEN
    assert "error" not in of_ami.values()
    assert of_ami == of_container
    assert read > 0
    assert list(place.of("x").parent.glob("*left*")) == []


def judged(folder: Path, image: str) -> dict[str, str]:
    """Return the status of every control of the suites on an image."""
    folder.mkdir()
    (folder / "pytest.ini").write_text("[pytest]\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *SUITES, "-q", "-c", "pytest.ini", "--report-dir=reports", f"--image={image}"],
        check=False, cwd=folder, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    (document,) = folder.glob("reports/**/assessment.json")
    assert done.returncode == 1, done.stdout[-3000:] + done.stderr[-3000:]
    found = codec.decode(document.read_bytes()).assessment.findings
    return {one.control_id: one.status.value for one in found}
