"""Components on a machine of their own: brought, installed, removed."""

from __future__ import annotations

import base64
import io
import shlex
import tarfile
from collections.abc import Callable
from pathlib import Path

from imagetest.model.snapshot import Snapshot
from imagetest.pytest_plugin.throwaways import Factory, Throwaway

from .declared import Component
from .states import running

PLACE = "/tmp/imagetest-files"  # noqa: S108 - on a machine that nobody else is on
CHUNK = 96 * 1024
"""Letters of Base64 in one command: Linux takes 128 KiB in one argument (execve(2), MAX_ARG_STRLEN)."""


Removal = tuple[Snapshot, Snapshot]
"""The state of an instance without a component, before it was installed and after it was removed."""


def removal(component: Component) -> tuple[str, Callable[[Factory], Removal]]:
    """Return what installs a component and removes it again, and the name by which checks share the outcome."""

    def make(factory: Factory) -> Removal:
        machine = factory(label=component.name)
        _bring(machine, component.files)
        if component.included:
            _run(machine, component, "remove")
        scope = running(machine.boot)
        before = machine.snapshot(scope)
        _run(machine, component, "install")
        _run(machine, component, "remove")
        return before, machine.snapshot(scope)

    return f"without {component.name}", make


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
