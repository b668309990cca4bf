"""Local programs end when they should, say what went wrong, and never outlive the process that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from imagetest.errors import ProcessError
from imagetest.execute import process
from imagetest.execute.interrupts import interrupts

GIVES_UP = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (print("cleaned up", flush=True), sys.exit(3)))
print("started", flush=True)
time.sleep(60)
"""


def test_a_program_that_fails_is_an_answer() -> None:
    done = process.run("sh", "-c", "echo out; echo err >&2; printf '\\377'; exit 3")

    assert (done.exit_code, done.stdout, done.stderr) == (3, "out\n\ufffd", "err\n")


def test_the_output_of_a_program_that_fails_is_an_error_with_what_it_said() -> None:
    with pytest.raises(ProcessError, match="'sh' exited with 3: wrong"):
        process.output("sh", "-c", "echo wrong >&2; exit 3")


def test_a_program_that_is_not_installed_says_so() -> None:
    with pytest.raises(ProcessError, match="'no-such-program' is not installed") as caught:
        process.run("no-such-program")
    assert "doctor" in caught.value.hint


def test_a_program_that_may_not_run_says_so(tmp_path: Path) -> None:
    (tmp_path / "script").touch()

    with pytest.raises(ProcessError, match="cannot be started: Permission denied"):
        process.run(str(tmp_path / "script"))


def test_a_program_that_takes_too_long_is_ended() -> None:
    started = time.monotonic()
    with pytest.raises(ProcessError, match="did not finish within 1 seconds"):
        process.run("sleep", "30", timeout=1)

    assert time.monotonic() - started < 3


def test_lines_come_as_they_are_written(tmp_path: Path) -> None:
    arrived: list[tuple[float, bytes]] = []
    code = process.stream(
        ["sh", "-c", "echo one; sleep 0.4; echo two >&2; printf three; exit 5"],
        on_line=lambda line: arrived.append((time.monotonic(), line)), cwd=tmp_path, env=dict(os.environ),
    )  # fmt: skip

    assert code == 5
    assert [line for _, line in arrived] == [b"one\n", b"two\n", b"three"]
    assert arrived[1][0] - arrived[0][0] > 0.3


def test_an_interrupted_program_may_clean_up_and_is_heard_to_the_end(tmp_path: Path) -> None:
    lines: list[bytes] = []
    interrupts.install()

    def heard(line: bytes) -> None:
        lines.append(line)
        if line == b"started\n":
            threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()

    try:
        with pytest.raises(KeyboardInterrupt):
            process.stream([sys.executable, "-c", GIVES_UP], on_line=heard, cwd=tmp_path, env=dict(os.environ))
    finally:
        interrupts.restore()

    assert lines == [b"started\n", b"cleaned up\n"]


def test_a_program_does_not_outlive_a_killed_process(tmp_path: Path) -> None:
    script = f"""
import os
from pathlib import Path
from imagetest.execute import process
process.stream(["sh", "-c", "echo $$; exec sleep 60"], on_line=lambda line: print(line.decode(), flush=True),
               cwd=Path({str(tmp_path)!r}), env=dict(os.environ))
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 3
    while _runs(child) and time.monotonic() < deadline:
        time.sleep(0.02)

    assert not _runs(child)


def _runs(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
