"""Wait until a reachable instance is ready for the checks, by looking at it: what drivers share."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import paramiko

from imagetest.errors import BootError, ImagetestError, MachineLostError
from imagetest.model.plan import BootPlan
from imagetest.ports import Booted
from imagetest.transport.connection import PAUSE_SECONDS
from imagetest.transport.shell import CommandTimeoutError, Shell

BUS_PATIENCE = "timeout {seconds:.0f} systemctl is-system-running --wait"
"""Asked again and again: who is not root hears of it over the bus, and hears nothing who asked before that was up."""

PATIENCE_SECONDS, JOBS_SECONDS = 10.0, 10.0

ALIVE_SECONDS = 5.0
"""How often a machine is looked at while a command runs in it, whose answer may never come."""

JOB_WORDS = 4
"""Its number, its unit, what is done and how far that is (systemctl(1), "list-jobs")."""

JOBS = "systemctl list-jobs --plain --no-legend"


def wait(
    up: Booted,
    plan: BootPlan,
    *,
    init: str,
    deadline: float,
    alive: Callable[[], None],
    health: Callable[[], str] | None = None,
    seconds: float | None = None,
) -> tuple[str, ...]:
    """Wait for systemd's own judgement, the image's health check and the configured condition, whichever there are.

    `alive` raises BootError when the instance has ended, `health` says `healthy` at last; `seconds` are those that the
    whole boot may take, where that is not what the plan says. Returns what an auditor should know. Raises BootError
    when a condition is not met in time.
    """
    notes: tuple[str, ...] = ()
    assert up.transport is not None  # noqa: S101 - drivers connect before they wait
    limit = f"within {seconds or plan.timeout:.0f} seconds of boot"
    try:
        shell = Shell(up.transport, timeout=max(1.0, deadline - time.monotonic()))
        if init == "systemd":
            with _looked_at(alive, up.transport):
                notes = _systemd(shell, deadline, limit)
        if health is not None:
            _healthy(health, deadline, alive)
        if plan.ready:
            with _looked_at(alive, up.transport):
                _condition(shell, plan.ready, deadline, alive)
        shell.close()
    except CommandTimeoutError as error:
        alive()
        raise BootError(f"a command did not end {limit}") from error
    except MachineLostError as error:
        alive()
        raise BootError(str(error)) from error
    alive()
    return notes


@contextmanager
def _looked_at(alive: Callable[[], None], transport: paramiko.Transport) -> Iterator[None]:
    """Look at a machine while it is asked, and end the connection when there is no use in waiting: raise why."""
    over, why = threading.Event(), list[BootError]()

    def look() -> None:
        while not over.wait(ALIVE_SECONDS):
            try:
                alive()
            except BootError as error:
                why.append(error)
                transport.close()
            except ImagetestError:
                continue  # nobody can tell just now
            if why:
                return

    looking = threading.Thread(target=look, name="alive", daemon=True)
    looking.start()
    try:
        yield
    except MachineLostError:
        if why:
            raise why[0] from None
        raise
    finally:
        over.set()
        looking.join()


def _systemd(shell: Shell, deadline: float, limit: str) -> tuple[str, ...]:
    """Wait until no start job is left; the bus itself may not be there yet."""
    while True:
        left = max(1.0, deadline - time.monotonic())
        asked = BUS_PATIENCE.format(seconds=min(PATIENCE_SECONDS, left))
        answer = shell.run(asked, timeout=left + PATIENCE_SECONDS)
        said = answer.stdout.decode(errors="replace").strip()
        if said == "running":
            return ()
        if said in {"degraded", "maintenance"}:
            failed = shell.run("systemctl --failed --plain --no-legend", timeout=10).stdout.decode(errors="replace")
            units = ", ".join(line.split()[0] for line in failed.splitlines() if line.split())
            return (f"systemd is {said}: {units or 'no unit named'}",)
        if time.monotonic() >= deadline:
            said = said or answer.stderr.decode(errors="replace").strip()
            raise BootError(f"systemd had not started everything {limit}: it said {said!r}{_jobs(shell)}")
        time.sleep(PAUSE_SECONDS)


def _jobs(shell: Shell) -> str:
    """Return in words what systemd is at, first what runs; nothing where it does not say."""
    listed = shell.run(JOBS, timeout=JOBS_SECONDS).stdout.decode(errors="replace").splitlines()
    jobs = [words for line in listed if len(words := line.split()) == JOB_WORDS]
    running = [unit for _, unit, _, state in jobs if state == "running"]
    waiting = sum(state == "waiting" for *_, state in jobs)
    if not running:
        return ""
    return f", and waits for {', '.join(running)}" + (f" ({waiting} more jobs wait)" if waiting else "")


def _healthy(health: Callable[[], str], deadline: float, alive: Callable[[], None]) -> None:
    while (said := health()) != "healthy":
        alive()
        _pause(deadline, f"the image's health check said {said!r}")


def _condition(shell: Shell, command: str, deadline: float, alive: Callable[[], None]) -> None:
    while (answer := shell.run(command, timeout=max(1.0, deadline - time.monotonic()))).exit_code:
        alive()
        said = (answer.stderr or answer.stdout).decode(errors="replace").strip()
        _pause(deadline, f"boot.ready {command!r} exited with {answer.exit_code}: {said[-200:]}")


def _pause(deadline: float, waiting_for: str) -> None:
    if time.monotonic() >= deadline:
        raise BootError(f"not ready in time: {waiting_for}")
    time.sleep(PAUSE_SECONDS)
