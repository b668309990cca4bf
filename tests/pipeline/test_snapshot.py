"""Taking a snapshot: one round trip, and a clear end when there is none."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import paramiko
import pytest

from imagetest.collectors.reading import gap, lines
from imagetest.errors import MachineLostError
from imagetest.model.plan import Scope
from imagetest.model.snapshot import Family, Gap, Part, Snapshot
from imagetest.pipeline.snapshot import batch_of, take
from imagetest.transport import connection
from imagetest.transport.existing import Roads
from imagetest.transport.shell import Shell
from tests.dockyard import Dockyard
from tests.hosts import live_hosts
from tests.transport.conftest import Served, serve


class Lines:
    """A collector whose facts are the lines that a command says."""

    def __init__(
        self, name: str, command: str, *, slow: bool = False, fails: Callable[[], Exception] | None = None
    ) -> None:
        self.name = name
        self.slow = slow
        self._command = command
        self._fails = fails

    def script(self, _scope: Scope) -> str:
        return f"ask said {self._command}"

    def read(self, parts: Mapping[str, Part]) -> Family:
        if self._fails is not None:
            raise self._fails()
        found = {line: {"value": line} for line in lines(parts["said"])} if "said" in parts else {}
        return Family(name=self.name, noun="line", facts=found, gaps=gap(parts, "said"))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    yield from serve(tmp_path_factory.mktemp("served"))


@pytest.fixture
def transport(served: Served) -> Iterator[paramiko.Transport]:
    opened = connection.connect(served.address)
    yield opened
    opened.close()


@pytest.fixture
def ask(transport: paramiko.Transport) -> Callable[..., Snapshot]:
    def ask(*collectors: Lines, **settings: Any) -> Snapshot:
        return take(Shell(transport), collectors, subject="web", **({"timeout": 20.0} | settings))

    return ask


def test_every_collector_is_asked_and_the_snapshot_says_who_asked(ask: Callable[..., Snapshot]) -> None:
    found = ask(Lines("one", "echo a"), Lines("two", "echo b", slow=True), digest="sha256:x")

    assert (found.subject, found.digest) == ("web", "sha256:x")
    assert found.user
    assert found.seconds > 0
    assert [(one.name, list(one.facts)) for one in found.families] == [("one", ["a"]), ("two", ["b"])]


def test_a_scope_may_ask_for_some_only(ask: Callable[..., Snapshot]) -> None:
    found = ask(Lines("one", "echo a"), Lines("two", "echo b"), scope=Scope(only=("two",)))

    assert [one.name for one in found.families] == ["two"]
    assert found.family("one") is None


@pytest.mark.parametrize("error", [ValueError("no"), KeyError("no"), IndexError("no"), UnicodeError("no")])
def test_an_answer_that_makes_no_sense_is_a_gap_and_the_others_are_whole(
    ask: Callable[..., Snapshot], error: Exception
) -> None:
    one, two = ask(Lines("one", "echo a", fails=lambda: error), Lines("two", "echo b")).families

    assert (dict(one.facts), one.gaps[0].key) == ({}, "")
    assert one.gaps[0].reason.startswith("its answer makes no sense: ")
    assert list(two.facts) == ["b"]


def test_a_command_that_fails_is_a_gap(ask: Callable[..., Snapshot]) -> None:
    (one,) = ask(Lines("one", "sh -c 'echo why >&2; exit 2'")).families

    assert one.gaps == (Gap(reason="why"),)


def test_a_machine_that_takes_too_long_is_lost(ask: Callable[..., Snapshot]) -> None:
    with pytest.raises(MachineLostError, match=r"'web' did not tell its state within 0\.5 seconds") as caught:
        ask(Lines("one", "sleep 30"), timeout=0.5)

    assert caught.value.hint


def test_a_script_that_breaks_off_is_a_gap_of_all_that_it_did_not_get_to(ask: Callable[..., Snapshot]) -> None:
    broken = Lines("one", "true\n) ; if")

    assert [one.gaps for one in ask(broken, Lines("two", "true")).families][-1] == (
        Gap(reason="the machine did not get to it"),
    )


def test_slow_collectors_are_asked_beside_the_others() -> None:
    slow, quick = Lines("slow", "echo a", slow=True), Lines("quick", "echo b")

    assert "} | {" in batch_of([slow, quick], Scope()).script()
    assert "} | {" not in batch_of([quick], Scope()).script()


RUNNING = "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' | grep -o '[s]leep 777' || true"


@pytest.mark.docker
def test_what_nobody_waits_for_any_more_is_ended(dockyard: Dockyard, tmp_path: Path) -> None:
    with live_hosts(dockyard, tmp_path) as hosts:
        host = hosts.start("web")
        roads = Roads(hosts.ssh_config)
        transport = roads.dial("web")
        with pytest.raises(MachineLostError):
            take(Shell(transport), [Lines("one", "sh -c 'touch /ran; exec sleep 777'")], subject="web", timeout=1)
        transport.close()
        roads.close()
        deadline = time.monotonic() + 30
        while (still := host.run(RUNNING)) and time.monotonic() < deadline:
            time.sleep(0.2)

        began = host.run("ls /ran")

    assert began == "/ran\n"
    assert still == ""
