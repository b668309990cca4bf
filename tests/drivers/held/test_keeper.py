"""However a run ends, nothing of a machine is left: tried on a program that only sleeps."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from imagetest.drivers.held import keeper, place
from imagetest.drivers.held.hold import Hold
from imagetest.errors import LeakError, ProcessError, StorageError

SLEEPS = ["sleep", "1000"]

RUN = """
import sys, time
from pathlib import Path
from imagetest.drivers.held import place
from imagetest.drivers.held.hold import Hold
hold = Hold(place.make(sys.argv[1]), ["sleep", "1000"])
if sys.argv[2] == "keep":
    hold.let_go()
print("up", flush=True)
time.sleep(1000 if sys.argv[2] == "wait" else 0)
"""


def gone(folder: Path, processes: dict[str, tuple[int, str]], seconds: float = 10) -> bool:
    """Say whether the processes end and the folder goes in time."""
    deadline = time.monotonic() + seconds
    while folder.exists() or any(place.runs(*one) for one in processes.values()):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def run(name: str, how: str, room: Path) -> subprocess.Popen[bytes]:
    """Start a run that starts a machine, in a process of its own."""
    code = f"from pathlib import Path; from imagetest.drivers.held import place; place.ROOM = Path({str(room)!r})"
    child = subprocess.Popen([sys.executable, "-c", code + RUN, name, how], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"up\n"
    return child


def test_a_machine_and_its_folder_go_when_it_is_ended(name: str) -> None:
    hold = Hold(place.make(name), SLEEPS)
    noted = place.noted(hold.folder)
    alive = [place.runs(*one) for one in noted.values()]
    ended = hold.ended()
    hold.end()

    assert set(noted) == {"keeper", "machine"}
    assert (alive, ended) == ([True, True], None)
    assert gone(place.of(name), noted, 0.5)


def test_a_machine_goes_when_its_run_is_killed(name: str, room: Path) -> None:
    child = run(name, "wait", room)
    noted = place.noted(place.of(name))
    child.kill()
    child.communicate()

    assert len(noted) == 2
    assert gone(place.of(name), noted)


def test_a_machine_goes_when_its_keeper_is_killed(name: str) -> None:
    hold = Hold(place.make(name), SLEEPS)
    noted = place.noted(hold.folder)
    os.kill(noted["keeper"][0], signal.SIGKILL)
    deadline = time.monotonic() + 10
    while hold.ended() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    code = hold.ended()
    hold.end()
    place.remove(name)

    assert code == -9
    assert gone(place.of(name), noted)


def test_a_machine_outlives_the_thread_that_started_it(name: str) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max_workers=1) as pool:
        hold = pool.submit(lambda: Hold(place.make(name), SLEEPS)).result()
    time.sleep(0.3)
    ended = hold.ended()
    hold.end()

    assert ended is None


def test_a_machine_that_was_kept_stays_and_can_be_removed_by_its_name(name: str, room: Path) -> None:
    child = run(name, "keep", room)
    child.communicate()
    noted = place.noted(place.of(name))
    alive = place.runs(*noted["machine"])
    place.remove(name)

    assert alive
    assert gone(place.of(name), noted, 1)


def test_a_signal_of_the_runs_terminal_does_not_end_a_machine(name: str) -> None:
    hold = Hold(place.make(name), SLEEPS)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(place.noted(hold.folder)["keeper"][0], number)
    time.sleep(0.3)
    ended = hold.ended()
    hold.end()

    assert ended is None


def test_the_exit_code_of_a_machine_that_ended_is_told(name: str) -> None:
    hold = Hold(place.make(name), ["/bin/sh", "-c", "echo out of luck >&2; exit 7"])
    deadline = time.monotonic() + 10
    while hold.ended() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    code, said = hold.ended(), hold.said()
    hold.end()

    assert (code, said) == (7, "out of luck")


def test_a_program_that_is_not_there_ends_and_says_so(name: str) -> None:
    hold = Hold(place.make(name), ["no-such-program"])
    deadline = time.monotonic() + 10
    while hold.ended() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    code, said = hold.ended(), hold.said()
    hold.end()

    assert (code, said) == (keeper.CANNOT_START, "no-such-program: No such file or directory")


def test_a_process_that_only_has_the_number_is_not_killed(name: str) -> None:
    with subprocess.Popen(SLEEPS) as other:
        folder = place.make(name)
        (folder / keeper.NOTE).write_text(f'{{"machine": [{other.pid}, "1"]}}')
        place.remove(name)
        alive = other.poll() is None
        other.kill()

    assert alive
    assert not folder.exists()


def test_a_folder_that_somebody_else_may_enter_is_not_used(name: str, room: Path) -> None:
    (room / f"{place.PREFIX}{os.geteuid()}").mkdir(mode=0o755)

    with pytest.raises(StorageError, match="is not this account's alone"):
        place.make(name)


def test_a_folder_that_cannot_be_removed_is_a_leak(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = place.make(name)
    with monkeypatch.context() as patched:
        patched.setattr("shutil.rmtree", lambda *_, **__: None)
        with pytest.raises(LeakError, match="cannot remove"):
            place.remove(name)

    assert folder.exists()


def test_a_long_or_strange_name_makes_a_short_folder_of_its_own() -> None:
    one, other = place.of("imagetest-" + "a" * 100 + "-1"), place.of("imagetest-" + "a" * 100 + "-2")
    strange = place.of("web/../x")

    assert one != other
    assert max(len(one.name), len(strange.name)) <= place.LONGEST
    assert strange.parent == one.parent


def test_a_keeper_that_cannot_be_started_says_so(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")

    with pytest.raises(ProcessError, match="no keeper could be started"):
        Hold(place.make(name), SLEEPS)


def test_a_console_that_is_filled_is_cut(tmp_path: Path) -> None:
    console = tmp_path / keeper.CONSOLE
    with console.open("wb") as file:
        file.truncate(keeper.LONGEST_CONSOLE + 1)
    keeper.shorten(console)
    cut = console.stat().st_size
    console.write_bytes(b"words")
    keeper.shorten(console)

    assert cut == 0
    assert console.read_bytes() == b"words"


def test_what_a_program_left_that_ended_stays_with_the_run_and_goes_with_it(name: str, room: Path) -> None:
    """As the state of a machine does, of which clones are made."""
    code = f"from pathlib import Path; from imagetest.drivers.held import place; place.ROOM = Path({str(room)!r})"
    script = code + RUN.replace('["sleep", "1000"]', '["true"]').replace(
        'print("up"', 'exec("while hold.ended() is None: time.sleep(0.02)"); print("up"'
    )
    with subprocess.Popen([sys.executable, "-c", script, name, "wait"], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        heard, there = child.stdout.readline(), place.of(name).exists()
        noted = place.noted(place.of(name))
        child.kill()

    assert (heard, there) == (b"up\n", True)
    assert gone(place.of(name), noted)


@pytest.mark.parametrize("asked_before", [True, False])
def test_who_waits_for_a_machine_hears_that_it_was_ended_in_another_thread(name: str, asked_before: bool) -> None:  # noqa: FBT001
    hold = Hold(place.make(name), SLEEPS)
    before = hold.ended() if asked_before else None
    ending = threading.Thread(target=hold.end)
    ending.start()
    ending.join()

    assert before is None
    assert hold.ended() == -9
