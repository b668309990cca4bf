"""An SSH server on this side of the wall, for machines that have none.

It listens on loopback, lets in one key, presents one host key, and hands each command to an `Executor`, such as the
container engine's exec. Nothing of it enters the machine: no server, no key, no account.
"""

from __future__ import annotations

import io
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

import paramiko
from paramiko import common

from imagetest.execute.keys import KeyPair

CHUNK = 32768
STDERR = 2
CANNOT_EXECUTE = 126
"""What a POSIX shell exits with when a command is there and cannot be run."""


class Process(Protocol):
    """A command that runs on the machine."""

    def read(self) -> tuple[int, bytes]:
        """Return the number of the stream (1 or 2) and what came on it; an empty chunk at the end."""
        ...

    def write(self, data: bytes) -> None:
        """Send to its standard input."""
        ...

    def close_input(self) -> None:
        """End its standard input; what is still to be read stays so, and a terminal goes on."""
        ...

    def exit_code(self) -> int:
        """Return the exit code, once `read` has come to the end."""
        ...

    def resize(self, *, rows: int, columns: int) -> None:
        """Tell its terminal the new size."""
        ...

    def hang_up(self) -> None:
        """Let go of it, whether it ended or not: `read` comes to the end. May be called from another thread."""
        ...

    def close(self) -> None:
        """Free what it holds on this side, once nobody reads any more."""
        ...


class Executor(Protocol):
    """Starts commands on the machine."""

    def start(self, command: str, *, terminal: bool) -> Process:
        """Start a command in a shell; an empty one is a login shell. Raises OSError when it cannot be started."""
        ...


class Gateway:
    """Serves SSH on loopback until it is closed."""

    def __init__(self, executor: Executor, *, host_key: KeyPair, allowed: str, user: str) -> None:
        self._factory = _Factory(executor, host_key=host_key, allowed=allowed, user=user)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._clients: list[_Client] = []
        self._acceptor = threading.Thread(target=self._accept, name="gateway", daemon=True)
        self._acceptor.start()

    @property
    def port(self) -> int:
        """Return the port on 127.0.0.1."""
        port: int = self._listener.getsockname()[1]
        return port

    def __enter__(self) -> Self:
        """Serve until the end of the context."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Stop listening and end every session."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # closing alone would leave the acceptor where it waits
        self._listener.close()
        self._acceptor.join()
        for client in self._clients:
            client.close()

    def _accept(self) -> None:
        while True:
            try:
                channel, _ = self._listener.accept()
            except OSError:
                return  # closed
            channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._clients = [client for client in self._clients if client.transport.is_active()]
            client = self._factory.serve(channel)
            if client is not None:
                self._clients.append(client)


def serve_one(channel: socket.socket, executor: Executor, *, host_key: KeyPair, allowed: str, user: str) -> None:
    """Serve one connection to its end: what an OpenSSH client's ProxyCommand talks to."""
    client = _Factory(executor, host_key=host_key, allowed=allowed, user=user).serve(channel)
    if client is not None:
        client.transport.join()
        client.close()


@dataclass(frozen=True, slots=True)
class _Client:
    """One connection, and what runs for it."""

    transport: paramiko.Transport
    server: _Server

    def close(self) -> None:
        self.transport.close()
        self.server.close()


class _Factory:
    """Makes the server side of a connection."""

    def __init__(self, executor: Executor, *, host_key: KeyPair, allowed: str, user: str) -> None:
        self._executor = executor
        self._allowed = allowed
        self._user = user
        self._host_key = paramiko.Ed25519Key.from_private_key(io.StringIO(host_key.private))

    def serve(self, channel: socket.socket) -> _Client | None:
        """Start serving a connection; None when the client went away at once."""
        transport = _Transport(channel)
        transport.daemon = True
        transport.add_server_key(self._host_key)
        server = _Server(self._executor, allowed=self._allowed, user=self._user)
        try:
            transport.start_server(event=threading.Event(), server=server)
        except (paramiko.SSHException, EOFError, OSError):
            transport.close()
            return None
        return _Client(transport, server)


