"""What was said once is told again only as long as the machine cannot be another by now."""

from __future__ import annotations

import itertools
import os
import shlex
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imagetest.transport import connection
from imagetest.transport.backend import Switchboard
from imagetest.transport.line import Machine
from imagetest.transport.questions.memory import LONG_SECONDS, PATIENCE_SECONDS, Touched
from imagetest.transport.recorder import Recorder
from imagetest.transport.shell import Answer, Shell
from tests.transport.conftest import Served, serve

SECONDS = 20.0


@dataclass
class Asker:
    """One process that runs checks on a machine."""

    served: Served
    touched: Touched = field(default_factory=Touched)
    live: bool = False
    remember: bool = True

    def __post_init__(self) -> None:
        self.recorder = Recorder(str)
        machine = Machine(address=self.served.address, timeout=SECONDS, remember=not self.live)
        self.board = Switchboard(
            machine=lambda _name: machine, recorder=self.recorder, on_lost=lambda _name, why: pytest.fail(why),
            touched=self.touched, remember=self.remember,
        )  # fmt: skip
        self.begin()

    def begin(self) -> None:
        """Begin another check."""
        self.board.begin("check")

    def ask(self, command: str, machine: str = "web") -> Answer:
        return self.board.ask(machine, command)

    def remembered(self) -> list[bool]:
        return [one.remembered for one in self.recorder.take()]


@pytest.fixture
def asker(served: Served) -> Iterator[Asker]:
    made = Asker(served)
    yield made
    made.board.close()


def size(path: Path) -> str:
    return f"stat -Lc %s {path}"


def test_another_check_is_told_what_was_said_and_when(asker: Asker, served: Served) -> None:
    file = served.folder / "file"
    file.write_text("x")
    first = asker.ask(size(file))
    asker.begin()
    second = asker.ask(size(file))
    one, two = asker.recorder.take()

    assert first == second == Answer(exit_code=0, stdout=b"1\n", stderr=b"")
    assert (one.remembered, two.remembered) == (False, True)
    assert (one.command, one.stdout, one.exit_code, one.started) == (
        two.command,
        two.stdout,
        two.exit_code,
        two.started,
    )


def test_a_check_that_asks_again_waits_for_a_change(asker: Asker, served: Served) -> None:
    """A service that comes up late: asked ahead as being down, it is seen to come up."""
    file = served.folder / "up"
    asker.board.expect("web", [f"test -e {file}"])
    answers = [asker.ask(f"test -e {file}").exit_code]
    file.touch()
    answers.append(asker.ask(f"test -e {file}").exit_code)

    assert answers == [1, 0]
    assert asker.remembered() == [True, False]


def test_a_check_that_slept_sees_what_is(asker: Asker, served: Served) -> None:
    file = served.folder / "late"
    asker.board.expect("web", [f"test -e {file}"])
    asker.begin()
    file.touch()
    time.sleep(PATIENCE_SECONDS * 1.1)

    assert asker.ask(f"test -e {file}").exit_code == 0


def test_after_a_long_wait_the_checks_to_come_are_told_what_is(asker: Asker, served: Served) -> None:
    """A check that waits for a service by other means than asking leaves nothing behind that is of before."""
    file, other = served.folder / "late", served.folder / "other"
    asker.board.expect("web", [f"test -e {file}", f"test -e {other}"])
    asker.begin()
    time.sleep(LONG_SECONDS * 1.1)
    asker.begin()
    file.touch()

    assert asker.ask(f"test -e {file}").exit_code == 0
    asker.ask(f"test -e {other}")
    asker.begin()
    asker.ask(f"test -e {other}")
    assert asker.remembered() == [False, False, True]


def test_what_another_thread_waits_for_keeps_a_check_from_nothing(asker: Asker, served: Served) -> None:
    file = served.folder / "late"
    asker.board.expect("web", [f"test -e {file}"])
    asker.begin()
    beside = threading.Thread(target=asker.ask, args=("sleep 0.5", "another"))
    beside.start()
    time.sleep(PATIENCE_SECONDS * 1.5)
    file.touch()

    assert asker.ask(f"test -e {file}").exit_code == 0
    beside.join()


def test_asking_ahead_is_nobodys_wait(asker: Asker) -> None:
    asker.board.expect("web", ["test -e /x", "head -n 1 /etc/passwd"])
    asker.begin()
    asker.ask("head -n 1 /etc/passwd")

    assert asker.remembered() == [True]


