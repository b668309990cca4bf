"""Answers that come while checks run already: who needs one waits for it, and what came too late is not told."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from imagetest.transport.questions import under_way
from imagetest.transport.questions.ahead import errands
from imagetest.transport.questions.memory import LONG_SECONDS, Clock, Memory, Touched
from imagetest.transport.questions.under_way import UnderWay
from imagetest.transport.shell import Answer

HERE = Answer(exit_code=0, stdout=b"here\n", stderr=b"")


class Waiting:
    """Two questions that are under way, and the memory that their answers go to."""

    def __init__(self) -> None:
        self.clock, self.touched = Clock(), Touched()
        self.memory = Memory("web", touched=self.touched, clock=self.clock)
        self.todo = errands(["uname -s", "uname -m"])
        self.under_way = UnderWay(self.todo, self.memory)

    def known(self, question: str) -> Answer | None:
        found = self.memory.recall(question)
        return None if found is None else found.answer


@pytest.fixture
def waiting() -> Waiting:
    return Waiting()


def test_who_needs_an_answer_waits_for_that_one_alone(waiting: Waiting) -> None:
    with ThreadPoolExecutor(max_workers=1) as pool:
        asked = pool.submit(waiting.under_way.await_one, "uname -m")
        assert not asked.done()
        waiting.under_way.hear(1, HERE)
        asked.result()

    assert waiting.known("uname -m") == HERE
    assert waiting.known("uname -s") is None


def test_what_was_not_asked_ahead_waits_for_nothing(waiting: Waiting) -> None:
    waiting.under_way.await_one("uname -r")

    assert waiting.known("uname -r") is None


def test_before_a_change_all_are_waited_for(waiting: Waiting) -> None:
    heard = threading.Event()

    def wait() -> bool:
        waiting.under_way.await_all()
        return heard.is_set()

    with ThreadPoolExecutor(max_workers=1) as pool:
        waited = pool.submit(wait)
        waiting.under_way.hear(0, HERE)
        heard.set()
        waiting.under_way.hear(1, None)

        assert waited.result()
    assert waiting.known("uname -s") == HERE
    assert waiting.known("uname -m") is None


def test_an_answer_is_of_the_time_at_which_it_was_asked_for(waiting: Waiting, monkeypatch: pytest.MonkeyPatch) -> None:
    """A check waited for something meanwhile: what was asked before its wait is told to none that come after it."""
    now = waiting.clock._began + LONG_SECONDS * 1.1  # noqa: SLF001 - so that the test need not wait itself
    monkeypatch.setattr("imagetest.transport.questions.memory.time.monotonic", lambda: now)
    waiting.clock.begin()
    waiting.under_way.hear(0, HERE)
    waiting.under_way.await_one("uname -s")

    assert waiting.known("uname -s") is None


def test_after_a_surprise_what_was_asked_before_it_is_not_told(waiting: Waiting) -> None:
    """One answer turns out to be another than before: what came with it unneeded is of before too."""
    for number in (0, 1):
        waiting.under_way.hear(number, HERE)
    waiting.under_way.await_one("uname -s")
    waiting.memory.learn("uname -s", Answer(exit_code=1, stdout=b"", stderr=b""), 0.0)
    waiting.clock.begin()
    waiting.under_way.await_one("uname -m")

    assert waiting.known("uname -m") is None


def test_what_another_process_changed_meanwhile_counts(waiting: Waiting) -> None:
    waiting.under_way.hear(0, HERE)
    waiting.touched.mark("web")
    waiting.under_way.await_one("uname -s")

    assert waiting.known("uname -s") is None


def test_one_that_hangs_is_waited_for_until_nothing_was_heard_for_too_long(
    waiting: Waiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither who needs it waits on, nor who is about to change the machine; the other answer counts."""
    monkeypatch.setattr(under_way, "QUIET_SECONDS", 0.2)
    waiting.under_way.thread = hanging = threading.Thread(target=threading.Event().wait, args=(5.0,), daemon=True)
    hanging.start()
    waiting.under_way.hear(1, HERE)
    waiting.under_way.await_one("uname -s")
    waiting.under_way.await_all()
    waiting.clock.begin()

    assert hanging.is_alive()
    assert waiting.known("uname -s") is None
    assert waiting.known("uname -m") == HERE
