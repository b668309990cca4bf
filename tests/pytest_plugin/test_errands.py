"""Work for checks to come: done meanwhile, its evidence where it belongs, and nothing of it left behind."""

from __future__ import annotations

import signal
import threading

import pytest

from imagetest.model.drift import Drift
from imagetest.pytest_plugin.errands import Errands
from imagetest.transport.recorder import Recorder
from imagetest.transport.shell import Answer
from tests.pytest_plugin.project import Project

DONE = Answer(exit_code=0, stdout=b"", stderr=b"")


def recorded(recorder: Recorder, command: str) -> None:
    recorder.record(command, DONE, started=0, seconds=0)


def test_what_an_errand_ran_is_evidence_of_the_check_that_fetches_it() -> None:
    recorder = Recorder(str)
    errands = Errands(recorder)
    begun, go_on = threading.Event(), threading.Event()

    def work() -> str:
        recorded(recorder, "of the errand")
        begun.set()
        assert go_on.wait(10)
        return "done"

    errands.begin("x", work)
    assert begun.wait(10)
    recorded(recorder, "of the running check")
    mine = recorder.take()
    go_on.set()
    result = errands.fetch("x")
    again = errands.fetch("x")
    theirs = recorder.take()
    errands.end()

    assert [one.command for one in mine] == ["of the running check"]
    assert (result, again) == ("done", "done")
    assert [one.command for one in theirs] == ["of the errand"]
    assert recorder.take_drifts() == tuple[Drift, ...]()


def test_what_an_errand_raised_is_raised_where_it_is_fetched() -> None:
    errands = Errands(Recorder(str))

    def work() -> None:
        pytest.fail("it is broken")

    errands.begin("x", work)
    for _ in range(2):
        with pytest.raises(pytest.fail.Exception, match="it is broken"):
            errands.fetch("x")
    errands.end()


def test_an_errand_is_begun_once_and_none_after_the_end() -> None:
    errands, times, first = Errands(Recorder(str)), list[int](), threading.Event()
    for number in range(3):
        errands.begin("x", lambda number=number: times.append(number))  # type: ignore[misc]
    errands.begin("held", lambda: first.wait(0.2))
    errands.end()

    assert times == [0]
    assert not errands.knows("x")


SUITE = """
import time

def test_waits(throwaway):
    throwaway.ahead("one", lambda factory: factory())
    throwaway.ahead("two", lambda factory: factory())
    throwaway.ahead("three", lambda factory: factory())
    print("waiting", flush=True)
    time.sleep({seconds})

def test_uses(throwaway):
    made = throwaway.shared("one", lambda factory: factory())
    assert made.host.run("echo here").stdout.strip() == "here"
"""


@pytest.mark.docker
def test_a_machine_that_was_booted_meanwhile_is_used_and_gone_in_the_end(project: Project) -> None:
    project.write(SUITE.format(seconds=0.1))
    ended = project.run("--gate")

    assert ended.code == 0, ended.text
    assert project.remains() == []


@pytest.mark.docker
@pytest.mark.parametrize("late", [0.0, 0.3], ids=["at once", "while they boot"])
def test_an_interrupt_leaves_nothing_of_what_was_begun(project: Project, late: float) -> None:
    project.write(SUITE.format(seconds=20))
    running = project.start("-s")
    running.await_text("waiting")
    threading.Event().wait(late)
    running.signal(signal.SIGINT)
    ended = running.end()

    assert ended.code == 2, ended.text
    assert project.remains() == []
    assert "Traceback (most recent call last)" not in ended.text
