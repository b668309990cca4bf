"""What was installed can be removed, all of it."""

from __future__ import annotations

import base64
import io
import shlex
import tarfile
from pathlib import Path

import pytest

from imagetest import control, not_applicable
from imagetest.pytest_plugin.throwaways import Factory, Throwaway

from .declared import FILE, Component, Declared
from .states import running

PLACE = "/tmp/imagetest-files"  # noqa: S108 - on a machine that nobody else is on
CHUNK = 96 * 1024
"""Letters of Base64 in one command: Linux takes 128 KiB in one argument (execve(2), MAX_ARG_STRLEN)."""


@control("phoenix-removable")
def test_what_is_removed_leaves_nothing_behind(throwaway: Factory, declared: Declared) -> None:
    """Each component that is declared is installed and removed on a machine of its own, which is then as before."""
    if declared.components is None:
        pytest.skip(f"{FILE} does not say what can be removed: [images.NAME.components.COMPONENT]")
    if not declared.components:
        not_applicable(f"{FILE} says that nothing of it can be removed")
    for component in declared.components:
        machine = throwaway(label=component.name)
        _bring(machine, component.files)
        if component.included:
            _run(machine, component, "remove")
        scope = running(machine.boot)
        before = machine.snapshot(scope)
        _run(machine, component, "install")
        _run(machine, component, "remove")
        what = f"installing and removing {component.name} left something behind:"
        throwaway.owner.compare(before, machine.snapshot(scope), declared.allow, what=what)


def _run(machine: Throwaway, component: Component, what: str) -> None:
    command = component.install if what == "install" else component.remove
    done = machine.host.run(f"FILES={PLACE}; export FILES; cd /; {command}")

    assert done.rc == 0, f"{component.name}: {what} ended with exit code {done.rc}: {done.stderr or done.stdout}"


def _bring(machine: Throwaway, folder: Path | None) -> None:
    """Copy a folder of the project to the machine; it stays there, before and after."""
    if folder is None:
        return
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add(folder, arcname=".", filter=_nobodys)
    text = base64.b64encode(buffer.getvalue()).decode()
    machine.host.check_output(f"mkdir {PLACE}")
    for at in range(0, len(text), CHUNK):
        machine.host.check_output(f"printf %s {text[at : at + CHUNK]} >>{PLACE}/.archive")
    unpack = f"base64 -d <{PLACE}/.archive | tar -xf - -C {PLACE} && rm {PLACE}/.archive"
    machine.host.check_output(f"sh -c {shlex.quote(unpack)}")


def _nobodys(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    return entry
