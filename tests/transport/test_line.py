"""Fault by fault: what goes wrong under one command is that command's error, and the next one has its own answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from imagetest.drivers.docker import DockerDriver
from imagetest.errors import MachineLostError
from imagetest.model.instance import Address
from imagetest.transport.backend import Switchboard
from imagetest.transport.line import CHANNELS, Line, LostForGoodError, Machine
from imagetest.transport.questions.sudo import wrap
from imagetest.transport.recorder import Recorder
from imagetest.transport.shell import Answer, CommandTimeoutError, TooMuchOutputError
from tests.collectors.machines import booted
from tests.dockyard import Dockyard, install
from tests.drivers import images
from tests.hosts import LiveHost, LiveHosts, live_hosts

pytestmark = pytest.mark.docker

PROFILE = "echo Welcome!; echo to stderr >&2; set -u; cd /tmp; umask 077; alias cat=false"

NARROW = (
    "RUN useradd -m alice -s /bin/bash && useradd -m bob && echo 'alice,root ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers",
    f"RUN echo '{PROFILE}' | tee /home/alice/.bashrc /home/alice/.profile >>/etc/profile",
    "RUN printf 'Banner /etc/motd\\nMaxSessions 1\\n' >/etc/ssh/sshd_config.d/narrow.conf; echo Keep out >/etc/motd",
)
"""A user with a banner, a noisy and strict profile, sudo without a password, and a server that allows one session."""


@pytest.fixture(scope="module")
def hosts(dockyard: Dockyard, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveHosts]:
    with live_hosts(dockyard, tmp_path_factory.mktemp("hosts")) as made:
        yield made


@pytest.fixture(scope="module")
def wide(hosts: LiveHosts) -> LiveHost:
    """Give a host as Debian makes it, where root logs in."""
    return hosts.start("wide")


@pytest.fixture(scope="module")
def narrow(hosts: LiveHosts) -> LiveHost:
    return hosts.start("narrow", "FROM {machine}", install("sudo"), *NARROW, user="alice")


def all_of(line: Line, commands: list[str]) -> list[Answer | None]:
    """Run commands side by side, and wait for all answers."""
    heard: dict[int, Answer | None] = {}
    line.side_by_side(commands, heard.__setitem__).join()
    return [heard[number] for number in range(len(commands))]


def line_to(hosts: LiveHosts, host: LiveHost, *, user: str = "root", **limits: float) -> Line:
    address = Address(
        host="127.0.0.1", port=hosts.port(host), user=user, host_key=host.host_key, key_file=str(hosts.key_file)
    )
    machine = Machine(address=address, **({"timeout": 20.0} | limits))  # type: ignore[arg-type]
    return Line(host.name, lambda _name: machine)


@pytest.fixture
def line(hosts: LiveHosts, wide: LiveHost) -> Iterator[Line]:
    made = line_to(hosts, wide, timeout=2.0)
    yield made
    made.close()


@pytest.fixture
def alice(hosts: LiveHosts, narrow: LiveHost) -> Iterator[Line]:
    made = line_to(hosts, narrow, user="alice")
    yield made
    made.close()


def assert_next_has_its_own_answer(line: Line) -> None:
    for number in range(3):
        assert line.run(f"echo {number}").stdout == f"{number}\n".encode()


def still_running(host: LiveHost, argument: str) -> str:
    """Return the processes that there are with this argument; one that is being killed has some seconds to go."""
    deadline = time.monotonic() + 5
    while found := _with_argument(host, argument):
        if time.monotonic() > deadline:
            break
        time.sleep(0.1)
    return found


def _with_argument(host: LiveHost, argument: str) -> str:
    listed = host.run("for one in /proc/[0-9]*; do tr '\\0' ' ' <$one/cmdline && echo; done 2>/dev/null || true")
    return "\n".join(row for row in listed.splitlines() if argument in row)


@pytest.mark.parametrize(
    "command",
    [
        "sleep 4711",
        "sh -c 'sleep 4711 & sleep 4711; :'",
        "(trap '' TERM HUP INT; sleep 4711); :",
        "while :; do sh -c 'sleep 4711 & exec sleep 4711'; done",
        "setsid -w sleep 4711",
    ],
)
def test_what_takes_too_long_is_ended_where_it_runs(line: Line, wide: LiveHost, command: str) -> None:
    with pytest.raises(CommandTimeoutError, match=r"no answer within 2 seconds\Z"):
        line.run(command)

    assert still_running(wide, "4711") == ""
    assert_next_has_its_own_answer(line)


def test_a_gigabyte_is_cut_off_and_its_writer_ended(hosts: LiveHosts, wide: LiveHost) -> None:
    line = line_to(hosts, wide)
    with pytest.raises(TooMuchOutputError, match=r"more than 67108864 bytes of output\Z"):
        line.run("head -c 1G /dev/zero; sleep 4712")

    assert still_running(wide, "4712") == ""
    assert_next_has_its_own_answer(line)
    line.close()


def test_a_shell_that_is_killed_costs_one_command(line: Line) -> None:
    with pytest.raises(MachineLostError, match="the command was cut off: the shell ended"):
        line.run("kill -9 $PPID")

    assert_next_has_its_own_answer(line)


def test_a_connection_that_is_cut_costs_one_command_that_is_not_run_again(line: Line, wide: LiveHost) -> None:
    """The process that serves the connection is killed on the far side, in the middle of the command."""
    wide.run("rm -f /tmp/ran")
    with pytest.raises(MachineLostError, match="the command was cut off"):
        line.run("echo ran >>/tmp/ran; kill -9 $(cut -d' ' -f4 /proc/$PPID/stat); sleep 1")

    assert wide.run("cat /tmp/ran") == "ran\n"
    assert_next_has_its_own_answer(line)
    assert line.connections > 1


def test_a_host_that_is_gone_is_gone_at_once(hosts: LiveHosts, line: Line) -> None:
    gone = hosts.start("gone")
    lost = line_to(hosts, gone)
    lost.run("true")
    threading.Timer(0.5, gone.container.kill).start()
    with pytest.raises(LostForGoodError, match="'gone' was lost"):
        lost.run("sleep 30")
    started = time.monotonic()
    for _ in range(20):
        with pytest.raises(LostForGoodError):
            lost.run("true")

    assert time.monotonic() - started < 1
    assert_next_has_its_own_answer(line)


def test_a_full_disk_stops_nothing_but_what_writes(hosts: LiveHosts) -> None:
    """Nothing of ours is written on the far side."""
    full = hosts.start("full")
    full.run("dd if=/dev/zero of=/dev/shm/fill bs=1M 2>/dev/null || true; rm -rf /tmp; ln -s /dev/shm /tmp")
    line = line_to(hosts, full)
    refused = line.run("echo more >/tmp/more")

    assert refused.exit_code != 0
    assert b"No space left" in refused.stderr or b"I/O error" in refused.stderr
    assert_next_has_its_own_answer(line)
    assert [one and one.exit_code for one in all_of(line, ["true"] * 9)] == [0] * 9
    line.close()


def test_threads_of_a_check_ask_at_once_and_each_has_its_own_answer(line: Line) -> None:
    """One of them waits for what another does, which would never come if they took turns."""
    with ThreadPoolExecutor(max_workers=5) as pool:
        waiting = pool.submit(line.run, "until test -e /tmp/go; do sleep 0.1; done; rm /tmp/go; echo gone")
        time.sleep(0.3)
        said = list(pool.map(lambda number: line.run(f"echo {number}").stdout, range(40)))
        line.run("touch /tmp/go")

        assert said == [f"{number}\n".encode() for number in range(40)]
        assert waiting.result().stdout == b"gone\n"
    assert_next_has_its_own_answer(line)
    assert line.connections == 1


def test_threads_take_turns_where_one_session_is_all(alice: Line) -> None:
    with ThreadPoolExecutor(max_workers=4) as pool:
        said = list(pool.map(lambda number: alice.run(f"sleep 0.1; echo {number}").stdout, range(8)))

    assert said == [f"{number}\n".encode() for number in range(8)]
    assert_next_has_its_own_answer(alice)


def test_one_session_is_enough(alice: Line) -> None:
    """For commands, for other users, for a shell besides, and for many questions at once."""
    assert alice.run("id -un").stdout == b"alice\n"
    assert alice.run(wrap("id -un", "")).stdout == b"root\n"
    assert alice.run(wrap("id -un", "bob")).stdout == b"bob\n"
    assert alice.run("id -un").stdout == b"alice\n"
    other = alice.shell()
    assert other.run("id -un", timeout=10).stdout == b"alice\n"
    other.close()
    answers = all_of(alice, [f"echo {number}" for number in range(50)])

    assert [one and one.stdout for one in answers] == [f"{number}\n".encode() for number in range(50)]
    assert_next_has_its_own_answer(alice)


def test_a_banner_a_noisy_and_a_strict_profile_change_no_answer(alice: Line) -> None:
    """Where it is and its umask are what any command over SSH would have of this profile."""
    got = alice.run("cat /etc/hostname; echo $undefined; umask; pwd")

    assert (got.exit_code, got.stdout, got.stderr) == (0, b"narrow\n\n0077\n/tmp\n", b"")


def test_sudo_is_taken_once_for_each_user(alice: Line) -> None:
    parents = {alice.run(wrap("echo $PPID", "")).stdout for _ in range(3)}

    assert len(parents) == 1
    assert alice.run(wrap(wrap("id -un", "bob"), "")).stdout == b"bob\n"


def test_where_sudo_refuses_it_says_why(hosts: LiveHosts, narrow: LiveHost) -> None:
    """As testinfra's own command would: with an exit code and words, and the line goes on."""
    narrow.run(
        "mkdir -p -m 700 /home/bob/.ssh; cp /home/alice/.ssh/authorized_keys /home/bob/.ssh; chown -R bob: /home/bob"
    )
    bob = line_to(hosts, narrow, user="bob")
    got = bob.run(wrap("id -un", ""))

    assert got.exit_code != 0
    assert b"sudo" in got.stderr
    assert bob.run("id -un").stdout == b"bob\n"
    bob.close()


