"""A promotion that was killed before its record: what it left says whose it is, and goes with `imagetest reap`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from imagetest.config import wiring
from imagetest.config.settings import load
from imagetest.execute.operator import operator
from imagetest.model.assessment import Verdict
from imagetest.model.image import Image
from imagetest.model.outlet import AmiOutlet, Evidence, Outlet
from imagetest.model.promotion import Action, Placement
from imagetest.promoters.ami import AmiPromoter
from imagetest.testing.aws import AwsWithBodies
from tests.dockyard import Dockyard
from tests.nouns import NOW, found, judged, record

pytestmark = pytest.mark.docker

HOME, THERE = "eu-west-1", "us-east-1"
OVER = "2026-01-01T00:00:00+00:00"


class Left:
    """A project whose promotion of an AMI was placed and not recorded."""

    def __init__(self, aws: AwsWithBodies, folder: Path) -> None:
        self._env = {**os.environ, **aws.environ(), "HOME": str(folder)}
        self.folder = folder
        self.store = wiring.store(load(start=folder))
        self.ec2 = aws.client("ec2", THERE)
        source = aws.ami("debian")
        image = Image(name="web", kind="ec2", reference=f"{HOME}:{source}", digest=f"sha256:{source[4:]:0<64}")
        self.store.record(
            replace(judged(found("a")), image=image), Verdict(gate="default", objections=(), decided=NOW), b"{}"
        )
        outlet = Outlet(channel="stable", image="web", ami=AmiOutlet(regions=(THERE,), wait=20))
        _, self.copy = AmiPromoter(poll=0.01).place(image, outlet, Evidence(assessment_id="run-web"))
        self.ami = self.copy.where.rpartition(":")[2]

    def expire(self) -> None:
        self.ec2.create_tags(Resources=[self.ami], Tags=[{"Key": "imagetest:expires", "Value": OVER}])

    def reap(self, folder: Path | None = None) -> str:
        argv = [sys.executable, "-m", "imagetest.cli.main", "reap", "--expired", f"ec2:{THERE}"]
        done = subprocess.run(
            argv, check=False, capture_output=True, env=self._env, cwd=folder or self.folder, text=True
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def is_there(self) -> bool:
        return bool(self.ec2.describe_images(ImageIds=[self.ami])["Images"])


@pytest.fixture
def left(tmp_path: Path, dockyard: Dockyard, monkeypatch: pytest.MonkeyPatch) -> Iterator[Left]:
    with AwsWithBodies(images={"debian": dockyard.plain}, region=HOME) as aws:
        for name, value in aws.environ().items():
            monkeypatch.setenv(name, value)
        project = tmp_path / "project"
        project.mkdir()
        (project / "imagetest.toml").write_text("")
        yield Left(aws, project)


def brought(left: Left) -> str:
    return f"{left.copy.where}, which {operator()} brought there for a promotion"


def test_what_expired_without_a_record_goes_and_only_with_its_own_registry(left: Left, tmp_path: Path) -> None:
    early = left.reap()
    left.expire()
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    (stranger / "imagetest.toml").write_text("")
    elsewhere = left.reap(stranger)
    stayed = left.is_there()
    late = left.reap()

    assert early == ""
    assert elsewhere == f"left {brought(left)}: no assessment 'run-web' is in this registry\n"
    assert stayed
    assert late == f"removed {brought(left)} and never recorded\n"
    assert not left.is_there()


def test_what_is_recorded_stays_though_it_was_killed_before_it_said_so(left: Left) -> None:
    left.expire()
    placements = (Placement(where=left.copy.where, digest=left.copy.digest),)
    left.store.promote(replace(record(Action.PROMOTE, left.copy.digest), kind="ec2", placements=placements))
    first, second = left.reap(), left.reap()

    assert first == f"left {brought(left)}: a record names it: it expires no more\n"
    assert second == ""
    assert left.is_there()
