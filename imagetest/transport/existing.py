"""Reach live hosts as `ssh` would: by the user's configuration, through bastions, trusting only keys that are known."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from paramiko.pkey import UnknownKeyType

from imagetest.errors import MachineLostError
from imagetest.execute import process
from imagetest.execute.interrupts import interrupts
from imagetest.transport.known_hosts import Trust, trust
from imagetest.transport.ssh_config import Destination, resolve

ALGORITHMS = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256")}
"""The signatures that a key may make where they are not called as the key is (RFC 8332)."""


PAUSES = (0.2, 1.0, None)
"""Seconds before another attempt when a server closes before it says anything; None ends it."""


class UnreachableError(MachineLostError):
    """A live host could not be reached, or is not who it should be."""


class Roads:
    """Ways to live hosts; a bastion is connected to once, however many hosts lie behind it."""

    def __init__(self, config: Path | None = None) -> None:
        self._config = config
        self._lock = threading.Lock()
        self._bastions: dict[tuple[str, ...], Future[paramiko.Transport]] = {}
        self._programs: list[process.Dialogue] = []

    def dial(self, name: str) -> paramiko.Transport:
        """Open an authenticated connection to a host, to be closed by the caller.

        Raises UnreachableError, in words that name the host, and UsageError when the name makes no sense.
        """
        to = resolve(name, self._config)
        through = _without(to.jumps, {name})
        self._follow(name, through)
        return self._connect(to, through)

    def close(self) -> None:
        """Close the connections to the bastions, and with them all that led through; end the programs that led on."""
        with self._lock:
            bastions, self._bastions = list(self._bastions.values()), {}
            programs, self._programs = self._programs, []
        for bastion in bastions:
            if bastion.exception() is None:
                bastion.result().close()
        for program in programs:
            program.close()

    def _follow(self, name: str, through: tuple[str, ...]) -> None:
        """Raise UnreachableError when bastions lead in a circle: each would wait for the next, in any thread."""
        passed = [name]
        while through:
            passed.append(through[0])
            if through[0] in passed[:-1]:
                raise UnreachableError(
                    f"cannot reach {name!r}: its bastions lead in a circle: {' -> '.join(passed)}",
                    hint="correct ProxyJump in the ssh_config",
                )
            through = _without(resolve(through[0], self._config).jumps, {through[0]})

    def _connect(self, to: Destination, through: tuple[str, ...]) -> paramiko.Transport:
        known = trust(to.alias, to.known_hosts)
        if not known.trusted:
            raise UnreachableError(
                f"cannot reach {to.name!r}: no host key of {to.alias!r} is known",
                hint=f"find out its host key and add it to {to.known_hosts[0] if to.known_hosts else 'known_hosts'}",
            )
        try:
            with interrupts.held():
                return self._enter(to, through, known)
        except UnreachableError:
            raise
        except (paramiko.SSHException, EOFError, OSError) as error:
            reason = str(error) or "the connection was closed"
            raise UnreachableError(f"cannot reach {to.name!r} at {to.host}:{to.port}: {reason}") from error

    def _enter(self, to: Destination, through: tuple[str, ...], known: Trust) -> paramiko.Transport:
        for pause in PAUSES:
            line = self._line(to, through)
            try:
                return _greet(line, to, known)
            except (_NotGreetedError, EOFError) as error:
                if pause is None:
                    raise paramiko.SSHException("it accepts connections and says nothing") from error
                time.sleep(pause)
        raise AssertionError  # pragma: no cover - the last pause is None

    def _line(self, to: Destination, through: tuple[str, ...]) -> Any:
        """Return what the protocol is spoken over: a socket, a program's streams, or a channel of a bastion."""
        if to.proxy_command:
            program = process.Dialogue(to.proxy_command)
            self._programs.append(program)
            return program.socket
        if through:
            bastion = self._bastion(through)
            return bastion.open_channel("direct-tcpip", (to.host, to.port), ("127.0.0.1", 0), timeout=to.timeout)
        line = socket.create_connection((to.host, to.port), to.timeout)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # see transport.connection
        return line

    def _bastion(self, chain: tuple[str, ...]) -> paramiko.Transport:
        """Return the connection to the last of a chain of bastions, made by whoever asks first.

        The first of them is reached as its own configuration says, each other one through the one before it.
        """
        with self._lock:
            waiting = self._bastions.get(chain)
            made: Future[paramiko.Transport] = waiting or self._bastions.setdefault(chain, Future())
        if waiting is None:
            try:
                last = resolve(chain[-1], self._config)
                made.set_result(self._connect(last, chain[:-1] or _without(last.jumps, set(chain))))
            except BaseException as error:  # noqa: BLE001 - everybody who waits for it must hear
                made.set_exception(error)
        return made.result()