@pytest.mark.parametrize("reads", ["cat {}", "grep -c x {}", "wc -l {}", "head -n 1 {}", "echo x | cut -f1 {}"])
def test_who_reads_from_a_pipe_changes_what_is_in_it(asker: Asker, served: Served, reads: str) -> None:
    pipe, file = served.folder / "pipe", served.folder / "file"
    os.mkfifo(pipe)
    asker.ask(f"test -e {file}")
    writer = threading.Thread(target=pipe.write_text, args=("x\n",))
    writer.start()
    asker.begin()
    answer = asker.ask(reads.format(pipe))
    writer.join(SECONDS)
    asker.begin()
    asker.ask(f"test -e {file}")

    assert (answer.exit_code, answer.stdout[:1] in {b"x", b"1"}) == (0, True)
    assert asker.remembered() == [False, False, False]


def test_a_file_that_nobody_knows_where_it_is_may_be_a_pipe(asker: Asker) -> None:
    asker.ask("test -e /x")
    asker.begin()
    asker.ask("cat queue")
    asker.begin()
    asker.ask("test -e /x")

    assert asker.remembered() == [False, False, False]


def test_a_connection_that_a_command_had_to_make_anew_may_lead_to_a_rebooted_machine(
    asker: Asker, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = served.folder / "file"
    asker.ask(f"test -e {file}")
    line = asker.board.line("web")
    run = line.run

    def after_a_cut(command: str, *, afresh: bool = False) -> Answer:
        line.close()
        return run(command, afresh=afresh)

    monkeypatch.setattr(line, "run", after_a_cut)
    asker.begin()
    asker.ask("uname -s")
    monkeypatch.undo()
    file.touch()
    asker.begin()

    assert asker.ask(f"test -e {file}").exit_code == 0


def test_one_answer_that_changed_makes_all_others_unsure(asker: Asker, served: Served) -> None:
    one, two = served.folder / "one", served.folder / "two"
    asker.board.expect("web", [f"test -e {one}", f"test -e {two}"])
    asker.ask(f"test -e {one}")
    one.touch()
    two.touch()
    asker.ask(f"test -e {one}")
    asker.begin()

    assert asker.ask(f"test -e {two}").exit_code == 0


def test_after_anything_else_nothing_is_remembered_any_more(asker: Asker, served: Served) -> None:
    """What it left running changes the machine whenever it likes."""
    file = served.folder / "file"
    asker.ask(size(file))
    asker.ask(f"(while ! test -e {served.folder}/go; do sleep 0.01; done; echo x >{file}) >/dev/null 2>&1 &")
    asker.begin()
    asker.ask(size(file))
    asker.begin()
    asker.ask(size(file))

    assert asker.remembered() == [False] * 4
    (served.folder / "go").touch()


def test_what_another_process_ran_counts(served: Served, tmp_path: Path) -> None:
    file = served.folder / "file"
    one, two = Asker(served, Touched(tmp_path)), Asker(served, Touched(tmp_path))
    one.board.expect("web", [size(file)])
    two.ask(f"printf xyz >{file}")

    assert one.ask(size(file)).stdout == b"3\n"
    one.board.close()
    two.board.close()


def test_each_machine_has_a_memory_of_its_own(asker: Asker, served: Served) -> None:
    asker.ask(size(served.folder))
    asker.ask("exit 3", machine="other")
    asker.begin()
    asker.ask(size(served.folder))

    assert asker.remembered() == [False, False, True]


@pytest.mark.parametrize("how", ["live", "--ask-always"])
def test_where_others_may_change_it_every_question_is_asked(served: Served, how: str) -> None:
    made = Asker(served, live=how == "live", remember=how != "--ask-always")
    made.board.expect("web", ["uname -s"])
    made.ask("uname -s")
    made.begin()
    made.ask("uname -s")

    assert made.remembered() == [False, False]
    made.board.close()


def test_a_new_connection_may_lead_to_a_machine_that_was_rebooted(asker: Asker, served: Served) -> None:
    file = served.folder / "file"
    asker.ask(f"test -e {file}")
    asker.board.hang_up("web")
    file.touch()
    asker.begin()

    assert asker.ask(f"test -e {file}").exit_code == 0


def test_what_moves_by_itself_is_never_remembered(asker: Asker) -> None:
    for _ in range(2):
        asker.begin()
        asker.ask("cat /proc/uptime")
        asker.ask("sysctl -n kernel.random.uuid")
    asker.begin()
    asker.ask("uname -s")
    asker.begin()
    asker.ask("uname -s")

    assert asker.remembered() == [False] * 5 + [True]


NAMES = ("a", "b", "it's")
CHANGES = (
    "echo changed >>{}",
    "rm -rf {}",
    "mkdir -p {}",
    "chmod 700 {}",
    "printf x >{}; touch -d @1 {}",
    "ln -sfn ../elsewhere {}",
)
QUESTIONS = (
    "test -e {}", "test -d {}", "test -L {}", "stat -Lc %a {}", "stat -Lc %s {}", "stat -Lc %Y {}", "cat -- {}",
    "grep -qs -- changed {}", "realpath {}",
)  # fmt: skip

STEPS = st.one_of(
    st.tuples(st.just("ask"), st.sampled_from(QUESTIONS), st.sampled_from(NAMES)),
    st.tuples(st.just("ask"), st.sampled_from(QUESTIONS), st.sampled_from(NAMES)),
    st.tuples(st.just("ask"), st.sampled_from(QUESTIONS), st.sampled_from(NAMES)),
    st.tuples(st.just("change"), st.sampled_from(CHANGES), st.sampled_from(NAMES)),
    st.tuples(st.just("later"), st.sampled_from(CHANGES), st.sampled_from(NAMES)),
    st.tuples(st.sampled_from(["begin", "ahead", "cut", "happen", "hang up"]), st.just(""), st.just("")),
)


def appear(file: Path) -> None:
    deadline = time.monotonic() + SECONDS
    while not file.exists():
        assert time.monotonic() < deadline, f"{file.name} did not appear"
        time.sleep(0.005)


class World:
    """A machine, two processes that run checks on it, and somebody who knows what is."""

    def __init__(self, served: Served, folder: Path, oracle: Shell) -> None:
        self.folder = folder
        touched = folder.parent
        self.askers = [Asker(served, Touched(touched)), Asker(served, Touched(touched))]
        self.oracle = oracle
        self.pending: list[int] = []
        self.numbers = itertools.count()

    def quoted(self, template: str, name: str) -> str:
        return template.replace("{}", shlex.quote(f"{self.folder}/{name}"))

    def do(self, who: int, step: str, template: str, name: str) -> None:
        asker = self.askers[who]
        if step == "ask":
            question = self.quoted(template, name)
            assert asker.ask(question) == self.oracle.run(question, timeout=SECONDS), question
        elif step == "change":
            asker.ask(self.quoted(template, name))
        elif step == "later":
            self.start(asker, self.quoted(template, name))
        elif step == "happen":
            self.happen()
        elif step == "begin":
            asker.begin()
        elif step == "ahead":
            asker.board.expect("web", [self.quoted(one, each) for one in QUESTIONS for each in NAMES])
        elif step == "hang up":
            asker.board.hang_up("web")
        else:
            transport = asker.board.line("web")._transport  # noqa: SLF001 - nothing else cuts it
            if transport is not None:
                transport.close()

    def start(self, asker: Asker, change: str) -> None:
        """Start a job in the background that changes the machine when it is told to."""
        number = next(self.numbers)
        base = f"{self.folder.parent}/job-{self.folder.name}-{number}"
        job = f"touch {base}.begun; while ! test -e {base}.go; do sleep 0.005; done; {change}; touch {base}.done"
        asker.ask(f"setsid /bin/sh -c {shlex.quote(job)} >/dev/null 2>&1 &")
        appear(Path(f"{base}.begun"))  # before that it may still be in its shell's group, and would end with a cut
        self.pending.append(number)

    def happen(self) -> None:
        for number in self.pending:
            base = self.folder.parent / f"job-{self.folder.name}-{number}"
            base.with_name(f"{base.name}.go").touch()
            appear(base.with_name(f"{base.name}.done"))
        self.pending = []

    def end(self) -> None:
        self.happen()
        for asker in self.askers:
            asker.board.close()


@pytest.fixture(scope="module")
def shared_machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    yield from serve(tmp_path_factory.mktemp("random"))


@pytest.fixture(scope="module")
def oracle(shared_machine: Served) -> Iterator[Shell]:
    transport = connection.connect(shared_machine.address)
    yield Shell(transport)
    transport.close()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.integers(0, 1), STEPS), min_size=4, max_size=25))
def test_random_sequences_are_answered_as_by_the_machine_itself(
    steps: list[tuple[int, tuple[str, str, str]]], shared_machine: Served, oracle: Shell, tmp_path: Path
) -> None:
    """Its own commands, jobs in the background, a second worker, connections that are cut: never a stale answer."""
    run = tmp_path / str(time.monotonic_ns())
    (run / "files").mkdir(parents=True)
    (run / "elsewhere").mkdir()
    world = World(shared_machine, run / "files", oracle)
    try:
        for who, step in steps:
            world.do(who, *step)
    finally:
        world.end()


def test_a_job_that_a_check_starts_while_answers_are_on_their_way_goes_on(served: Served) -> None:
    """It runs in the shell that stays, once that is free: one that is closed at once may take the job with it."""
    for number in range(20):
        asker = Asker(served)
        asker.board.expect("web", [f"test -e /{name}" for name in range(50)] + ["uname -s", "uname -m", "uname -r"])
        asker.ask(f"(sleep 0.1; touch {served.folder}/job-{number}) >/dev/null 2>&1 &")
        appear(served.folder / f"job-{number}")
        asker.board.close()
