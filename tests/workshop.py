"""A project to bake in, and the commands `imagetest` and `pytest` run on it as a user runs them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.dockyard import Dockyard

PLUGINS = Path(os.environ.get("PACKER_CONFIG_DIR") or Path.home()) / ".packer.d" / "plugins"

SECONDS = 120.0

TEMPLATE = """
variable "base" {
  type = string
}
variable "greeting" {
  type    = string
  default = "hello"
}
source "docker" "web" {
  image       = var.base
  pull        = false
  commit      = true
  run_command = ["-d", "-i", "-t", "--", "{{.Image}}", "/bin/sh"]
}
build {
  sources = ["source.docker.web"]
  provisioner "shell" {
    inline = ["echo ${var.greeting} >/greeting"]
  }
}
"""

CONFIGURATION = """
[images.web]
template = "web.pkr.hcl"
suites = ["suite"]

[channels.stable]
"""

CHECK = '''
from imagetest import control


@control("web-greets")
def test_it_greets(host):
    """It greets."""
    assert host.check_output("cat /greeting")
'''

CONTROLS = '[web-greets]\ntitle = "It greets"\nseverity = "high"\n'


@dataclass(frozen=True, slots=True)
class Ended:
    """What a command left."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """Return all that it wrote."""
        return self.out + self.err


@dataclass
class Workshop:
    """A folder with an imagetest.toml, a template and a suite."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def file(self, name: str, content: str) -> Path:
        """Write a file."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        return path

    def furnish(self, template: str = TEMPLATE, configuration: str = CONFIGURATION) -> None:
        """Write a project that bakes and tests one image."""
        self.file("web.pkr.hcl", template)
        self.file("imagetest.toml", configuration)
        self.file("suite/test_web.py", CHECK)
        self.file("suite/controls.toml", CONTROLS)
        self.file("pytest.ini", "[pytest]\n")

    def start(self, *argv: str, **environment: str) -> subprocess.Popen[str]:
        """Start a command in the folder: `imagetest`, `pytest`."""
        modules = {"imagetest": "imagetest.cli.main", "pytest": "pytest"}
        return subprocess.Popen(
            [sys.executable, "-m", modules[argv[0]], *argv[1:]], cwd=self.folder, text=True,
            env={**os.environ, **self.environment, **environment}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def run(self, *argv: str, **environment: str) -> Ended:
        """Run a command to its end."""
        child = self.start(*argv, **environment)
        try:
            out, err = child.communicate(timeout=SECONDS)
        except BaseException:
            child.kill()
            child.communicate()
            raise
        return Ended(child.returncode, out, err)

    def imagetest(self, *argv: str, **environment: str) -> Ended:
        """Run `imagetest`."""
        return self.run("imagetest", *argv, **environment)

    def pytest(self, *argv: str, **environment: str) -> Ended:
        """Run `pytest` without the plugins that these tests themselves run with."""
        return self.run("pytest", "-p", "no:cacheprovider", "-p", "no:xdist", *argv, **environment)

    def interrupted(self, *argv: str, until: str, by: signal.Signals) -> Ended:
        """Start a command, send it alone a signal once it wrote a text, and wait for its end."""
        child = self.start(*argv)
        assert child.stdout is not None
        seen = []
        for line in child.stdout:
            seen.append(line)
            if until in line:
                break
        child.send_signal(by)
        out, err = child.communicate(timeout=SECONDS)
        return Ended(child.returncode, "".join(seen) + out, err)


@contextmanager
def workshop_in(folder: Path, dockyard: Dockyard) -> Iterator[Workshop]:
    """Give a project whose base carries the tests' label, which what is baked from it inherits; nothing may be left."""
    own, project = folder / "config" / ".packer.d", folder / "project"
    for one in (own, project):
        one.mkdir(parents=True)
    scratch = Path(tempfile.mkdtemp(prefix="imagetest-test-"))  # with a name as short as it is elsewhere
    environment = {"TMPDIR": str(scratch), "PACKER_CONFIG_DIR": str(own.parent)}
    if PLUGINS.is_dir():
        environment["PACKER_PLUGIN_PATH"] = str(PLUGINS)
    yield Workshop(project, {**environment, "PKR_VAR_base": dockyard.build("FROM {plain}")})

    def left() -> list[str]:
        """Return what is left; a Packer that outlived its run removes its files after its container."""
        folders = [path.name for path in own.iterdir() if path.name.startswith("tmp")]
        return folders + [path.name for path in scratch.iterdir() if not path.is_dir() or any(path.iterdir())]

    assert eventually(lambda: not dockyard.containers(), seconds=5)
    eventually(lambda: not left(), seconds=5)
    remains = left()
    shutil.rmtree(scratch)
    assert remains == [], remains


def eventually(condition: Callable[[], object], *, seconds: float = 30) -> bool:
    """Wait until a function returns something true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.1)
    return False


def digests(text: str) -> dict[str, str]:
    """Return the digest of each source that `imagetest bake` printed."""
    words: Sequence[tuple[str, str]] = [
        (source, digest)
        for source, _, digest in (line.partition(": ") for line in text.splitlines())
        if digest.startswith("sha256:")
    ]
    return dict(words)
