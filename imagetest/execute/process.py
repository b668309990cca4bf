"""Run local programs: the only module that imports subprocess."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from imagetest.errors import ProcessError
from imagetest.execute.interrupts import interrupts

GRACE_SECONDS = 120.0
"""How long a cancelled program may take to clean up before it is killed."""

Child = subprocess.Popen[bytes]
"""A program that runs."""

_shared: list[int] = []
"""The ends that this process holds of what it leaves behind; what it streams holds them too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """What a program that ended left: its exit code and what it wrote."""

    exit_code: int
    stdout: str
    stderr: str


def run(*argv: str, timeout: float = 60, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Completed:
    """Run a program to its end, whatever its exit code; bytes that are not UTF-8 are replaced.

    Raises ProcessError when it cannot be started or takes longer than `timeout` seconds.
    """
    try:
        done = subprocess.run(argv, check=False, capture_output=True, timeout=timeout, cwd=cwd, env=env)
    except subprocess.TimeoutExpired as error:
        raise ProcessError(f"{argv[0]!r} did not finish within {timeout:.0f} seconds") from error
    except OSError as error:
        raise _cannot_start(argv[0], error) from error
    return Completed(
        exit_code=done.returncode,
        stdout=done.stdout.decode(errors="replace"),
        stderr=done.stderr.decode(errors="replace"),
    )


def output(*argv: str, timeout: float = 60, cwd: Path | None = None) -> str:
    """Return the trimmed output of a program that succeeds.

    Raises ProcessError, with what the program said, when it does not.
    """
    done = run(*argv, timeout=timeout, cwd=cwd)
    if done.exit_code:
        said = done.stderr.strip() or done.stdout.strip()
        raise ProcessError(f"{argv[0]!r} exited with {done.exit_code}: {said}")
    return done.stdout.strip()


def foreground(*argv: str, cwd: Path, env: Mapping[str, str]) -> int:
    """Run a program on this process's own terminal and return its exit code; an interrupt reaches it too.

    Raises ProcessError when it cannot be started.
    """
    with interrupts.held():
        try:
            child = subprocess.Popen(argv, cwd=cwd, env=env)
        except OSError as error:
            raise _cannot_start(argv[0], error) from error
    try:
        return child.wait()
    except BaseException:
        with interrupts.held():
            child.terminate()
            child.wait()
        raise


def piped(*argv: str, cwd: Path, env: Mapping[str, str]) -> Child:
    """Start a program with its three streams as pipes, in a session of its own; whoever calls must end it.

    Raises ProcessError when it cannot be started.
    """
    pipe = subprocess.PIPE
    try:
        return subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, cwd=cwd, env=env, start_new_session=True)
    except OSError as error:
        raise _cannot_start(argv[0], error) from error


def left_behind(*argv: str, cwd: Path, output: BinaryIO) -> None:
    """Start a program that outlives this process, in a session of its own, and writes into a file.

    Its input ends once this process has ended, and with it every program that it streamed the output of. Raises
    ProcessError when it cannot be started.
    """
    with interrupts.held():
        reading, writing = os.pipe()
        try:
            child = subprocess.Popen(
                argv, stdin=reading, stdout=output, stderr=output, cwd=cwd, start_new_session=True
            )  # fmt: skip
        except OSError as error:
            os.close(writing)
            raise _cannot_start(argv[0], error) from error
        finally:
            os.close(reading)
        _shared.append(writing)
        child.returncode = 0  # it is meant to outlive this process: nobody is to be warned of that


def waited(child: Child, seconds: float) -> bool:
    """Wait for a program's end for some seconds; say whether it came."""
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


class Dialogue:
    """A program that is spoken to through a socket, such as the ProxyCommand of ssh_config(5)."""

    def __init__(self, command: str) -> None:
        """Start a command of the shell's. Raises ProcessError when there is no shell."""
        self.socket, theirs = socket.socketpair()
        try:
            with theirs:
                self._child = subprocess.Popen(
                    ["/bin/sh", "-c", f"exec {command}"], stdin=theirs.fileno(), stdout=theirs.fileno(),
                    stderr=subprocess.DEVNULL, start_new_session=True,
                )  # fmt: skip
        except OSError as error:
            self.socket.close()
            raise _cannot_start("/bin/sh", error) from error

    def close(self) -> None:
        """Hang up, and wait for the program's end."""
        self.socket.close()
        self._child.terminate()
        self._child.wait()


def stream(
    argv: Sequence[str],
    *,
    on_line: Callable[[bytes], None],
    cwd: Path,
    env: Mapping[str, str],
    on_start: Callable[[int], None] = lambda _pid: None,
) -> int:
    """Run a program and hand over each line of its output as it comes; return its exit code.

    It runs in a session of its own, so that a terminal's Ctrl-C reaches this process alone. When this process is
    interrupted, the program gets one SIGTERM and `GRACE_SECONDS` to clean up; when this process dies, one SIGTERM, and
    its output goes into a pipe that it keeps open itself, because a program that cannot write dies before it cleans up.
    Whatever this process left behind waits until the program has ended too.
    Raises ProcessError when it cannot be started.
    """
    reading, writing = os.pipe()
    with interrupts.held():
        try:
            child = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=writing,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env=env,
                pass_fds=(reading, *_shared),
                start_new_session=True,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - single-threaded here
            )
        except OSError as error:
            os.close(reading)
            raise _cannot_start(argv[0], error) from error
        finally:
            os.close(writing)
        on_start(child.pid)
    with open(reading, "rb") as output:  # noqa: PTH123 - a descriptor
        try:
            for line in output:
                on_line(line)
            return child.wait()
        except BaseException:
            with interrupts.held():
                _cancel(child, output, on_line)
            raise


def _cannot_start(program: str, error: OSError) -> ProcessError:
    if isinstance(error, FileNotFoundError):
        return ProcessError(f"{program!r} is not installed", hint="run 'imagetest doctor' to see how to get it")
    return ProcessError(f"{program!r} cannot be started: {error.strerror}")


def _cancel(child: subprocess.Popen[bytes], output: BinaryIO, on_line: Callable[[bytes], None]) -> None:
    """Ask once, hear what it still says, and kill only what does not end."""
    child.terminate()
    killer = threading.Timer(GRACE_SECONDS, lambda: os.killpg(child.pid, signal.SIGKILL))
    killer.daemon = True
    killer.start()
    try:
        for line in output:
            on_line(line)
        child.wait()
    finally:
        killer.cancel()


def _die_with_parent() -> None:
    """Have the kernel send SIGTERM when the parent ends (prctl(2), PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
