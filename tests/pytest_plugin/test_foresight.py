"""What the last run asked, and what the source says, is asked ahead of time; the answers are the machine's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from imagetest.pytest_plugin import foresight
from tests.pytest_plugin.project import Project

pytestmark = pytest.mark.docker

SUITE = """
import pytest

FILES = ["/etc/passwd", "/nowhere"]

@pytest.mark.parametrize("name", FILES)
def test_files(host, name):
    assert host.file(name).exists == (name == "/etc/passwd")

def test_computed(host):
    assert host.file("/etc/" + "group").is_file
    assert host.user("ro" + "ot").uid == 0

def test_loop(host):
    for name in ("bash", "dpkg"):
        assert host.package(name).is_installed

def test_content(host):
    assert host.file("/etc/hostname").content_string
"""

CHANGING = """
import pytest

def test_before(host):
    assert not host.file("/made").exists

def test_change(host):
    host.run("touch /made")

def test_after(host):
    assert host.file("/made").exists

@pytest.mark.mutates
def test_elsewhere(host):
    host.run("touch /elsewhere")
    assert host.file("/elsewhere").exists

def test_here(host):
    assert not host.file("/elsewhere").exists
"""


def asked(project: Project) -> dict[str, list[tuple[str, bool]]]:
    """Return what each test asked, and whether it was remembered."""
    checks = project.document()["assessment"]["checks"]
    return {
        one["id"].rpartition("::")[2]: [(each["command"], each["remembered"]) for each in one["commands"]]
        for one in checks
    }


def fresh(found: dict[str, list[tuple[str, bool]]]) -> list[str]:
    return [command for commands in found.values() for command, remembered in commands if not remembered]


def traced(project: Project) -> dict[str, list[str]]:
    found: dict[str, list[str]] = json.loads(trace(project).read_text())
    return found


def trace(project: Project) -> Path:
    (found,) = (project.folder / ".pytest_cache" / "d" / "imagetest").glob("asked.*.json")
    return found


def test_the_source_serves_the_first_run_and_the_trace_the_next(project: Project) -> None:
    """What is computed, no source tells; the second run asks nothing at all while its tests run."""
    project.write(SUITE)
    first = project.run()
    new, commands = fresh(asked(project)), sum(map(len, asked(project).values()))
    second = project.run()
    again, before = asked(project), traced(project)
    chosen = project.run("-k", "test_loop")
    kept = traced(project)
    always = project.run("--ask-always")

    assert [run.code for run in (first, second, chosen, always)] == [0] * 4, first.text + second.text
    assert set(new) <= {"test -f /etc/group", "id -u root"}
    assert fresh(again) == []
    assert sum(map(len, again.values())) == commands
    assert kept.keys() == before.keys()
    assert len(fresh(asked(project))) == commands


def test_a_trace_of_another_suite_or_of_nothing_changes_no_answer(project: Project) -> None:
    project.write(SUITE)
    assert project.run().code == 0
    project.write(SUITE.replace('"/etc/passwd"', '"/etc/fstab"').replace('"dpkg"', '"absent"'))
    changed = project.run()
    trace(project).write_text(json.dumps({one: ["rm -rf /etc", "cat /dev/zero", "exit"] for one in traced(project)}))
    hostile = project.run()

    for run in (changed, hostile):
        assert run.code == 1
        assert "1 failed, 4 passed" in run.text, run.text
        assert "test_loop" in run.text


@pytest.mark.parametrize("arguments", [(), ("-p", "no:cacheprovider")], ids=" ".join)
def test_what_a_test_changes_the_next_one_sees(project: Project, arguments: tuple[str, ...]) -> None:
    """In the order of the suite, without and with a trace of the run before."""
    project.write(CHANGING)
    runs = [project.run(*arguments) for _ in range(1 if arguments else 2)]

    assert [run.code for run in runs] == [0] * len(runs), runs[-1].text
    assert project.remains() == []


def test_workers_share_what_must_not_be_remembered_and_what_was_heard(project: Project) -> None:
    """One worker changes the machine while the other waits for it, with what it asked ahead in its memory."""
    project.write("def test_change(host):\n    host.file('/etc').exists\n    host.run('touch /made')\n", "test_a.py")
    waits = "import time\n\ndef test_first(host):\n    host.file('/made').exists\n    time.sleep(3)\n\n"
    project.write(f"{waits}def test_second(host):\n    assert host.file('/made').exists\n", "test_b.py")
    for _ in range(2):
        run = project.run("-n", "2", "--dist", "loadfile")
        assert run.code == 0, run.text

    assert {"test -e /made", "test -e /etc"} <= {text for texts in traced(project).values() for text in texts}
    assert project.remains() == []


@pytest.mark.parametrize("content", [b"", b'{"a": [1, "', b"[]", b'{"a": "b"}', b"\xff"])
def test_a_trace_that_cannot_be_read_is_none(tmp_path: Path, content: bytes) -> None:
    foresight.write(tmp_path, "web", {"a": ["b"]})
    (kept,) = tmp_path.iterdir()
    assert foresight.read(tmp_path, "web") == {"a": ["b"]}
    kept.write_bytes(content)

    assert foresight.read(tmp_path, "web") == {}


def test_a_question_that_holds_a_secret_is_not_kept() -> None:
    asked = ["grep -qs -- hunter2 /etc/x", "uname -s", "cat 'a\nb'"]

    assert foresight.keepable(asked, lambda text: text.replace("hunter2", "[secret]")) == ["uname -s"]
