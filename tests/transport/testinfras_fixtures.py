"""The fixtures of testinfra's own tests, with this project's backend in the place of theirs.

For a subprocess: the environment says from which image to boot (OWN_IMAGE), how to mark what is booted (OWN_LABEL),
and in which file to write what was asked (OWN_ASKED). Where there is one of an earlier run (OWN_AHEAD), what it says is
asked ahead of time, and only the tests that it knows run.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import pytest
import testinfra.backend
from testinfra.host import Host, get_host

from imagetest.drivers.docker.host import host_config
from imagetest.execute import keys
from imagetest.model.instance import Address
from imagetest.transport import connection
from imagetest.transport.backend import NAME, Backend, Switchboard
from imagetest.transport.line import Machine
from imagetest.transport.recorder import Recorder
from tests.transport.testinfras_machine import packed

OURS = {"docker://debian_bookworm": "root", "docker://user@debian_bookworm": "user"}
"""The hosts of theirs that we can stand for, and who logs in to them."""

HOST_KEY = "/etc/ssh/ssh_host_ed25519_key.pub"
SECONDS = 60.0

INTERNET = """
ip address add 8.8.8.8/32 dev lo
ip address add 203.0.113.7/32 dev lo
ip route add unreachable 10.42.13.73
echo 203.0.113.7 google.com >>/etc/hosts
python3 -c '
import socket, time
open_ports = [socket.create_server(one) for one in (("8.8.8.8", 53), ("203.0.113.7", 443))]
time.sleep(3600)' >/dev/null 2>&1 &
"""
"""Their tests of addresses ask for hosts of the Internet: the machine has those few itself."""


class Machines:
    """Boots containers as their fixtures do, and remembers what every test asked of which of them."""

    def __init__(self, folder: Path) -> None:
        self._engine = docker.from_env()
        self._user = keys.generate()
        self._key_file = self._user.write(folder / "id")
        self._containers: list[Any] = []
        self._addresses: dict[str, Address] = {}
        self._shared: Address | None = None
        self.lost: list[str] = []
        self._ahead = asked_before()
        self.board = Switchboard(
            machine=lambda name: Machine(address=self._addresses[name]),
            recorder=Recorder(str),
            on_lost=lambda _name, reason: self.lost.append(reason),
        )

    def host(self, test: str, user: str, *, fresh: bool) -> Host:
        """Return a host of a name of its own, of which nothing is known yet.

        Under one name what is known would hold only until one of these tests changes the machine, as most of them do.
        """
        if fresh:
            address = self._boot()
        else:
            address = self._shared = self._shared or self._boot()
        name = f"machine{len(self._addresses)}"
        self._addresses[name] = replace(address, user=user)
        self.board.begin(test)
        self.board.expect(name, (self._ahead or {}).get(test, []))
        return get_host(f"{NAME}://{name}")

    def close(self) -> None:
        """Write down what was asked, and remove everything."""
        self.board.close()
        for container in self._containers:
            container.remove(force=True, v=True)
        self._engine.close()
        heard = {test: list(some) for one in self.board.heard.values() for test, some in one.items()}
        told = sum(command.remembered for command in self.board.recorder.take())
        Path(os.environ["OWN_ASKED"]).write_text(json.dumps({"asked": heard, "from memory": told}))

    def _boot(self) -> Address:
        settings, _ = host_config(self._engine.api, init="systemd", port=22)
        settings["cap_add"] = [*settings.get("cap_add", ()), "NET_ADMIN"]  # for the tests of iptables
        found = self._engine.api.create_container(
            os.environ["OWN_IMAGE"], labels=[os.environ["OWN_LABEL"]], ports=[22],
            host_config=self._engine.api.create_host_config(**settings),
        )  # fmt: skip
        container = self._engine.containers.get(found["Id"])
        self._containers.append(container)
        for home in ("root", "home/user"):
            container.put_archive("/", packed({f"{home}/.ssh/authorized_keys": f"{self._user.public}\n".encode()}))
        container.start()
        _run(container, "chown -R user: /home/user/.ssh")
        _run(container, INTERNET)
        address = self._address(container)
        connection.wait(address, deadline=time.monotonic() + SECONDS, alive=container.reload).close()
        return address

    def _address(self, container: Any) -> Address:
        container.reload()
        published = container.attrs["NetworkSettings"]["Ports"]["22/tcp"][0]
        return Address(
            host="127.0.0.1", port=int(published["HostPort"]), user="root", key_file=str(self._key_file),
            host_key=_run(container, f"cut -d ' ' -f 1,2 {HOST_KEY}"),
        )  # fmt: skip


def asked_before() -> dict[str, list[str]] | None:
    """Return what each test asked in an earlier run; None where there was none."""
    known = os.environ.get("OWN_AHEAD")
    return json.loads(Path(known).read_text())["asked"] if known else None


def _run(container: Any, script: str) -> str:
    done = container.exec_run(["/bin/sh", "-euc", script])
    assert done.exit_code == 0, done.output
    return str(done.output.decode().strip())


@pytest.fixture(scope="session")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    """Give the machines of the run."""
    testinfra.backend.BACKENDS[NAME] = f"{Backend.__module__}.{Backend.__qualname__}"
    place = Machines(tmp_path_factory.mktemp("keys"))
    Backend.switchboard = place.board
    yield place
    place.close()
    assert place.lost == []


@pytest.fixture
def host(request: pytest.FixtureRequest, machines: Machines) -> Iterator[Host]:
    """Give the host that a test asks for, where we can stand for it; a destructive test gets one of its own."""
    if request.param not in OURS:
        pytest.skip(f"not ours: {request.param}")
    fresh = request.node.get_closest_marker("destructive") is not None
    given = machines.host(request.node.name, OURS[request.param], fresh=fresh)
    yield given
    machines.board.hang_up(given.backend.get_hostname())  # no test needs the connection of the one before


@pytest.fixture
def docker_image(host: Host) -> str:  # noqa: ARG001 - as theirs does, it goes where the host goes
    """Give the name that their tests know the machine by."""
    return "debian_bookworm"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give each test the hosts that theirs would."""
    if "host" in metafunc.fixturenames:
        marked = metafunc.definition.get_closest_marker("testinfra_hosts")
        metafunc.parametrize("host", marked.args if marked else [next(iter(OURS))], indirect=True, scope="function")


def pytest_configure(config: pytest.Config) -> None:
    """Declare their markers."""
    for name in ("testinfra_hosts(host_selector)", "destructive", "skip_wsl"):
        config.addinivalue_line("markers", f"{name}: as testinfra's own tests mean it")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep to the tests that have something to ask ahead, where that is what the run is about."""
    known = asked_before()
    items[:] = [item for item in items if known is None or known.get(item.name)]
