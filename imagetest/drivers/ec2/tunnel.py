"""Reach an instance that lets nobody in, through Session Manager: a port of this machine that leads to its SSH server.

Each connection to the port starts what a person would name as ProxyCommand, `aws ssm start-session` with the document
AWS-StartSSHSession, and passes bytes between the two ("Allow and control permissions for SSH connections through
Session Manager"). That the right machine answers is proved by its pinned host key, as everywhere. A session ends with
this process, in whatever way: then its standard input does.
"""

from __future__ import annotations

import shlex
import shutil
import socket
import threading
from contextlib import suppress

from imagetest.errors import ProcessError
from imagetest.execute import process

PROGRAMS = ("aws", "session-manager-plugin")

CHUNK = 65536

REMEDY = "install version 2 of AWS's command line and the Session Manager plugin, or set boot.ec2.reach = 'direct'"


def command(instance: str, region: str, port: int) -> str:
    """Return the command whose standard streams are a connection to a port of an instance."""
    return shlex.join(
        [
            "aws", "ssm", "start-session", "--target", instance, "--document-name", "AWS-StartSSHSession",
            "--parameters", f"portNumber={port}", "--region", region,
        ]
    )  # fmt: skip


def check() -> None:
    """Raise ProcessError when a program that it needs is not installed."""
    missing = [one for one in PROGRAMS if shutil.which(one) is None]
    if missing:
        raise ProcessError(f"{' and '.join(missing)} cannot be found, which Session Manager needs", hint=REMEDY)


class Tunnel:
    """A port on 127.0.0.1, each connection to which is a session."""

    def __init__(self, instance: str, region: str, port: int) -> None:
        self._command = command(instance, region, port)
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._door.getsockname()[1]
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._closed = False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Answer no more, and end every session."""
        with self._lock:
            self._closed = True
            held = list(self._open)
        with suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)  # wakes whoever waits for a connection
        self._door.close()
        for one in held:
            _hang_up(one)
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                caller, _ = self._door.accept()
            except OSError:
                return
            threading.Thread(target=self._lead, args=(caller,), daemon=True).start()

    def _lead(self, caller: socket.socket) -> None:
        """Pass bytes between a caller and a session of its own until either ends."""
        with caller:
            try:
                session = process.Dialogue(self._command)
            except ProcessError:
                return  # the caller sees that nobody answers
            with self._lock:
                self._open |= {caller, session.socket}
            if self._closed:
                _hang_up(caller)
            back = threading.Thread(target=_pass_on, args=(session.socket, caller), daemon=True)
            back.start()
            _pass_on(caller, session.socket)
            back.join()
            with self._lock:
                self._open -= {caller, session.socket}
            session.close()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(CHUNK):
            target.sendall(data)
    for one in (source, target):
        _hang_up(one)


def _hang_up(line: socket.socket) -> None:
    with suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)
