"""One host key is trusted and nothing else; whatever answers wrongly ends in one clear error, and in time."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import paramiko
import pytest

from imagetest.errors import BootError, MachineLostError
from imagetest.execute import keys
from imagetest.model.instance import Address
from imagetest.transport import connection
from tests.transport.conftest import Served

Behaviour = Callable[[socket.socket], None]


@contextmanager
def server(address: Address, behaviour: Behaviour) -> Iterator[Address]:
    """Give the address of a server that does this to each of its clients, one after the other."""
    clients: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                clients.append(client)
                try:
                    behaviour(client)
                except OSError:
                    continue  # it was not interested

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield replace(address, port=listener.getsockname()[1])
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            for client in clients:
                client.close()
            thread.join()


def closes(client: socket.socket) -> None:
    client.close()


def is_silent(client: socket.socket) -> None:
    del client


def speaks_http(client: socket.socket) -> None:
    client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    client.close()


def stops_after_its_greeting(client: socket.socket) -> None:
    client.sendall(b"SSH-2.0-Half\r\n")


def speaks_garbage_after_its_greeting(client: socket.socket) -> None:
    client.sendall(b"SSH-2.0-Garbage\r\n" + bytes(range(256)) * 40)
    client.close()


def speaks_an_old_version(client: socket.socket) -> None:
    client.sendall(b"SSH-1.5-Old\r\n")
    client.close()


def alive() -> None:
    """Say that there is use in waiting."""


def soon(seconds: float) -> float:
    return time.monotonic() + seconds


def test_the_right_server_is_let_through(served: Served) -> None:
    transport = connection.connect(served.address)

    assert transport.is_authenticated()
    transport.close()


def test_a_connection_sends_small_packets_at_once(served: Served) -> None:
    transport = connection.wait(served.address, deadline=soon(5), alive=alive)

    assert isinstance(transport.sock, socket.socket)
    assert transport.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    transport.close()


@pytest.mark.parametrize("way", [connection.connect, lambda to: connection.wait(to, deadline=soon(5), alive=alive)])
def test_another_host_key_is_refused_before_anything_is_said(
    served: Served, way: Callable[[Address], paramiko.Transport]
) -> None:
    """The server of this test would let everybody in, and remembers who asked."""
    asked: list[str] = []

    class Trusting(paramiko.ServerInterface):
        def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
            asked.append(f"{username} {key.get_name()}")
            return paramiko.common.AUTH_SUCCESSFUL

    def trusts_everybody(client: socket.socket) -> None:
        transport = paramiko.Transport(client)
        transport.add_server_key(paramiko.Ed25519Key.from_private_key_file(served.address.key_file))
        transport.start_server(event=threading.Event(), server=Trusting())

    started = time.monotonic()
    with server(served.address, trusts_everybody) as address, pytest.raises(connection.HostKeyError) as caught:
        way(address)

    assert asked == []
    assert "not the pinned one" in str(caught.value)
    assert served.access.user.fingerprint in str(caught.value)
    assert time.monotonic() - started < 3


@pytest.mark.parametrize("wrong", ["key", "user"])
def test_a_refused_login_is_not_tried_again(served: Served, tmp_path: Path, wrong: str) -> None:
    stranger = keys.generate().write(tmp_path / "stranger")
    address = (
        replace(served.address, user="alice") if wrong == "user" else replace(served.address, key_file=str(stranger))
    )

    with pytest.raises(connection.AuthenticationRefusedError, match=repr(address.user)):
        connection.wait(address, deadline=soon(5), alive=alive)


def test_half_a_login_is_a_refused_one(served: Served) -> None:
    """A server may ask for a password on top of the key."""

    class Demanding(paramiko.ServerInterface):
        def get_allowed_auths(self, username: str) -> str:
            del username
            return "publickey,password"

        def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
            del username, key
            return paramiko.common.AUTH_PARTIALLY_SUCCESSFUL

    def wants_more(client: socket.socket) -> None:
        transport = paramiko.Transport(client)
        transport.add_server_key(paramiko.Ed25519Key(filename=str(served.access.key_file.with_name("host"))))
        transport.start_server(event=threading.Event(), server=Demanding())

    served.access.host.write(served.access.key_file.with_name("host"))
    with server(served.address, wants_more) as address, pytest.raises(connection.AuthenticationRefusedError):
        connection.wait(address, deadline=soon(5), alive=alive)


def test_a_server_of_another_age_is_unsupported(served: Served) -> None:
    with server(served.address, speaks_an_old_version) as address, pytest.raises(connection.UnsupportedServerError):
        connection.wait(address, deadline=soon(5), alive=alive)


def test_a_server_that_hangs_up_on_a_login_has_not_refused_it(served: Served) -> None:
    """A server on its way down does that."""

    class Ending(paramiko.ServerInterface):
        def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
            del username, key
            raise EOFError

    def ends(client: socket.socket) -> None:
        transport = paramiko.Transport(client)
        transport.add_server_key(paramiko.Ed25519Key(filename=str(served.access.key_file.with_name("host"))))
        transport.start_server(event=threading.Event(), server=Ending())

    served.access.host.write(served.access.key_file.with_name("host"))
    with (
        server(served.address, ends) as address,
        pytest.raises(BootError, match="instead of answering the login") as caught,
    ):
        connection.wait(address, deadline=soon(1), alive=alive)

    assert not isinstance(caught.value, connection.AuthenticationRefusedError)


def test_a_server_without_an_ed25519_key_is_unsupported(served: Served) -> None:
    rsa = paramiko.RSAKey.generate(2048)

    def has_rsa_only(client: socket.socket) -> None:
        transport = paramiko.Transport(client)
        transport.add_server_key(rsa)
        transport.start_server(event=threading.Event(), server=paramiko.ServerInterface())

    with server(served.address, has_rsa_only) as address, pytest.raises(connection.UnsupportedServerError):
        connection.wait(address, deadline=soon(5), alive=alive)


@pytest.mark.parametrize(
    "behaviour",
    [
        closes,
        is_silent,
        speaks_http,
        stops_after_its_greeting,
        speaks_garbage_after_its_greeting,
    ],
)
def test_what_never_speaks_ssh_is_waited_for_until_the_deadline_and_no_longer(
    served: Served, behaviour: Behaviour
) -> None:
    started = time.monotonic()
    with server(served.address, behaviour) as address, pytest.raises(BootError, match="no SSH server answered in time"):
        connection.wait(address, deadline=soon(1.2), alive=alive)

    assert 1.2 <= time.monotonic() - started < 2.7


def test_a_login_that_is_never_answered_is_given_up_at_the_deadline(served: Served) -> None:
    release = threading.Event()

    class Hesitant(paramiko.ServerInterface):
        def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
            del username, key
            release.wait(20)
            return paramiko.common.AUTH_FAILED

    def hesitates(client: socket.socket) -> None:
        transport = paramiko.Transport(client)
        transport.add_server_key(paramiko.Ed25519Key(filename=str(served.access.key_file.with_name("host"))))
        transport.start_server(event=threading.Event(), server=Hesitant())

    served.access.host.write(served.access.key_file.with_name("host"))
    started = time.monotonic()
    try:
        with server(served.address, hesitates) as address, pytest.raises(BootError, match="no SSH server answered"):
            connection.wait(address, deadline=soon(1.5), alive=alive)
    finally:
        release.set()

    assert time.monotonic() - started < 4


def test_a_server_that_starts_late_is_waited_for(served: Served) -> None:
    """A port forwarder accepts long before the server behind it listens."""
    attempts: list[float] = []

    def comes_late(client: socket.socket) -> None:
        attempts.append(time.monotonic())
        if len(attempts) < 4:
            client.close()
            return
        inner = socket.create_connection((served.address.host, served.address.port))
        for one, other in ((client, inner), (inner, client)):
            threading.Thread(target=_copy, args=(one, other), daemon=True).start()

    with server(served.address, comes_late) as address:
        transport = connection.wait(address, deadline=soon(10), alive=alive)
        transport.close()

    assert len(attempts) == 4


def test_there_is_no_waiting_for_the_dead(served: Served) -> None:
    def dead() -> None:
        raise BootError("the container ended by itself")

    started = time.monotonic()
    with server(served.address, closes) as address, pytest.raises(BootError, match="ended by itself"):
        connection.wait(address, deadline=soon(30), alive=dead)

    assert time.monotonic() - started < 1


def test_a_port_that_nobody_listens_on_is_a_lost_machine(served: Served) -> None:
    served.gateway.close()

    with pytest.raises(MachineLostError, match=f"127.0.0.1:{served.address.port} does not answer"):
        connection.connect(served.address)


def test_a_silent_port_is_a_lost_machine_in_time(served: Served) -> None:
    started = time.monotonic()
    with server(served.address, is_silent) as address, pytest.raises(MachineLostError):
        connection.connect(address, timeout=1)

    assert time.monotonic() - started < 3


def _copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
    finally:
        source.close()
        target.close()
