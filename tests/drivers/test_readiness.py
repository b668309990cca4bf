"""How a machine is waited for that can be reached and never gets ready: with what it waits for, and not for ever."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from imagetest.drivers import readiness
from imagetest.errors import BootError
from imagetest.execute.local import LocalExecutor
from imagetest.model.instance import Address, Boot, Instance
from imagetest.model.plan import BootPlan
from imagetest.ports import Booted
from imagetest.testing.contracts import make_access
from imagetest.transport import connection
from imagetest.transport.gateway import Gateway

PLAN = BootPlan(timeout=900)
"""Longer than a test may take."""

SYSTEMCTL = """#!/bin/sh
case $1 in
is-system-running) echo starting; sleep 60;;
list-jobs)
  echo "1 multi-user.target start waiting"; echo "7 slow.service start running"; echo "9 web.service start waiting";;
esac
"""


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Booted]:
    """Give a machine whose systemd is at something that never ends."""
    program = tmp_path / "bin" / "systemctl"
    program.parent.mkdir()
    program.write_text(SYSTEMCTL)
    program.chmod(0o755)
    access, executor = make_access(tmp_path / "keys"), LocalExecutor(
        tmp_path, env={"PATH": f"{program.parent}:{os.defpath}"}
    )  # fmt: skip
    with Gateway(executor, host_key=access.host, allowed=access.user.public, user="root") as gateway:
        address = Address(
            host="127.0.0.1", port=gateway.port, user="root", host_key=access.host.public, key_file=str(access.key_file)
        )
        transport = connection.wait(address, deadline=time.monotonic() + 20, alive=lambda: None)
        instance = Instance(id="web", name="web", address=address, login="")
        yield Booted(instance=instance, boot=Boot(driver="fake"), transport=transport)
        transport.close()


def waited(up: Booted, plan: BootPlan, *, alive: Callable[[], None] = lambda: None, init: str = "systemd") -> str:
    deadline = time.monotonic() + plan.timeout
    with pytest.raises(BootError) as caught:
        readiness.wait(up, plan, init=init, deadline=deadline, alive=alive, seconds=4 * plan.timeout)
    return str(caught.value)


def test_what_systemd_waits_for_is_told(up: Booted) -> None:
    assert waited(up, BootPlan(timeout=2)) == (
        "systemd had not started everything within 8 seconds of boot: it said 'starting', and waits for slow.service "
        "(2 more jobs wait)"
    )


@pytest.mark.parametrize(("plan", "init"), [(PLAN, "systemd"), (replace(PLAN, ready="sleep 900"), "command")])
def test_a_machine_that_ends_while_it_is_asked_is_waited_for_no_longer(
    up: Booted, monkeypatch: pytest.MonkeyPatch, plan: BootPlan, init: str
) -> None:
    """A guest whose kernel panicked answers nothing, and its SSH connection stays as it is."""
    monkeypatch.setattr(readiness, "ALIVE_SECONDS", 0.2)
    began = time.monotonic()

    def alive() -> None:
        if time.monotonic() - began > 1:
            raise BootError("its kernel panicked")

    assert waited(up, plan, alive=alive, init=init) == "its kernel panicked"
