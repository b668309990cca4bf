"""The gateway is an SSH server that any client can use, that lets in one key, and that leaves nothing behind."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import paramiko
import pytest

from imagetest.execute import keys
from imagetest.execute.local import LocalExecutor, LocalProcess
from imagetest.model.instance import Address
from imagetest.testing.contracts import make_access
from imagetest.transport import connection
from imagetest.transport.gateway import Gateway, serve_one
from tests.transport.conftest import Served

SECONDS = 20.0


def ssh(served: Served, *words: str, typed: bytes = b"", user: str = "root") -> subprocess.CompletedProcess[bytes]:
    """Run OpenSSH's own client against the gateway, with the host key pinned."""
    known = served.access.key_file.with_name("known_hosts")
    known.write_text(f"imagetest {served.address.host_key}\n")
    options = {
        "IdentitiesOnly": "yes", "HostKeyAlias": "imagetest", "UserKnownHostsFile": str(known),
        "GlobalKnownHostsFile": "/dev/null", "StrictHostKeyChecking": "yes", "BatchMode": "yes",
    }  # fmt: skip
    argv = ["ssh", "-F", "none", "-i", served.address.key_file, "-p", str(served.address.port)]
    argv += [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    return subprocess.run(
        [*argv, f"{user}@127.0.0.1", *words], input=typed, capture_output=True, timeout=SECONDS, check=False
    )


def eventually(true: Callable[[], bool]) -> bool:
    """Say whether something becomes true within two seconds."""
    deadline = time.monotonic() + 2
    while not true() and time.monotonic() < deadline:
        time.sleep(0.01)
    return true()


def test_openssh_gets_both_streams_and_the_exit_code(shared: Served) -> None:
    done = ssh(shared, "echo out; echo err >&2; exit 9")

    assert (done.returncode, done.stdout, done.stderr) == (9, b"out\n", b"err\n")


def test_openssh_can_type_into_a_command(shared: Served) -> None:
    typed = os.urandom(300_000)
    done = ssh(shared, "cat", typed=typed)

    assert (done.returncode, done.stdout == typed, done.stderr) == (0, True, b"")


def test_openssh_can_open_a_shell(shared: Served) -> None:
    done = ssh(shared, typed=b"echo in; cd /; pwd\nexit 4\n")

    assert (done.returncode, done.stdout) == (4, b"in\n/\n")


def test_a_command_that_is_not_there_says_so(shared: Served) -> None:
    done = ssh(shared, "no-such-command-here")

    assert done.returncode == 127
    assert b"not found" in done.stderr


def test_a_killed_command_has_the_exit_code_that_shells_give(shared: Served) -> None:
    assert ssh(shared, "kill -9 $$").returncode == 137


@pytest.mark.parametrize("wrong", ["user", "key"])
def test_openssh_is_refused_without_the_user_and_the_key(shared: Served, tmp_path: Path, wrong: str) -> None:
    stranger = replace(shared.address, key_file=str(keys.generate().write(tmp_path / "stranger")))
    done = (
        ssh(shared, "true", user="alice")
        if wrong == "user"
        else ssh(Served(shared.gateway, stranger, shared.access, shared.folder), "true")
    )

    assert done.returncode == 255
    assert b"Permission denied (publickey)" in done.stderr


def test_it_listens_on_loopback_alone(shared: Served) -> None:
    listening = "0A"
    rows = [line.split() for table in ("tcp", "tcp6") for line in Path(f"/proc/net/{table}").read_text().splitlines()]
    local = [row[1] for row in rows if row[3] == listening and row[1].endswith(f":{shared.gateway.port:04X}")]

    assert local == [f"0100007F:{shared.gateway.port:04X}"]


@pytest.mark.parametrize("kind", ["direct-tcpip", "x11"])
def test_it_serves_commands_and_nothing_else(shared: Served, kind: str) -> None:
    transport = connection.connect(shared.address)
    with pytest.raises(paramiko.ChannelException):
        transport.open_channel(kind, ("127.0.0.1", 22), ("127.0.0.1", 22), timeout=SECONDS)
    with pytest.raises(paramiko.SSHException):
        transport.open_session(timeout=SECONDS).invoke_subsystem("sftp")
    with pytest.raises(paramiko.SSHException):
        transport.request_port_forward("127.0.0.1", 0)

    transport.close()


def test_many_commands_run_at_once(shared: Served) -> None:
    transport = connection.connect(shared.address)
    channels = [transport.open_session(timeout=SECONDS) for _ in range(20)]
    for number, channel in enumerate(channels):
        channel.exec_command(f"sleep 0.2; exit {number}")

    assert [channel.recv_exit_status() for channel in channels] == list(range(20))
    transport.close()


def test_the_end_of_a_quick_command_is_never_taken_for_a_refusal(shared: Served) -> None:
    transport = connection.connect(shared.address)
    codes = set()
    for _ in range(100):
        channel = transport.open_session(timeout=SECONDS)
        channel.exec_command("exit 7")
        codes.add(channel.recv_exit_status())

    assert codes == {7}
    transport.close()


def test_a_command_that_cannot_be_started_says_why_and_the_connection_stays(tmp_path: Path) -> None:
    class Failing(LocalExecutor):
        def start(self, command: str, *, terminal: bool) -> LocalProcess:
            if "machine" in command:
                raise OSError("the machine is gone")
            return super().start(command, terminal=terminal)

    access = make_access(tmp_path)
    with Gateway(Failing(tmp_path), host_key=access.host, allowed=access.user.public, user="root") as gateway:
        address = replace(served_address(access.host, access.key_file), port=gateway.port)
        transport = connection.connect(address)
        refused = transport.open_session(timeout=SECONDS)
        refused.exec_command("machine")

        assert refused.recv_stderr(100) == b"the machine is gone\n"
        assert refused.recv_exit_status() == 126

        channel = transport.open_session(timeout=SECONDS)
        channel.exec_command("exit 3")

        assert channel.recv_exit_status() == 3
        transport.close()


def test_closing_leaves_no_thread_no_socket_and_no_process(served: Served) -> None:
    """Not even for a command that would run for ever, or a client that never speaks."""
    before = len(threading.enumerate()) - 1  # without the one that accepts
    transport = connection.connect(served.address)
    silent = socket.create_connection((served.address.host, served.address.port))
    channel = transport.open_session(timeout=SECONDS)
    channel.exec_command(f"echo $$ >{served.folder}/pid; exec sleep 1000")
    unread = transport.open_session(timeout=SECONDS)
    unread.exec_command("while :; do echo more; done")
    assert eventually(lambda: (served.folder / "pid").is_file() and bool((served.folder / "pid").read_text()))
    pid = int((served.folder / "pid").read_text())
    served.gateway.close()
    transport.close()
    silent.close()

    assert eventually(lambda: not Path(f"/proc/{pid}").exists())
    assert eventually(lambda: len(threading.enumerate()) <= before)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((served.address.host, served.address.port))


def test_closing_twice_is_fine(served: Served) -> None:
    served.gateway.close()
    served.gateway.close()


def test_a_client_that_goes_away_takes_its_command_with_it(served: Served) -> None:
    transport = connection.connect(served.address)
    transport.open_session(timeout=SECONDS).exec_command(f"echo $$ >{served.folder}/pid; exec sleep 1000")
    assert eventually(lambda: (served.folder / "pid").is_file() and bool((served.folder / "pid").read_text()))
    pid = int((served.folder / "pid").read_text())
    transport.close()

    assert eventually(lambda: not Path(f"/proc/{pid}").exists())


def test_one_connection_can_be_served_over_any_socket(tmp_path: Path) -> None:
    """What `imagetest gateway` does for an OpenSSH client's ProxyCommand."""
    access = make_access(tmp_path)
    near, far = socket.socketpair()
    options = {"host_key": access.host, "allowed": access.user.public, "user": "root"}
    server = threading.Thread(target=serve_one, args=(far, LocalExecutor(tmp_path)), kwargs=options)
    server.start()
    client = paramiko.Transport(near)
    client.start_client(timeout=SECONDS)
    client.auth_publickey("root", paramiko.Ed25519Key.from_private_key_file(str(access.key_file)))
    channel = client.open_session(timeout=SECONDS)
    channel.exec_command("exit 6")
    code = channel.recv_exit_status()
    client.close()
    server.join(SECONDS)

    assert code == 6
    assert not server.is_alive()


def served_address(host: keys.KeyPair, key_file: Path) -> Address:
    return Address(host="127.0.0.1", port=0, user="root", host_key=host.public, key_file=str(key_file))
