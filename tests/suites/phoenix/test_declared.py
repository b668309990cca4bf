"""`phoenix.toml`: what it declares, and every mistake in it, in one line each, before anything boots."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from imagetest.errors import ConfigError

ROOT = Path(__file__).parents[3]
SUITE = ROOT / "suites" / "phoenix"


@pytest.fixture
def declared() -> Any:
    """Return the suite's module, which belongs to a package only where pytest runs the suite."""
    spec = importlib.util.spec_from_file_location("phoenix_declared", SUITE / "declared.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


GOOD = """
users = ["admin"]
[images.web]
users = ["web"]
unpackaged = ["/opt/web"]
channel = "stable"
slower = 2
[images.web.components.shop]
install = "true"
remove = "false"
included = true
files = "files"
[images.web.environments.a]
PORT = 80
LOUD = true
[images.web.environments.b]
[[images.web.differ]]
pattern = "listeners:tcp *"
reason = "a port"
owner = "us"
[images.bare]
components = {}
environments = {}
"""


def test_what_is_declared_for_all_images_holds_for_each(tmp_path: Path, declared: Any) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "phoenix.toml").write_text(GOOD)
    project = declared.load(tmp_path)
    web, bare, other = project.of("web"), project.of("bare"), project.of("other")

    assert (web.users, other.users) == (("admin", "web"), ("admin",))
    assert [one.pattern for one in web.differ] == ["listeners:tcp *"]
    assert (web.unpackaged, web.channel, web.slower) == (("/opt/web",), "stable", 2)
    assert web.environments == {"a": {"PORT": "80", "LOUD": "true"}, "b": {}}
    assert [(one.name, one.included, one.files) for one in web.components] == [("shop", True, tmp_path / "files")]
    assert (bare.components, bare.environments) == ((), {})
    assert (other.components, other.environments) == (None, None)


def test_without_a_file_nothing_is_declared(tmp_path: Path, declared: Any) -> None:
    assert declared.load(tmp_path).of("web") == declared.Declared()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nonsense = 1", "unknown setting 'nonsense'"),
        ("users = 'web'", "expected a list of texts"),
        ("channel = 'stable'", "unknown setting 'channel'"),
        ("images = 1", "expected a table"),
        ("[images.web]\nslower = 0.5", "got 0.5, expected a number of 1 or more"),
        ("[images.web]\nslower = true", "got True, expected a number"),
        ("[images.web]\nchannel = 1", "expected the name of a channel"),
        ("[images.web]\ncomponents = 1", "expected a table"),
        ("[images.web.components.x]\ninstall = 'a'", "expected 'remove', a command"),
        ("[images.web.components.x]\ninstall = 'a'\nremove = 'b'\nincluded = 'yes'", "expected true or false"),
        ("[images.web.components.x]\ninstall = 'a'\nremove = 'b'\nfiles = 'none'", "there is no folder 'none'"),
        ("[images.web.components.x]\ninstall = 'a'\nremove = 'b'\nundo = 'c'", "unknown setting 'undo'"),
        ("[images.web.environments.a]\nPORT = 1", "expected two environments or more"),
        ("[images.web.environments.a]\nPORT = [1]\n[images.web.environments.b]", "expected a text or a number"),
        ("[[images.web.differ]]\npattern = 'files:x'", "expected 'reason'"),
        ("[[images.web.differ]]\npattern = 'x'\nreason = 'y'\nowner = 'z'", "expected FAMILY:KEY"),
        ("users = ", "is not valid TOML"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, declared: Any, text: str, said: str) -> None:
    (tmp_path / "phoenix.toml").write_text(text)
    with pytest.raises(ConfigError, match=r"phoenix\.toml") as caught:
        declared.load(tmp_path)

    assert said in str(caught.value)


def test_a_mistake_ends_the_run_before_anything_boots(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "phoenix.toml").write_text("userz = []")
    argv = [sys.executable, "-m", "pytest", str(SUITE), "-c", "pytest.ini", "--image=docker:none"]
    done = subprocess.run(argv, cwd=tmp_path, check=False, capture_output=True, text=True)

    assert done.returncode == 4
    assert "line 1: userz: unknown setting 'userz'; did you mean 'users'?" in done.stderr + done.stdout
    assert "Traceback" not in done.stderr + done.stdout
