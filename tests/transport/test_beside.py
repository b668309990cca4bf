"""What runs beside something else on one machine: threads of a check, and questions that were asked ahead."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from imagetest.execute.local import LocalExecutor
from imagetest.model.instance import Address
from imagetest.testing.contracts import make_access
from imagetest.transport.backend import Switchboard
from imagetest.transport.gateway import Gateway
from imagetest.transport.line import Line, Machine
from imagetest.transport.questions import under_way
from imagetest.transport.recorder import Recorder
from tests.transport.conftest import Served

SECONDS = 20.0

THREADS = 4


def eventually(true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + SECONDS
    while not true() and time.monotonic() < deadline:
        time.sleep(0.02)
    return true()


@dataclass(frozen=True, slots=True)
class Spoken:
    """A line, and the folder in which its commands run."""

    line: Line
    folder: Path


@pytest.fixture
def spoken(served: Served) -> Iterator[Spoken]:
    line = Line("web", lambda _name: Machine(address=served.address, timeout=SECONDS))
    yield Spoken(line, served.folder)
    line.close()


def test_what_threads_of_a_check_start_in_the_background_runs_on(spoken: Spoken) -> None:
    """Through a gateway, which ends whatever a session started once that is closed."""
    together = threading.Barrier(THREADS)

    def start(number: int) -> None:
        together.wait(SECONDS)
        spoken.line.run(f"(until test -e go; do sleep 0.05; done; touch done{number}) >/dev/null 2>&1 & sleep 0.3")

    with ThreadPoolExecutor(max_workers=THREADS) as pool:
        list(pool.map(start, range(THREADS)))
    spoken.line.run("touch go")
    wanted = {f"done{number}" for number in range(THREADS)}

    assert eventually(lambda: wanted <= {one.name for one in spoken.folder.iterdir()})
    assert spoken.line.connections == 1


def test_threads_that_come_one_after_the_other_use_one_shell(spoken: Spoken) -> None:
    with ThreadPoolExecutor(max_workers=1) as pool:
        held = pool.submit(spoken.line.run, "until test -e go; do sleep 0.05; done; echo $PPID")
        assert eventually(spoken.line._turn.locked)  # noqa: SLF001 - so that what follows is beside it
        beside = {spoken.line.run("echo $PPID").stdout for _ in range(5)}
        spoken.line.run("touch go")

        assert len(beside) == 1
        assert held.result().stdout not in beside


def test_a_spare_shell_that_ended_is_replaced(spoken: Spoken) -> None:
    with ThreadPoolExecutor(max_workers=1) as pool:
        held = pool.submit(spoken.line.run, "until test -e go; do sleep 0.05; done; echo went")
        assert eventually(spoken.line._turn.locked)  # noqa: SLF001 - so that what follows is beside it
        shell = int(spoken.line.run("echo $PPID").stdout)
        spoken.line.run(f"(sleep 0.2; kill -9 {shell}; touch killed) >/dev/null 2>&1 & echo")
        assert eventually((spoken.folder / "killed").exists) or eventually(lambda: not alive(shell))
        assert eventually(lambda: all(one.closed for one in spoken.line._spare))  # noqa: SLF001 - that has been heard of
        answer = spoken.line.run("echo here")
        spoken.line.run("touch go")

        assert answer.stdout == b"here\n"
        assert held.result().stdout == b"went\n"


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_a_question_asked_ahead_that_hangs_holds_no_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that changes the machine goes on without it, long before the question's own time is up."""
    monkeypatch.setattr(under_way, "QUIET_SECONDS", 0.5)
    access, folder = make_access(tmp_path / "keys"), tmp_path / "machine"
    folder.mkdir()
    hangs = folder / "uname"
    hangs.write_text("#!/bin/sh\n/bin/sleep 60\necho late\n/bin/touch ended\n")
    hangs.chmod(0o755)
    executor = LocalExecutor(folder, env={"PATH": f"{folder}:/usr/bin:/bin", "HOME": str(folder)})
    with Gateway(executor, host_key=access.host, allowed=access.user.public, user="root") as gateway:
        address = Address(
            host="127.0.0.1", port=gateway.port, user="root", host_key=access.host.public,
            key_file=str(access.key_file),
        )  # fmt: skip
        switchboard = Switchboard(
            machine=lambda _name: Machine(address=address, timeout=90.0), recorder=Recorder(str),
            on_lost=lambda _name, _why: None,
        )  # fmt: skip
        switchboard.expect("web", ["uname -s", "id -u"])
        answer = switchboard.ask("web", "touch changed && echo changed")
        hung = not (folder / "ended").exists()
        switchboard.close()

    assert answer.stdout == b"changed\n"
    assert hung
