"""A registry for container images on loopback: Debian's docker-registry, with one user who may push."""

from __future__ import annotations

import base64
import json
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import bcrypt

USER, PASSWORD = "pusher", "not-a-secret"
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
WAIT_SECONDS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Depot:
    """A registry that runs."""

    host: str
    """`127.0.0.1:PORT`, as a tag begins with."""

    def login(self, folder: Path, password: str = PASSWORD) -> Path:
        """Write what `docker login` writes, and return the folder that it is in."""
        folder.mkdir(parents=True, exist_ok=True)
        auth = base64.b64encode(f"{USER}:{password}".encode()).decode()
        (folder / "config.json").write_text(json.dumps({"auths": {self.host: {"auth": auth}}}))
        return folder

    def digest(self, repository: str, tag: str) -> str:
        """Return the digest that the registry tells of a tag; an empty string where there is none."""
        return self._asked("HEAD", repository, tag)[0]

    def config(self, repository: str, tag: str) -> str:
        """Return the digest of the configuration of what a tag names, which is the image's id."""
        return str(json.loads(self._asked("GET", repository, tag)[1])["config"]["digest"])

    def _asked(self, method: str, repository: str, tag: str) -> tuple[str, bytes]:
        url = f"http://{self.host}/v2/{repository}/manifests/{tag}"
        request = urllib.request.Request(url, method=method, headers={"Accept": MANIFEST})
        request.add_header("Authorization", "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode())
        try:
            with urllib.request.urlopen(request, timeout=WAIT_SECONDS) as answer:  # noqa: S310 - loopback
                return str(answer.headers["Docker-Content-Digest"]), answer.read()
        except urllib.error.HTTPError as error:
            error.close()
            if error.code != HTTPStatus.NOT_FOUND:
                raise
            return "", b""


@contextmanager
def depot_in(folder: Path) -> Iterator[Depot]:
    """Run a registry whose images are in a folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{free.getsockname()[1]}"
    (folder / "users").write_text(f"{USER}:{_hashed()}\n")
    (folder / "config.json").write_text(
        json.dumps(
            {"version": 0.1, "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
             "http": {"addr": host}, "auth": {"htpasswd": {"realm": "depot", "path": str(folder / "users")}}}
        )
    )  # fmt: skip
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(["docker-registry", "serve", folder / "config.json"], stdout=log, stderr=log)
    try:
        _wait(host, server, folder)
        yield Depot(host=host)
    finally:
        server.terminate()
        server.wait(WAIT_SECONDS)


def _hashed() -> str:
    """Return the password as the registry reads it: by bcrypt, with Apache's letter for it."""
    return bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode().replace("$2b$", "$2y$")


def _wait(host: str, server: subprocess.Popen[bytes], folder: Path) -> None:
    name, _, port = host.partition(":")
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            socket.create_connection((name, int(port)), timeout=1).close()
        except OSError:
            assert server.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.05)
        else:
            return
