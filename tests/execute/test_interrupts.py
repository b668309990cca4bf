"""An interrupt never cuts a held piece of work in half, and is never lost."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from imagetest.execute.interrupts import Interrupts

BOTH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


@pytest.fixture
def interrupts() -> Iterator[Interrupts]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    made = Interrupts()
    made.install()
    yield made
    for number, handler in before.items():
        signal.signal(number, handler)


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@BOTH
def test_a_signal_interrupts(interrupts: Interrupts, number: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        send(number)
    assert not interrupts.pending


@BOTH
def test_a_signal_that_comes_while_it_is_held_interrupts_afterwards(interrupts: Interrupts, number: int) -> None:
    done = []

    def work() -> None:
        with interrupts.held():
            send(number)
            done.append(interrupts.pending)

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == [True]
    assert not interrupts.pending


def test_it_is_the_outermost_hold_that_counts(interrupts: Interrupts) -> None:
    done = []

    def work() -> None:
        with interrupts.held():
            with interrupts.held():
                send(signal.SIGINT)
            done.append("outer work")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["outer work"]


def test_many_signals_interrupt_once(interrupts: Interrupts) -> None:
    def work() -> None:
        with interrupts.held():
            for _ in range(5):
                send(signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt):
        work()
    with interrupts.held():
        pass


def test_an_error_of_the_work_is_not_lost_behind_an_interrupt(interrupts: Interrupts) -> None:
    def work() -> None:
        with interrupts.held():
            send(signal.SIGINT)
            raise ZeroDivisionError

    with pytest.raises(KeyboardInterrupt) as caught:
        work()
    assert isinstance(caught.value.__context__, ZeroDivisionError)


def test_held_work_can_be_broken_off_where_that_harms_nothing(interrupts: Interrupts) -> None:
    done = []

    def work() -> None:
        with interrupts.held():
            interrupts.checkpoint()
            send(signal.SIGINT)
            done.append("what must not be cut")
            interrupts.checkpoint()
            done.append("never")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["what must not be cut"]


def test_what_is_held_to_the_end_never_interrupts(interrupts: Interrupts) -> None:
    interrupts.hold()
    send(signal.SIGINT)
    with interrupts.held():
        send(signal.SIGTERM)
        interrupts.checkpoint()

    assert interrupts.pending


def test_the_handlers_from_before_come_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    interrupts = Interrupts()
    interrupts.install()
    interrupts.install()
    during = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    interrupts.restore()
    interrupts.restore()

    assert before != during
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.mark.usefixtures("interrupts")
def test_an_impatient_second_signal_does_not_break_off_what_the_first_one_began() -> None:
    with pytest.raises(KeyboardInterrupt):
        send(signal.SIGINT)
    send(signal.SIGINT)
    send(signal.SIGTERM)


@pytest.mark.usefixtures("interrupts")
def test_a_later_signal_interrupts_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first one may have been swallowed, as in a finalizer."""
    monkeypatch.setattr("imagetest.execute.interrupts.REPEAT_SECONDS", 0.01)
    for _ in range(2):
        time.sleep(0.02)
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGINT)


def test_after_an_interrupt_further_ones_are_ignored_to_the_end(interrupts: Interrupts) -> None:
    with pytest.raises(KeyboardInterrupt):
        send(signal.SIGINT)
    interrupts.retire()
    send(signal.SIGINT)
    with interrupts.held():
        send(signal.SIGTERM)


def test_without_an_interrupt_the_handlers_from_before_come_back(interrupts: Interrupts) -> None:
    during = signal.getsignal(signal.SIGTERM)
    interrupts.retire()

    assert signal.getsignal(signal.SIGTERM) != during


def test_other_threads_hold_nothing_back(interrupts: Interrupts) -> None:
    inside, done = threading.Event(), threading.Event()

    def work() -> None:
        with interrupts.held():
            inside.set()
            done.wait(5)

    thread = threading.Thread(target=work)
    thread.start()
    inside.wait(5)
    with pytest.raises(KeyboardInterrupt):
        send(signal.SIGINT)
    done.set()
    thread.join()
