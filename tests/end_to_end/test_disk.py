"""A run over a disk, as a user starts it, that dies in the middle."""

from __future__ import annotations

import secrets
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagetest.drivers.held import place
from tests.drivers.qemu.conftest import base_disk
from tests.workshop import Workshop

__all__ = ["base_disk"]

pytestmark = pytest.mark.qemu

SUITE = """
def test_it_runs(host):
    assert host.check_output("uname -s") == "Linux"
"""


@pytest.fixture
def name() -> Iterator[str]:
    """Name an image so that its machines are told from everybody else's."""
    chosen = f"disk-{secrets.token_hex(4)}"
    yield chosen
    for folder in folders(chosen):
        place.remove(folder.name)


@pytest.fixture
def workshop(tmp_path: Path, base_disk: Path, name: str) -> Workshop:
    made = Workshop(tmp_path)
    made.file("imagetest.toml", f"[images.{name}]\nimage = 'qemu:{base_disk}'\nsuites = ['suite']\n")
    made.file("suite/test_web.py", SUITE)
    made.file("pytest.ini", "[pytest]\n")
    return made


def folders(name: str) -> list[Path]:
    return sorted(place.of("x").parent.glob(f"*-{name}*"))


def test_a_run_that_is_killed_leaves_no_machine(workshop: Workshop, name: str) -> None:
    child = workshop.start("pytest", "-p", "no:cacheprovider", "-p", "no:xdist", "--image", name)
    deadline = time.monotonic() + 60
    while not (running := [place.noted(one) for one in folders(name) if place.noted(one)]):
        assert time.monotonic() < deadline, "no machine was started"
        assert child.poll() is None, child.communicate()
        time.sleep(0.05)
    alive = [place.runs(*one) for one in running[0].values()]
    child.send_signal(signal.SIGKILL)
    child.communicate()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and (folders(name) or any(place.runs(*one) for one in running[0].values())):
        time.sleep(0.05)

    assert alive == [True, True]
    assert not any(place.runs(*one) for one in running[0].values())
    assert folders(name) == []
    assert workshop.imagetest("reap").code == 0
    assert not list((workshop.folder / ".imagetest" / "leases").glob("*.json"))


def test_an_interrupted_run_leaves_no_machine(workshop: Workshop, name: str) -> None:
    argv = ("pytest", "-p", "no:cacheprovider", "-p", "no:xdist", "--image", name)
    ended = workshop.interrupted(*argv, until="booting by BIOS", by=signal.SIGTERM)

    assert ended.code == 2
    assert folders(name) == []
    assert not list((workshop.folder / ".imagetest" / "leases").glob("*.json"))
