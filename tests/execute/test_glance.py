"""What the engine says at a glance, held against what the library says; and when nobody may glance."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from imagetest.execute import engine, glance
from tests.dockyard import Dockyard


class Answering(socketserver.UnixStreamServer):
    """An engine that says what it was told to."""

    said = b""


class Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.rfile.readline()
        assert isinstance(self.server, Answering)
        self.wfile.write(self.server.said)


@pytest.fixture
def answering(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Answering]:
    monkeypatch.setattr(glance, "SOCKET", tmp_path / "socket")
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with Answering(str(tmp_path / "socket"), Handler) as server:
        server.said = b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"Id": "a"}'
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.docker
def test_an_image_is_what_the_library_says(dockyard: Dockyard) -> None:
    with engine.session() as client:
        there = client.inspect_image(dockyard.plain)  # type: ignore[no-untyped-call]

    assert glance.read(f"/images/{quote(dockyard.plain)}/json") == there


@pytest.mark.docker
def test_what_is_not_there_is_asked_of_the_library() -> None:
    assert glance.read("/images/imagetest-is-not-there/json") is None


@pytest.mark.usefixtures("answering")
def test_an_engine_that_answers_is_understood() -> None:
    assert glance.read("/containers/a/json") == {"Id": "a"}


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"no HTTP\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\xff\xff\xff\xff",
    ],
)
def test_an_answer_that_is_none_is_asked_of_the_library(answering: Answering, said: bytes) -> None:
    answering.said = said

    assert glance.read("/containers/a/json") is None


@pytest.mark.parametrize("name", ["DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG"])
@pytest.mark.usefixtures("answering")
def test_who_says_where_the_engine_is_is_never_told_by_another(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "elsewhere")

    assert glance.read("/containers/a/json") is None


@pytest.mark.usefixtures("answering")
def test_a_context_that_is_chosen_for_good_is_heeded(tmp_path: Path) -> None:
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker" / "config.json").write_text('{"currentContext": "far"}')

    assert glance.read("/containers/a/json") is None


def test_no_engine_at_all_is_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glance, "SOCKET", tmp_path / "nobody")

    assert glance.read("/containers/a/json") is None