class _NotGreetedError(Exception):
    """A server closed before it said who it is, as one does that has too many logins under way (MaxStartups)."""


def _without(jumps: tuple[str, ...], passed: set[str]) -> tuple[str, ...]:
    """Leave out a bastion that its own configuration sends through itself, as `Host *` does."""
    return tuple(jump for jump in jumps if jump not in passed)


def _greet(line: Any, to: Destination, known: Trust) -> paramiko.Transport:
    transport = paramiko.Transport(line)
    try:
        _negotiate(transport, to, known)
        _log_in(transport, to)
    except BaseException:
        transport.close()
        line.close()
        raise
    transport.set_keepalive(15)
    return transport


def _negotiate(transport: paramiko.Transport, to: Destination, known: Trust) -> None:
    """Agree on keys, and see that the host is who it should be before anything is said to it."""
    transport.banner_timeout = transport.auth_timeout = to.timeout
    options = transport.get_security_options()
    wanted = [one for kind in known.types for one in ALGORITHMS.get(kind, (kind,))]
    options.key_types = [one for one in wanted if one in options.key_types] or options.key_types
    try:
        transport.start_client(timeout=to.timeout)
    except paramiko.SSHException as error:
        if not transport.remote_version:
            raise _NotGreetedError from error
        raise
    key = transport.get_remote_server_key()
    if not known.holds(f"{key.get_name()} {key.get_base64()}"):
        raise UnreachableError(
            f"{to.name!r} presents the host key {key.fingerprint}, which is not the one known for {to.alias!r}",
            hint="another machine may answer in its place; if it was rebuilt, put its new key into known_hosts",
        )


def _log_in(transport: paramiko.Transport, to: Destination) -> None:
    """Offer the configured keys, then the agent's."""
    deadline, reason = time.monotonic() + to.timeout, "there is no key to offer"
    for key in _keys(to):
        try:
            transport.auth_publickey(to.user, key)
        except paramiko.BadAuthenticationType as error:
            reason = f"it accepts {', '.join(error.allowed_types)} only"
            break
        except paramiko.AuthenticationException as error:
            reason = str(error) or "it refused the key"
        if transport.is_authenticated():
            return
        if not transport.is_active() or time.monotonic() > deadline:
            break
    raise UnreachableError(
        f"{to.name!r} does not let {to.user!r} in: {reason}".rstrip("."),
        hint="a key without a passphrase, or one that the agent holds, must be among its authorized keys",
    )


def _keys(to: Destination) -> Iterator[paramiko.PKey]:
    for path in to.identities:
        if path.is_file():
            try:
                yield paramiko.PKey.from_path(path)
            except (
                paramiko.SSHException,
                UnknownKeyType,
                UnsupportedAlgorithm,
                ValueError,
                TypeError,
                OSError,
            ):
                continue  # locked by a passphrase, of a kind such as FIDO's, or no private key: the agent may hold it
    if to.agent:
        agent = paramiko.Agent()
        try:
            yield from agent.get_keys()
        finally:
            agent.close()
