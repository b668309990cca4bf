"""A proxy that answers for every host below amazonaws.com, so that clients without AWS_ENDPOINT_URL come here too."""

from __future__ import annotations

import contextlib
import select
import socket
import socketserver
import ssl
import threading

from imagetest.testing.aws.certificates import Certificates

DOMAINS = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")

CHUNK = 65536

LONGEST_HEAD = 65536


class Relay(socketserver.ThreadingTCPServer):
    """Takes CONNECT requests for AWS, ends their encryption and hands what they say to the server; refuses all else."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, target: tuple[str, int], certificates: Certificates) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target = target
        self.certificates = certificates
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Return the value for HTTPS_PROXY."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a client that went away."""


class _Handler(socketserver.BaseRequestHandler):
    server: Relay

    def handle(self) -> None:
        line = _head(self.request).split(b"\r\n")[0].decode(errors="replace").split()
        host = line[1].rpartition(":")[0].lower() if len(line) > 1 and line[0] == "CONNECT" else ""
        if not host.endswith(DOMAINS):
            self.request.sendall(b"HTTP/1.1 403 only AWS is emulated here\r\nConnection: close\r\n\r\n")
            return
        self.request.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with (
            contextlib.suppress(OSError),
            self.server.certificates.context(host).wrap_socket(self.request, server_side=True) as near,
            socket.create_connection(self.server.target) as far,
        ):
            _pump(near, far)


def _head(request: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head and len(head) < LONGEST_HEAD:
        read = request.recv(CHUNK)
        if not read:
            break
        head += read
    return head


def _pump(near: ssl.SSLSocket, far: socket.socket) -> None:
    """Carry bytes both ways until one side has no more."""
    while True:
        ready = [near] if near.pending() else select.select([near, far], [], [])[0]
        for one in ready:
            read = one.recv(CHUNK)
            if not read:
                return
            (far if one is near else near).sendall(read)
