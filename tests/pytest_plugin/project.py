"""A project in a folder of its own, and `pytest --image` run on it as a user runs it: in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from imagetest.execute.leases import Lease, Leases
from tests.dockyard import Dockyard
from tests.hosts import LIVE

CHECKS = """
import pytest

@pytest.mark.parametrize("number", range({count}))
def test_check(host, number):
    assert host.run("sleep {seconds}").rc == 0
"""

SECONDS = 90.0


@dataclass(frozen=True, slots=True)
class Ended:
    """What a run left on its terminal."""

    code: int
    text: str
    seconds: float


@dataclass
class Project:
    """A folder with an imagetest.toml and a suite, and the containers that its runs make."""

    folder: Path
    dockyard: Dockyard
    environment: dict[str, str] = field(default_factory=dict)

    def configure(self, image: str, **boot: object) -> None:
        """Write an imagetest.toml with one image, `web`, and one channel, `stable`."""
        lines = [
            "[images.web]", f'image = "docker:{image}"', 'suites = ["suite"]', "[images.web.boot]",
            *(f"{name} = {json.dumps(value)}" for name, value in boot.items()), "[channels.stable]",
        ]  # fmt: skip
        (self.folder / "imagetest.toml").write_text("\n".join(lines) + "\n")
        (self.folder / "pytest.ini").write_text("[pytest]\n")

    def write(self, text: str, name: str = "test_suite.py") -> None:
        """Write a file of the suite."""
        (self.folder / "suite").mkdir(exist_ok=True)
        (self.folder / "suite" / name).write_text(text)

    def start(self, *arguments: str) -> Running:
        """Start `pytest --image web` here."""
        return Running(self, arguments)

    def run(self, *arguments: str) -> Ended:
        """Run it to its end."""
        return self.start(*arguments).end()

    @property
    def state(self) -> Path:
        """Return the folder in which runs keep what they must remember."""
        return self.folder / ".imagetest"

    def leases(self) -> list[Lease]:
        """Return the leases that there are."""
        return list(Leases(self.state / "leases"))

    def document(self) -> Any:
        """Return the newest report, as data."""
        return json.loads((self.state / "runs" / "latest" / "assessment.json").read_text())

    def remains(self) -> list[str]:
        """Return whatever a run may not leave: containers, leases, keys."""
        leases = [path.name for path in (self.state / "leases").glob("*")]
        keys = [path.name for path in (self.state / "keys").glob("*")]
        return thrown_away(self.dockyard) + leases + keys


class Running:
    """A run that has begun."""

    def __init__(self, project: Project, arguments: Sequence[str]) -> None:
        self.begun = time.monotonic()
        image = () if "--image" in arguments else ("--image", "web")
        self._child = subprocess.Popen(
            [sys.executable, "-u", "-m", "pytest", *image, *arguments],
            cwd=project.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1,
            env=os.environ | {"COLUMNS": "200", "PYTHONUNBUFFERED": "1"} | project.environment,
        )  # fmt: skip
        self.pid = self._child.pid
        self._letters: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def text(self) -> str:
        """Return what it has written until now."""
        return "".join(self._letters)

    @property
    def alive(self) -> bool:
        """Say whether it runs."""
        return self._child.poll() is None

    def await_text(self, text: str) -> None:
        """Wait until it has written something."""
        while text not in self.text:
            assert self._child.poll() is None, self.text
            assert time.monotonic() - self.begun < SECONDS, self.text
            time.sleep(0.005)

    def signal(self, number: int) -> None:
        """Send a signal to this one process, unless it has ended."""
        if self._child.poll() is None:
            os.kill(self.pid, number)

    def end(self) -> Ended:
        """Wait for its end."""
        try:
            code = self._child.wait(SECONDS)
        finally:
            if self._child.poll() is None:
                self.signal(signal.SIGKILL)
            self._reader.join()
            assert self._child.stdout is not None
            self._child.stdout.close()
        return Ended(code, self.text, time.monotonic() - self.begun)

    def _read(self) -> None:
        assert self._child.stdout is not None
        while letter := self._child.stdout.read(1):
            self._letters.append(letter)


def thrown_away(dockyard: Dockyard) -> list[str]:
    """Return the containers that are no live hosts."""
    return [name for name in dockyard.containers() if not name.startswith(LIVE)]


def project_in(folder: Path, dockyard: Dockyard) -> Iterator[Project]:
    """Open a project whose containers are gone in the end."""
    yield Project(folder, dockyard)
    for name in thrown_away(dockyard):
        dockyard.engine.api.remove_container(name, force=True, v=True)