def test_several_shells_answer_in_order(line: Line) -> None:
    answers = all_of(line, [f"echo {number}; exit {number % 7}" for number in range(300)])

    assert [one and (one.stdout, one.exit_code) for one in answers] == [
        (f"{number}\n".encode(), number % 7) for number in range(300)
    ]


def test_one_that_hangs_among_many_has_no_answer_and_harms_no_other(line: Line, wide: LiveHost) -> None:
    commands = [f"echo {number}" for number in range(9)]
    commands[3] = "sleep 4713"
    answers = all_of(line, commands)

    assert answers[3] is None
    assert {one.stdout for one in answers if one} <= {f"{number}\n".encode() for number in range(9)}
    assert still_running(wide, "4713") == ""
    assert_next_has_its_own_answer(line)


def test_a_server_with_too_many_logins_under_way_lets_all_in_after_a_while(hosts: LiveHosts) -> None:
    """Sixteen workers come at once to a server that greets two at a time (`MaxStartups 2`)."""
    busy = hosts.start("busy", "FROM {machine}", "RUN echo MaxStartups 2 >/etc/ssh/sshd_config.d/busy.conf")
    lines = [line_to(hosts, busy) for _ in range(16)]
    with ThreadPoolExecutor(max_workers=16) as pool:
        answers = list(pool.map(lambda line: line.run("echo here").stdout, lines))
    for line in lines:
        line.close()

    assert answers == [b"here\n"] * 16


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox"])
def test_any_posix_shell_will_do(hosts: LiveHosts, shell: str) -> None:
    """Streams apart, bytes kept, nothing left to the next command, many at once, and an end where it runs."""
    brought = [install("busybox-static")] if shell == "busybox" else []
    host = hosts.start(shell, "FROM {machine}", *brought, f"RUN ln -sf /bin/{shell} /bin/sh")
    line = line_to(hosts, host, timeout=2.0)
    assert shell in line.run("readlink -f /proc/$PPID/exe").stdout.decode()
    both = line.run("printf 'a\\000b\\377'; printf err >&2; cd /; set -e; exit 3")
    assert (both.exit_code, both.stdout, both.stderr) == (3, b"a\0b\xff", b"err")
    assert line.run("if true; then").exit_code != 0
    assert line.run("cat; pwd").stdout == b"/root\n"
    assert [one and one.stdout for one in all_of(line, [f"echo {n}" for n in range(99)])] == [
        f"{n}\n".encode() for n in range(99)
    ]
    with pytest.raises(CommandTimeoutError, match=r"no answer within 2 seconds\Z"):
        line.run("sh -c 'sleep 4714 & sleep 4714; :'")
    assert still_running(host, "4714") == ""
    assert_next_has_its_own_answer(line)
    line.close()


