"""`imagetest gateway`: an SSH server over standard input and output, for the ProxyCommand of a kept instance."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path
from typing import Annotated

import typer

from imagetest.errors import UsageError

CHUNK = 65536


def gateway(
    container: Annotated[str, typer.Argument(help="The container to open.")],
    *,
    user: Annotated[str, typer.Option("--user", help="The user to run commands as.")] = "root",
    keys: Annotated[Path, typer.Option("--keys", metavar="DIR", help="The folder of the run's keys.")],
) -> None:
    """Serve one SSH connection to a container that has no SSH server; `--keep` prints the command that uses this."""
    from imagetest.drivers.docker.execution import ContainerExecutor
    from imagetest.execute.engine import session
    from imagetest.execute.keys import KeyPair
    from imagetest.transport.gateway import serve_one

    try:
        host = KeyPair(private=(keys / "host").read_text(), public=(keys / "host.pub").read_text().strip())
        allowed = (keys / "id.pub").read_text().strip()
    except OSError as error:
        raise UsageError(
            f"the keys of {container!r} are gone: {error}", hint="was it removed by 'imagetest reap'?"
        ) from error
    inner, outer = socket.socketpair()
    for pump in (_pump_in, _pump_out):
        threading.Thread(target=pump, args=(outer,), daemon=True).start()
    with session() as client:
        serve_one(
            inner, ContainerExecutor(lambda: client, container, user=user), host_key=host, allowed=allowed, user=user
        )


def _pump_in(outer: socket.socket) -> None:
    while data := os.read(0, CHUNK):
        outer.sendall(data)
    outer.shutdown(socket.SHUT_WR)


def _pump_out(outer: socket.socket) -> None:
    while data := outer.recv(CHUNK):
        view = memoryview(data)
        while view:
            view = view[os.write(1, view) :]