class _Server(paramiko.ServerInterface):
    """What one client may do: log in with the one key, then run commands."""

    def __init__(self, executor: Executor, *, allowed: str, user: str) -> None:
        self._executor = executor
        self._allowed = allowed.split()[1]
        self._user = user
        self._terminals: dict[int, tuple[int, int]] = {}
        self._processes: dict[int, Process] = {}
        self._accepted: list[tuple[paramiko.Channel, Process]] = []

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        known = username == self._user and key.get_base64() == self._allowed
        return common.AUTH_SUCCESSFUL if known else common.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return common.OPEN_SUCCEEDED if kind == "session" else common.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def check_channel_pty_request(
        self,
        channel: paramiko.Channel,
        term: bytes,
        width: int,
        height: int,
        pixelwidth: int,
        pixelheight: int,
        modes: bytes,
    ) -> bool:
        self._terminals[channel.chanid] = (height, width)
        return True

    def check_channel_window_change_request(
        self, channel: paramiko.Channel, width: int, height: int, pixelwidth: int, pixelheight: int
    ) -> bool:
        process = self._processes.get(channel.chanid)
        if process is not None:
            process.resize(rows=height, columns=width)
        return True

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        return self._start(channel, command.decode("utf-8", "surrogateescape"))

    def check_channel_shell_request(self, channel: paramiko.Channel) -> bool:
        return self._start(channel, "")

    def close(self) -> None:
        """Let go of whatever still runs."""
        for process in list(self._processes.values()):
            process.hang_up()

    def _start(self, channel: paramiko.Channel, command: str) -> bool:
        try:
            process = self._executor.start(command, terminal=channel.chanid in self._terminals)
        except OSError as error:
            process = _Unstartable(str(error))
        self._processes[channel.chanid] = process
        if channel.chanid in self._terminals:
            rows, columns = self._terminals[channel.chanid]
            process.resize(rows=rows, columns=columns)
        self._accepted.append((channel, process))
        return True

    def begin(self) -> None:
        """Let what was accepted speak and be spoken to."""
        while self._accepted:
            for pump in (_pump_in, _pump_out):
                threading.Thread(target=pump, args=self._accepted[-1], name="gateway", daemon=True).start()
            self._accepted.pop()


def _answer(channel: paramiko.Channel, request: paramiko.Message) -> None:
    """Answer a request, and only then begin: a client takes the end of a quick command for a refusal otherwise."""
    channel._handle_request(request)  # type: ignore[attr-defined]  # noqa: SLF001 - paramiko offers no hook for it
    server = channel.get_transport().server_object
    if isinstance(server, _Server):
        server.begin()


class _Transport(paramiko.Transport):
    _channel_handler_table = paramiko.Transport._channel_handler_table | {  # type: ignore[attr-defined]  # noqa: SLF001
        common.MSG_CHANNEL_REQUEST: _answer
    }


class _Unstartable:
    """Says why a command was not started, and ends as it would in a shell."""

    def __init__(self, reason: str) -> None:
        self._said = [f"{reason}\n".encode()]

    def read(self) -> tuple[int, bytes]:
        return STDERR, self._said.pop() if self._said else b""

    def write(self, data: bytes) -> None:
        """Throw the input away."""

    def close_input(self) -> None:
        """Do nothing: nobody reads it."""

    def exit_code(self) -> int:
        return CANNOT_EXECUTE

    def resize(self, *, rows: int, columns: int) -> None:
        """Do nothing: there is no terminal."""

    def hang_up(self) -> None:
        """Do nothing: nothing runs."""

    def close(self) -> None:
        """Do nothing: nothing is held."""


def _pump_in(channel: paramiko.Channel, process: Process) -> None:
    try:
        while data := channel.recv(CHUNK):
            process.write(data)
        process.close_input()
        if channel.closed:
            process.hang_up()  # nobody is left to read what it says
    except (OSError, EOFError, paramiko.SSHException):
        return  # the other direction ends the channel


def _pump_out(channel: paramiko.Channel, process: Process) -> None:
    try:
        while True:
            stream, data = process.read()
            if not data:
                break
            (channel.sendall_stderr if stream == STDERR else channel.sendall)(data)
        channel.send_exit_status(process.exit_code())
    except (OSError, EOFError, paramiko.SSHException):
        pass  # the client went away, or the machine did: both end the channel
    finally:
        process.close()
        with suppress(OSError, EOFError):  # the connection may be gone by now
            channel.close()
