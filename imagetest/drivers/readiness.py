"""Wait until a reachable instance is ready for the checks, by looking at it: what drivers share."""

from __future__ import annotations

import time
from collections.abc import Callable

from imagetest.errors import BootError, MachineLostError
from imagetest.model.plan import BootPlan
from imagetest.ports import Booted
from imagetest.transport.connection import PAUSE_SECONDS
from imagetest.transport.shell import CommandTimeoutError, Shell

BUS_PATIENCE = "timeout 10 systemctl is-system-running --wait"
"""Asked again and again: who is not root hears of it over the bus, and hears nothing who asked before that was up."""


def wait(
    up: Booted,
    plan: BootPlan,
    *,
    init: str,
    deadline: float,
    alive: Callable[[], None],
    health: Callable[[], str] | None = None,
) -> tuple[str, ...]:
    """Wait for systemd's own judgement, the image's health check and the configured condition, whichever there are.

    `alive` raises BootError when the instance has ended, `health` says `healthy` at last. Returns what an auditor
    should know. Raises BootError when a condition is not met in time.
    """
    notes: tuple[str, ...] = ()
    assert up.transport is not None  # noqa: S101 - drivers connect before they wait
    try:
        shell = Shell(up.transport, timeout=max(1.0, deadline - time.monotonic()))
        if init == "systemd":
            notes = _systemd(shell, deadline)
        if health is not None:
            _healthy(health, deadline, alive)
        if plan.ready:
            _condition(shell, plan.ready, deadline, alive)
        shell.close()
    except CommandTimeoutError as error:
        raise BootError(f"a command did not end within {plan.timeout:.0f} seconds of boot") from error
    except MachineLostError as error:
        raise BootError(str(error)) from error
    alive()
    return notes


def _systemd(shell: Shell, deadline: float) -> tuple[str, ...]:
    """Wait until no start job is left; the bus itself may not be there yet."""
    while True:
        answer = shell.run(BUS_PATIENCE, timeout=max(1.0, deadline - time.monotonic()))
        said = answer.stdout.decode(errors="replace").strip()
        if said == "running":
            return ()
        if said in {"degraded", "maintenance"}:
            failed = shell.run("systemctl --failed --plain --no-legend", timeout=10).stdout.decode(errors="replace")
            units = ", ".join(line.split()[0] for line in failed.splitlines() if line.split())
            return (f"systemd is {said}: {units or 'no unit named'}",)
        _pause(deadline, f"systemd said {said or answer.stderr.decode(errors='replace').strip()!r}")


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
