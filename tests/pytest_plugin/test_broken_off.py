"""Machines of a check's own that are still coming up when nobody waits for them any more end at once, without a trace.

Each boots from a disk whose boot sector does nothing for ever, and would be waited for for 40 minutes.
"""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from imagetest.drivers.held import place
from tests.pytest_plugin.project import Project, Running

pytestmark = [pytest.mark.docker, pytest.mark.qemu]

SUITE = """
import signal
import time
from dataclasses import replace

import pytest

from imagetest.drivers.qemu import QemuDriver
from imagetest.pytest_plugin.throwaways import Wish

def with_any_driver(throwaway):
    target = throwaway.owner.target
    throwaway.owner.target = lambda name: replace(target(name), plan=replace(target(name).plan, driver="auto"))

HANGS = dict(image=QemuDriver().identify("hangs.raw", name="web"), timeout=600.0)

def boots(throwaway):
    throwaway.together(Wish(**HANGS), Wish(**HANGS))

def clones(throwaway):
    throwaway(clone=True, **HANGS)

def errand(throwaway):
    throwaway.ahead("hung", lambda factory: factory(**HANGS))
    time.sleep(600)

def fetched(throwaway):
    throwaway.ahead("hung", lambda factory: factory(**HANGS))
    throwaway.shared("hung", lambda factory: factory(**HANGS))

def begun(throwaway):
    throwaway.ahead("hung", lambda factory: factory(**HANGS))

def stopped(how, seconds):
    def stop(*_):
        how("it took too long")
    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)

def test_it(throwaway):
    with_any_driver(throwaway)
    print("begins", flush=True)
    {body}

def test_another(throwaway):
    assert throwaway().host.run("echo here").stdout.strip() == "here"
"""


@pytest.fixture
def hung(project: Project) -> Project:
    (project.folder / "hangs.raw").write_bytes(b"\xeb\xfe".ljust(510, b"\0") + b"\x55\xaa" + bytes(1 << 20))
    return project


def machines(running: Running, project: Project, *, at_least: int) -> list[str]:
    """Wait until QEMU runs for some leases, and return whatever is leased then."""
    deadline = time.monotonic() + 60
    while True:
        leased = [one.resource for one in project.leases() if one.kind == "qemu"]
        up = [one for one in leased if "machine" in place.noted(place.of(one))]
        if len(up) >= at_least:
            return leased
        assert running.alive, running.text
        assert time.monotonic() < deadline, running.text
        time.sleep(0.01)


def left(leased: list[str]) -> list[Path]:
    return [place.of(one) for one in leased if place.of(one).exists()]


@pytest.mark.parametrize(
    ("body", "at_least", "late", "number"),
    [
        ("boots(throwaway)", 2, 0.0, signal.SIGINT),
        ("boots(throwaway)", 1, 0.0, signal.SIGTERM),
        ("boots(throwaway)", 0, 0.1, signal.SIGINT),
        ("boots(throwaway)", 0, 0.4, signal.SIGTERM),
        ("boots(throwaway)", 2, 1.0, signal.SIGINT),
        ("clones(throwaway)", 1, 0.0, signal.SIGINT),
        ("clones(throwaway)", 0, 0.2, signal.SIGTERM),
        ("errand(throwaway)", 1, 0.0, signal.SIGTERM),
        ("errand(throwaway)", 0, 0.2, signal.SIGINT),
        ("fetched(throwaway)", 1, 0.5, signal.SIGINT),
    ],
)
def test_an_interrupt_ends_them(hung: Project, body: str, at_least: int, late: float, number: signal.Signals) -> None:
    hung.write(SUITE.format(body=body))
    running = hung.start("-s")
    running.await_text("begins")
    leased = machines(running, hung, at_least=at_least)
    time.sleep(late)
    leased += [one.resource for one in hung.leases() if one.kind == "qemu"]
    running.signal(number)
    ended = running.end()

    assert ended.code == 2, ended.text
    assert "Traceback (most recent call last)" not in ended.text, ended.text
    assert left(leased) == []
    assert hung.remains() == []


@pytest.mark.parametrize(
    ("how", "code", "next_runs"),
    [("pytest.fail", 1, True), ("pytest.exit", 2, False)],
    ids=["a check's own time limit", "the end of the run"],
)
@pytest.mark.parametrize("body", ["boots(throwaway)", "clones(throwaway)"])
def test_what_else_ends_a_check_ends_them(hung: Project, body: str, how: str, code: int, next_runs: bool) -> None:  # noqa: FBT001
    hung.write(SUITE.format(body=f"stopped({how}, 2.0); {body}"))
    running = hung.start("-s", "-v")
    running.await_text("begins")
    leased = machines(running, hung, at_least=1)
    ended = running.end()

    assert ended.code == code, ended.text
    assert "it took too long" in ended.text
    assert (" PASSED" in ended.text) == next_runs, ended.text
    assert left(leased) == []
    assert hung.remains() == []


def test_an_errand_that_nobody_fetches_holds_no_run(hung: Project) -> None:
    hung.write(SUITE.format(body="begun(throwaway)"))
    running = hung.start("-s", "-v")
    running.await_text("begins")
    ended = running.end()

    assert ended.code == 0, ended.text
    assert ended.text.count("PASSED") == 2, ended.text
    assert hung.remains() == []
