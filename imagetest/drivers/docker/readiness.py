"""Wait until a reachable container is ready for the checks, by looking at it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from imagetest.errors import BootError, MachineLostError
from imagetest.model.plan import BootPlan
from imagetest.ports import Booted
from imagetest.transport.connection import PAUSE_SECONDS
from imagetest.transport.shell import CommandTimeoutError, Shell

BUS_PATIENCE = "systemctl is-system-running --wait"


def wait(
    up: Booted,
    plan: BootPlan,
    *,
    init: str,
    healthcheck: bool,
    deadline: float,
    state: Callable[[], dict[str, Any]],
) -> tuple[str, ...]:
    """Wait for systemd's own judgement, the image's health check and the configured condition, whichever there are.

    Returns what an auditor should know. Raises BootError when a condition is not met in time.
    """
    notes: tuple[str, ...] = ()
    assert up.transport is not None  # noqa: S101 - this driver always connects
    try:
        shell = Shell(up.transport, timeout=max(1.0, deadline - time.monotonic()))
        if init == "systemd":
            notes = _systemd(shell, deadline)
        if healthcheck:
            _healthy(state, deadline)
        if plan.ready:
            _condition(shell, plan.ready, deadline, state)
        shell.close()
    except CommandTimeoutError as error:
        raise BootError(f"a command did not end within {plan.timeout:.0f} seconds of boot") from error
    except MachineLostError as error:
        raise BootError(str(error)) from error
    if not state()["Running"]:
        raise BootError("the container ended by itself")
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


def _healthy(state: Callable[[], dict[str, Any]], deadline: float) -> None:
    while (health := (now := state()).get("Health", {}).get("Status")) != "healthy":
        if not now["Running"]:
            raise BootError("the container ended by itself")
        _pause(deadline, f"the image's health check said {health!r}")


def _condition(shell: Shell, command: str, deadline: float, state: Callable[[], dict[str, Any]]) -> None:
    while (answer := shell.run(command, timeout=max(1.0, deadline - time.monotonic()))).exit_code:
        if not state()["Running"]:
            raise BootError("the container ended by itself")
        said = (answer.stderr or answer.stdout).decode(errors="replace").strip()
        _pause(deadline, f"boot.ready {command!r} exited with {answer.exit_code}: {said[-200:]}")


def _pause(deadline: float, waiting_for: str) -> None:
    if time.monotonic() >= deadline:
        raise BootError(f"not ready in time: {waiting_for}")
    time.sleep(PAUSE_SECONDS)
