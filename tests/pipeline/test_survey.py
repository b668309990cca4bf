"""Many machines at once: each tells its own, none waits for or fails with another, and little of them is held."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import paramiko
import pytest

from imagetest.config import wiring
from imagetest.errors import MachineLostError
from imagetest.model.plan import Scope
from imagetest.model.snapshot import Family, Part, Snapshot
from imagetest.pipeline.survey import READERS, held, survey
from imagetest.transport.existing import Roads
from tests.dockyard import Dockyard
from tests.hosts import LiveHost, LiveHosts, live_hosts
from tests.nouns import NOW

SCOPE = Scope(only=("packages",))


@pytest.fixture(scope="module")
def hosts(dockyard: Dockyard, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveHosts]:
    with live_hosts(dockyard, tmp_path_factory.mktemp("survey")) as place:
        yield place


@pytest.fixture(scope="module")
def web(hosts: LiveHosts) -> LiveHost:
    """Return a host that answers to many names, `web1` to `web999`, and as many connections as are asked for."""
    busy = "RUN printf 'MaxStartups 100\\nMaxSessions 100\\n' >>/etc/ssh/sshd_config"
    made = hosts.start("web", "FROM {machine}", busy)
    written = hosts.ssh_config.read_text()
    hosts.ssh_config.write_text(written.replace("Host web\n", "Host web web?*\n"))
    return made


@pytest.fixture
def dial(hosts: LiveHosts, web: LiveHost) -> Iterator[Callable[[str], paramiko.Transport]]:
    assert web.name == "web"
    roads = Roads(hosts.ssh_config)
    yield roads.dial
    roads.close()


@pytest.mark.docker
def test_200_hosts_answer_from_one_process(dial: Callable[[str], paramiko.Transport]) -> None:
    names = [f"web{number}" for number in range(1, 201)]
    answers = {one.host: one for one in survey(names, dial, wiring.collectors(), scope=SCOPE)}
    snapshots = [one.read() for one in answers.values() if one.read is not None]

    assert list(answers) != names, "they come as they are ready"
    assert [one.error for one in answers.values() if one.error] == []
    assert sorted(one.subject for one in snapshots) == sorted(names)
    assert len({str(one.families) for one in snapshots}) == 1
    assert threading.active_count() < 50


@pytest.mark.docker
def test_what_fails_is_that_hosts_error_and_no_others(
    hosts: LiveHosts, dial: Callable[[str], paramiko.Transport]
) -> None:
    gone = hosts.start("gone")
    gone.container.kill()
    names = ["web1", "gone", "never-heard-of.invalid", "no host", "web2"]
    answers = {one.host: one for one in survey(names, dial, wiring.collectors(), scope=SCOPE, workers=2)}

    assert {name: one.read is not None for name, one in answers.items()} == {
        "web1": True, "gone": False, "never-heard-of.invalid": False, "no host": False, "web2": True
    }  # fmt: skip
    assert "cannot reach 'gone'" in answers["gone"].error
    assert "cannot reach 'never-heard-of.invalid'" in answers["never-heard-of.invalid"].error
    assert "is no host" in answers["no host"].error


@pytest.mark.docker
def test_a_host_that_stops_answering_costs_its_own_time_alone(
    hosts: LiveHosts, dial: Callable[[str], paramiko.Transport]
) -> None:
    stuck = hosts.start("stuck")

    def stop(name: str) -> paramiko.Transport:
        transport = dial(name)
        if name == "stuck":
            stuck.container.pause()
        return transport

    try:
        answers = {
            one.host: one for one in survey(["stuck", "web1"], stop, wiring.collectors(), scope=SCOPE, timeout=6)
        }
    finally:
        stuck.container.unpause()

    assert answers["web1"].read is not None
    assert answers["stuck"].read is None
    assert answers["stuck"].error == "no shell could be started: Timeout opening channel."


@pytest.mark.docker
def test_whoever_stops_listening_ends_the_questions(dial: Callable[[str], paramiko.Transport]) -> None:
    dialled = []

    def watched(name: str) -> paramiko.Transport:
        dialled.append(name)
        return dial(name)

    asked = survey([f"web{number}" for number in range(100)], watched, wiring.collectors(), scope=SCOPE, workers=4)
    next(asked)
    asked.close()  # type: ignore[attr-defined] # it is a generator
    then = len(dialled)

    assert then < 20
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("survey")]


class Slow:
    """Reads its answer so slowly that others come meanwhile."""

    name = "slow"

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reading = 0
        self.most = 0

    def script(self, _scope: Scope) -> str:
        return "ask a true"

    def read(self, _parts: Mapping[str, Part]) -> Family:
        with self._lock:
            self._reading += 1
            self.most = max(self.most, self._reading)
        time.sleep(0.3)
        with self._lock:
            self._reading -= 1
        return Family(name=self.name, noun="x", facts={})


@pytest.mark.docker
def test_few_answers_are_read_at_the_same_time(dial: Callable[[str], paramiko.Transport]) -> None:
    slow = Slow()
    answers = list(survey([f"web{number}" for number in range(8)], dial, (slow,), workers=8))

    assert [one.error for one in answers] == [""] * 8
    assert 0 < slow.most <= READERS


INTERRUPTED = """
import sys, time
from imagetest.execute.interrupts import interrupts
from imagetest.pipeline.survey import survey
interrupts.install()
def dial(name):
    print("dialling", flush=True)
    time.sleep(600)
try:
    list(survey(["a", "b"], dial, ()))
except KeyboardInterrupt:
    sys.exit(2)
"""


def test_an_interrupt_waits_for_no_host() -> None:
    child = subprocess.Popen([sys.executable, "-c", INTERRUPTED], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    child.stdout.readline()
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=60)

    assert child.returncode == 2


def test_an_error_that_nobody_thought_of_is_that_hosts_too() -> None:
    def dial(name: str) -> paramiko.Transport:
        if name == "odd":
            raise ValueError("no such thing")
        raise MachineLostError(f"{name} is down")

    answers = {one.host: one.error for one in survey(["odd", "down", "odd"], dial, ())}

    assert answers == {"odd": "its answer could not be read: ValueError: no such thing", "down": "down is down"}


def test_no_host_is_no_question() -> None:
    assert list(survey([], lambda _: pytest.fail("nobody is to be dialled"), ())) == []


def test_a_held_snapshot_is_small_and_comes_back_whole(tmp_path: Path) -> None:
    def made(number: int) -> Snapshot:
        facts = {
            f"/etc/{place}": {"type": "file", "mode": "0644", "owner": "root", "sha256": f"{hash((place, 1)):064x}"}
            for place in range(3000)
        }
        family = Family(name="files", noun="file", facts={**facts, str(tmp_path): {"n": str(number)}})
        return Snapshot(subject=f"web{number}", taken=NOW, families=(family,))

    tracemalloc.start()
    try:
        kept = [held(made(number)) for number in range(20)]
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert kept[7]() == made(7)
    assert size / len(kept) < 300_000
