"""What a check sees of a machine: testinfra's host, answered over one connection, with every command recorded."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
import testinfra.backend
from testinfra.host import Host, get_host

from imagetest.errors import MachineLostError
from imagetest.transport.backend import NAME, Backend, Switchboard
from imagetest.transport.line import Line, Machine
from imagetest.transport.recorder import Recorder
from imagetest.transport.shell import Answer, CommandTimeoutError
from tests.transport.conftest import Served


class Exchange:
    """A switchboard to one machine, and what it was told."""

    def __init__(self, served: Served, *, timeout: float = 20) -> None:
        self.lost: list[tuple[str, str]] = []
        self.asked: list[str] = []
        self.recorder = Recorder(lambda text: text.replace("hunter2", "[secret]"))

        def machine(name: str) -> Machine:
            self.asked.append(name)
            return Machine(address=served.address, timeout=timeout)

        self.board = Switchboard(
            machine=machine, recorder=self.recorder, on_lost=lambda name, why: self.lost.append((name, why))
        )

    def line(self) -> Line:
        return self.board.line("web")

    def run(self, command: str) -> Answer:
        return self.board.ask("web", command)


@pytest.fixture
def exchange(served: Served) -> Iterator[Exchange]:
    made = Exchange(served)
    yield made
    made.board.close()


@pytest.fixture
def host(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    monkeypatch.setitem(testinfra.backend.BACKENDS, NAME, f"{Backend.__module__}.{Backend.__qualname__}")
    monkeypatch.setattr(Backend, "switchboard", exchange.board)
    Host._host_cache.clear()  # noqa: SLF001 - testinfra keeps hosts for the whole process
    yield get_host(f"{NAME}://web")
    Host._host_cache.clear()  # noqa: SLF001


def test_nothing_connects_before_the_first_command(exchange: Exchange) -> None:
    exchange.line()

    assert exchange.asked == []


def test_one_connection_serves_all_commands(exchange: Exchange) -> None:
    parents = {exchange.run("echo $PPID").stdout for _ in range(5)}

    assert len(parents) == 1
    assert exchange.asked == ["web"]


def test_testinfra_asks_through_it(host: Host, served: Served) -> None:
    (served.folder / "it's here").write_text("grün\n")

    assert host.file(f"{served.folder}/it's here").content_string == "grün\n"  # type: ignore[call-arg, attr-defined]
    assert host.run("exit 3").rc == 3
    assert host.run("echo %s", "a b'c").stdout == "a b'c\n"
    assert host.run("echo error >&2").stderr == "error\n"


def test_a_name_that_is_not_utf_8_can_be_given_back(host: Host, served: Served) -> None:
    (served.folder / "caf\udce9").write_text("x")
    name = host.check_output("ls")

    assert host.run("cat %s", name).stdout == "x"


def test_every_command_is_recorded_once_with_what_it_left(exchange: Exchange) -> None:
    exchange.run("echo out; echo err >&2; exit 2")
    exchange.run("echo hunter2")
    first, second = exchange.recorder.take()

    assert (first.command, first.exit_code) == ("echo out; echo err >&2; exit 2", 2)
    assert (first.stdout.text, first.stderr.text) == ("out\n", "err\n")
    assert (second.command, second.stdout.text) == ("echo [secret]", "[secret]\n")
    assert exchange.recorder.take() == ()


def test_a_command_that_takes_too_long_is_recorded_and_the_next_one_works(served: Served) -> None:
    exchange = Exchange(served, timeout=0.5)
    with pytest.raises(CommandTimeoutError):
        exchange.run("sleep 30")
    after = exchange.run("echo next")

    assert after.stdout == b"next\n"
    assert [one.exit_code for one in exchange.recorder.take()] == [None, 0]
    assert exchange.lost == []
    exchange.board.close()


def test_a_lost_machine_is_lost_at_once_and_ever_after(exchange: Exchange, served: Served) -> None:
    exchange.run("true")
    served.gateway.close()
    started = time.monotonic()
    for _ in range(50):
        with pytest.raises(MachineLostError, match="'web' was lost"):
            exchange.run("sleep 30")

    assert time.monotonic() - started < 1
    assert len(exchange.lost) == 1
    assert exchange.lost[0][0] == "web"


def test_a_machine_that_is_lost_while_a_command_runs_is_lost_at_once(exchange: Exchange, served: Served) -> None:
    threading.Timer(0.2, served.gateway.close).start()
    with pytest.raises(MachineLostError, match=r"'web' was lost: .*the SSH connection broke|the shell ended"):
        exchange.run("sleep 30")

    assert len(exchange.lost) == 1


def test_a_shell_that_is_killed_costs_its_own_command_alone(exchange: Exchange) -> None:
    with pytest.raises(MachineLostError, match="the command was cut off: the shell ended"):
        exchange.run("kill -9 $PPID")

    assert exchange.run("echo next").stdout == b"next\n"
    assert exchange.lost == []


def test_a_connection_that_is_cut_costs_its_own_command_alone(exchange: Exchange) -> None:
    exchange.run("true")
    transport = exchange.line()._transport  # noqa: SLF001 - nothing else cuts it from outside
    assert transport is not None
    threading.Timer(0.2, transport.sock.close).start()
    with pytest.raises(MachineLostError, match="the command was cut off"):
        exchange.run("echo run >>runs; sleep 30")

    assert exchange.run("cat runs").stdout == b"run\n"
    assert exchange.asked == ["web"]
    assert exchange.lost == []


def test_without_a_switchboard_no_command_runs_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Backend, "switchboard", None)

    with pytest.raises(MachineLostError, match="no instance of 'web' was booted"):
        Backend("web").run("true")


def test_a_check_that_rebooted_its_machine_asks_for_another_connection(host: Host, exchange: Exchange) -> None:
    first = host.check_output("echo $PPID")
    host.backend.reconnect()  # type: ignore[attr-defined]

    assert host.check_output("echo $PPID") != first
    assert exchange.asked == ["web", "web"]
