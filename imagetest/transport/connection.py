"""An SSH connection that trusts one host key, known beforehand, and nothing else."""

from __future__ import annotations

import base64
import logging
import socket
import time
from collections.abc import Callable

import paramiko

from imagetest.errors import BootError, MachineLostError
from imagetest.model.instance import Address

logging.getLogger("paramiko").setLevel(logging.CRITICAL)  # its threads log what we raise

ATTEMPT_SECONDS = 2.0
"""How long one attempt waits for the server's banner; a port forwarder may accept long before a server listens."""

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
        channel = socket.create_connection((address.host, address.port), timeout)
        # Nagle's algorithm and delayed acknowledgements together cost 44 ms a command.
        channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        raise MachineLostError(f"{address.host}:{address.port} does not answer: {error}") from error
    return _authenticate(channel, address, timeout)


def wait(address: Address, *, deadline: float, alive: Callable[[], None]) -> paramiko.Transport:
    """Connect as soon as the server speaks; `deadline` is a time of time.monotonic().

    `alive` is asked between attempts and raises when there is no use in waiting. Raises BootError at the deadline, and
    what `connect` raises when a server answers that will never let us in.
    """
    while True:
        channel = _greeted(address, deadline)
        if channel is not None:
            try:
                return _authenticate(channel, address, max(1.0, deadline - time.monotonic()))
            except MachineLostError:
                pass  # it closed in the middle: a server on its way up or down
        alive()
        if time.monotonic() >= deadline:
            raise BootError("no SSH server answered in time")
        time.sleep(PAUSE_SECONDS)


def _greeted(address: Address, deadline: float) -> socket.socket | None:
    """Return a connection on which a server has begun to speak SSH, its greeting unread; None when none has."""
    patience = max(0.05, min(ATTEMPT_SECONDS, deadline - time.monotonic()))
    try:
        channel = socket.create_connection((address.host, address.port), patience)
    except OSError:
        return None
    try:
        channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if channel.recv(4, socket.MSG_PEEK) == b"SSH-":
            return channel
    except OSError:
        pass
    channel.close()
    return None


def _authenticate(channel: socket.socket, address: Address, timeout: float) -> paramiko.Transport:
    transport = paramiko.Transport(channel)
    try:
        transport.get_security_options().key_types = ["ssh-ed25519"]
        transport.start_client(timeout=timeout)
        _verify(transport, address)
        transport.auth_publickey(address.user, paramiko.Ed25519Key.from_private_key_file(address.key_file))
    except paramiko.AuthenticationException as error:
        transport.close()
        raise AuthenticationRefusedError(
            f"the SSH server does not let {address.user!r} in with a key",
            hint="name another user with boot.user, or set boot.ssh to 'gateway'",
        ) from error
    except paramiko.ssh_exception.IncompatiblePeer as error:
        transport.close()
        raise UnsupportedServerError(f"the SSH server offers nothing that is safe to use: {error}") from error
    except (paramiko.SSHException, EOFError, OSError) as error:
        transport.close()
        raise MachineLostError(f"the SSH connection broke while it was set up: {error}") from error
    except BaseException:
        transport.close()
        raise
    transport.set_keepalive(15)
    return transport


def _verify(transport: paramiko.Transport, address: Address) -> None:
    """Compare the server's key with the pinned one before anything is said to it."""
    key = transport.get_remote_server_key()
    pinned = address.host_key.split()[1]
    if base64.b64encode(key.asbytes()).decode() != pinned:
        raise HostKeyError(
            f"{address.host}:{address.port} presents the host key {key.fingerprint}, which is not the pinned one",
            hint="something else answers on that port, or the image replaces its host keys when it boots",
        )