def test_where_the_image_has_no_ssh_server_a_command_is_ended_too(dockyard: Dockyard, tmp_path: Path) -> None:
    """By the way that imagetest itself brings, over which a command would run on as well."""
    driver = DockerDriver()
    with booted(driver, dockyard.build(*images.NO_SERVER), tmp_path) as machine:
        line = Line("web", lambda _name: Machine(transport=machine.transport, timeout=1.0))
        with pytest.raises(CommandTimeoutError, match=r"no answer within 1 seconds\Z"):
            line.run("sh -c 'sleep 4716 & sleep 4716; :'")
        listed = machine.run("for one in /proc/[0-9]*; do tr '\\0' ' ' <$one/cmdline && echo; done 2>/dev/null || true")

        assert "sleep 4716" not in listed
        assert_next_has_its_own_answer(line)
    driver.close()


def test_what_sudo_gives_is_taken_anew_once_the_machine_was_changed(hosts: LiveHosts, narrow: LiveHost) -> None:
    """A user's groups are those of the moment at which sudo becomes that user."""
    line = line_to(hosts, narrow, user="alice")
    board = Switchboard(
        machine=lambda _name: line.machine, recorder=Recorder(str), on_lost=lambda _name, why: pytest.fail(why)
    )
    before = board.ask("narrow", wrap("id -nG", "bob")).stdout
    board.ask("narrow", wrap("/usr/sbin/groupadd extra && /usr/sbin/usermod -aG extra bob", ""))

    assert before == b"bob\n"
    assert board.ask("narrow", wrap("id -nG", "bob")).stdout == b"bob extra\n"
    board.close()


CROWD = """
mkdir -p /tmp/crowd && touch "/tmp/crowd/$$" && set -- /tmp/crowd/* && echo "$#"; sleep 0.02; rm "/tmp/crowd/$$"
"""
"""Says how many there are of it."""

SESSIONS = 10
"""What OpenSSH allows on one connection (`MaxSessions`, sshd_config(5))."""


def test_however_much_is_asked_ahead_few_processes_do_it(line: Line) -> None:
    most = max(int(one.stdout) for one in all_of(line, [CROWD] * 60) if one)

    assert 1 < most <= CHANNELS


def test_however_many_threads_ask_the_server_has_no_more_sessions_than_it_allows(line: Line) -> None:
    with ThreadPoolExecutor(max_workers=40) as pool:
        counted = [int(one.stdout) for one in pool.map(lambda _: line.run(CROWD), range(80))]

    assert len(counted) == 80
    assert max(counted) <= SESSIONS
