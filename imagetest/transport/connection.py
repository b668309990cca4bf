"""An SSH connection that trusts one host key, known beforehand, and nothing else."""

from __future__ import annotations

import base64
import logging
import socket
import threading
import time
from collections.abc import Callable

import paramiko

from imagetest.errors import BootError, MachineLostError
from imagetest.execute.interrupts import interrupts
from imagetest.model.instance import Address

logging.getLogger("paramiko").setLevel(logging.CRITICAL)  # its threads log what we raise

ATTEMPT_SECONDS = 2.0
"""How long one attempt waits for the server's banner; a port forwarder may accept long before a server listens."""

LOGIN_SECONDS = 60.0
"""How long a server that speaks may take to let somebody in: an interrupt waits for it."""

PAUSE_SECONDS = 0.02
"""Between two attempts."""


class HostKeyError(BootError):
    """The server presented a host key other than the pinned one."""


class AuthenticationRefusedError(BootError):
    """The server does not let this user in with the run's key."""


class UnsupportedServerError(BootError):
    """Something else than an SSH server with an Ed25519 host key answers."""


def connect(address: Address, *, timeout: float = 10) -> paramiko.Transport:
    """Open an authenticated connection.

    Raises HostKeyError, AuthenticationRefusedError, UnsupportedServerError, or MachineLostError when nobody answers.
    """
    try:
        with interrupts.held():
            channel = _dial(address, timeout)
            return _authenticate(channel, address, timeout)
    except OSError as error:
        raise MachineLostError(f"{address.host}:{address.port} does not answer: {error}") from error


def _dial(address: Address, timeout: float) -> socket.socket:
    channel = socket.create_connection((address.host, address.port), timeout)
    # Nagle's algorithm and delayed acknowledgements together cost 44 ms a command.
    channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return channel


def wait(address: Address, *, deadline: float, alive: Callable[[], None]) -> paramiko.Transport:
    """Connect as soon as the server speaks; `deadline` is a time of time.monotonic().

    `alive` is asked between attempts and raises when there is no use in waiting. Raises BootError at the deadline, and
    what `connect` raises when a server answers that will never let us in.
    """
    reason = ""
    while True:
        try:
            with interrupts.held():
                channel = _greeted(address, deadline)
                if channel is not None:
                    return _authenticate(channel, address, max(1.0, deadline - time.monotonic()))
        except MachineLostError as error:
            reason = f": {error}"  # it closed in the middle: a server on its way up or down
        alive()
        if time.monotonic() >= deadline:
            raise BootError(f"no SSH server answered in time{reason}")
        time.sleep(PAUSE_SECONDS)


def _greeted(address: Address, deadline: float) -> socket.socket | None:
    """Return a connection on which a server has begun to speak SSH, its greeting unread; None when none has."""
    patience = max(0.05, min(ATTEMPT_SECONDS, deadline - time.monotonic()))
    try:
        channel = _dial(address, patience)
    except OSError:
        return None
    try:
        if channel.recv(4, socket.MSG_PEEK) == b"SSH-":
            return channel
    except OSError:
        pass
    channel.close()
    return None


def _authenticate(channel: socket.socket, address: Address, timeout: float) -> paramiko.Transport:
    transport = paramiko.Transport(channel)
    deadline = time.monotonic() + timeout
    try:
        transport.get_security_options().key_types = ["ssh-ed25519"]
        transport.start_client(timeout=timeout)
        _verify(transport, address)
        _log_in(transport, address, deadline)
    except paramiko.ssh_exception.IncompatiblePeer as error:
        _drop(transport, channel)
        raise UnsupportedServerError(
            f"the SSH server offers nothing that is safe to use: {error}",
            hint="let it offer an Ed25519 host key, or set boot.ssh to 'gateway'",
        ) from error
    except (paramiko.SSHException, EOFError, OSError) as error:
        _drop(transport, channel)
        raise MachineLostError(f"the SSH connection broke while it was set up: {error}") from error
    except BaseException:
        _drop(transport, channel)
        raise
    transport.set_keepalive(15)
    return transport


def _log_in(transport: paramiko.Transport, address: Address, deadline: float) -> None:
    """Offer the run's key; only a server that answers has refused it."""
    answered = threading.Event()
    transport.auth_publickey(address.user, paramiko.Ed25519Key.from_private_key_file(address.key_file), answered)
    if not answered.wait(max(0.1, min(LOGIN_SECONDS, deadline - time.monotonic()))):
        raise MachineLostError("the SSH server did not answer the login in time")
    if not transport.is_active():
        raise MachineLostError("the SSH server ended the connection instead of answering the login")
    if not transport.is_authenticated():
        raise AuthenticationRefusedError(
            f"the SSH server does not let {address.user!r} in with a key",
            hint="name another user with boot.user, or set boot.ssh to 'gateway'",
        )


def _drop(transport: paramiko.Transport, channel: socket.socket) -> None:
    """Close both: a transport that has ended by itself leaves its socket open."""
    transport.close()
    channel.close()


def _verify(transport: paramiko.Transport, address: Address) -> None:
    """Compare the server's key with the pinned one before anything is said to it."""
    key = transport.get_remote_server_key()
    pinned = address.host_key.split()[1]
    if base64.b64encode(key.asbytes()).decode() != pinned:
        raise HostKeyError(
            f"{address.host}:{address.port} presents the host key {key.fingerprint}, which is not the pinned one",
            hint="something else answers on that port, or the image replaces its host keys when it boots",
        )
