"""An engine that cannot be reached is one clear error, whatever is wrong with it."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from imagetest.errors import EngineError
from imagetest.execute import engine

pytestmark = pytest.mark.usefixtures("unconnected")


@pytest.fixture(autouse=True)
def _nothing_configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))


def dead_socket(tmp_path: Path) -> str:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "dead.sock"))
    return f"unix://{tmp_path}/dead.sock"


def test_an_engine_that_is_not_started_is_one_line_and_a_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", dead_socket(tmp_path))

    with pytest.raises(EngineError) as caught:
        engine.connect()
    assert str(caught.value) == "no Docker engine answers: connection refused"
    assert "DOCKER_HOST" in caught.value.hint


@pytest.mark.parametrize(
    "host",
    [
        "unix:///nowhere/docker.sock", "tcp://127.0.0.1:1", "gibberish://x", "ssh://nobody@127.0.0.1:1",
        "tcp://no-such-host.invalid:2375", "127.0.0.1",
    ],
)  # fmt: skip
def test_an_engine_that_is_not_there_is_an_engine_error(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)

    with pytest.raises(EngineError, match="no Docker engine answers") as caught:
        engine.connect()
    assert "\n" not in str(caught.value)


def test_a_context_that_is_not_there_is_an_engine_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONTEXT", "nowhere")

    with pytest.raises(EngineError, match="nowhere"):
        engine.connect()


def test_what_speaks_no_docker_is_an_engine_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{listener.getsockname()[1]}")
        monkeypatch.setattr(engine, "TIMEOUT_SECONDS", 1)
        with pytest.raises(EngineError, match="timed out"):
            engine.connect()


@pytest.mark.docker
def test_what_the_engine_objects_to_says_what_was_being_done() -> None:
    client = engine.connect()
    with pytest.raises(EngineError, match=r"cannot look at it: .*no-such-container"), engine.translated("look at it"):
        client.inspect_container("no-such-container")
    client.close()
