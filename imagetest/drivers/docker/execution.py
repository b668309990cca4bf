"""Commands in a container through the engine's exec: what a gateway hands its commands to."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, BinaryIO

import docker
import requests

from imagetest.errors import EngineError
from imagetest.transport.gateway import Process

KILLED = 137
"""128 and the number of SIGKILL."""

PAUSE_SECONDS = 0.02

CHUNK = 32768

HEADER = struct.Struct(">BxxxL")


class ContainerExecutor:
    """Starts commands in one container as one user."""

    def __init__(self, engine: Callable[[], docker.APIClient], container: str, *, user: str) -> None:
        self._connect = engine
        self._container = container
        self._user = user

    def start(self, command: str, *, terminal: bool) -> Process:
        """Start a command under /bin/sh. Raises OSError when the container is not there to run it."""
        argv = ["/bin/sh", "-c", command] if command else ["/bin/sh", "-l"]
        try:
            engine = self._connect()
            made = engine.exec_create(self._container, argv, stdin=True, tty=terminal, user=self._user)
            stream = engine.exec_start(made["Id"], socket=True, tty=terminal)
        except (EngineError, docker.errors.DockerException, requests.RequestException) as error:
            raise OSError(f"the engine cannot run a command in {self._container}: {error}") from error
        return ContainerProcess(engine, made["Id"], stream, terminal=terminal)


class ContainerProcess:
    """A command that runs in a container."""

    def __init__(self, engine: docker.APIClient, identity: str, stream: Any, *, terminal: bool) -> None:
        self._engine = engine
        self._identity = identity
        self._stream = stream
        self._terminal = terminal
        self._socket: socket.socket = getattr(stream, "_sock", stream)
        self._socket.settimeout(None)  # a command may be silent, or leave its input unread, for as long as it likes
        # What a quick command says arrives together with the engine's answer, and waits in that answer's buffer.
        self._output: BinaryIO = stream._response.raw._fp.fp  # noqa: SLF001 - docker-py hands out what is below it
        self._abandoned = False
        self._left = (1, 0)

    def read(self) -> tuple[int, bytes]:
        """Return a stream's number and what came on it; an empty chunk at the end."""
        if self._terminal:
            return 1, self._output.read1(CHUNK)  # type: ignore[attr-defined]
        number, size = self._left
        while not size:  # a frame has a header of its stream's number, three zeros and its size
            header = self._output.read(HEADER.size)
            if len(header) < HEADER.size:
                return 1, b""
            number, size = HEADER.unpack(header)
        data: bytes = self._output.read1(min(size, CHUNK))  # type: ignore[attr-defined]
        self._left = (number, size - len(data))
        return number, data

    def write(self, data: bytes) -> None:
        """Send to its standard input."""
        self._socket.sendall(data)

    def close_input(self) -> None:
        """End its standard input; a terminal has no such end, as with OpenSSH's server.

        The engine answers the end of a terminal's input by closing its output too, and what was still to come is lost
        (`copyStreams` in https://github.com/moby/moby/blob/v28.5.2/container/stream/attach.go).
        """
        if not self._terminal:
            self._socket.shutdown(socket.SHUT_WR)

    def exit_code(self) -> int:
        """Wait for the exit code; 137, as of a killed process, when the container went away with it."""
        while not self._abandoned:
            try:
                found = self._engine.exec_inspect(self._identity)
            except (docker.errors.DockerException, requests.RequestException):
                break
            if not found.get("Running"):
                return KILLED if found.get("ExitCode") is None else int(found["ExitCode"])
            time.sleep(PAUSE_SECONDS)  # it closed its output and runs on, or the engine has yet to notice its end
        return KILLED

    def resize(self, *, rows: int, columns: int) -> None:
        """Tell its terminal the new size."""
        with suppress(docker.errors.DockerException, requests.RequestException):  # it may have ended meanwhile
            self._engine.exec_resize(self._identity, height=rows, width=columns)

    def hang_up(self) -> None:
        """End the conversation; the engine offers no way to end the command itself."""
        self._abandoned = True
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection to the engine: the response first, then what lies under it and would be left open."""
        response = getattr(self._stream, "_response", None)
        if response is not None:
            response.close()
        self._stream.close()
        self._socket.close()
