"""The one door to the Docker engine: connect as the docker command would, and turn its errors into ours."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import docker
import requests

from imagetest.errors import EngineError
from imagetest.execute.interrupts import interrupts

if TYPE_CHECKING:
    from docker.errors import APIError, ImageNotFound, NotFound

LABEL = "imagetest"
"""Every container that imagetest makes carries this label; its value is the run's id."""

TIMEOUT_SECONDS = 60

__all__ = ["LABEL", "APIError", "ImageNotFound", "NotFound", "connect", "session", "translated"]


def __getattr__(name: str) -> Any:
    """Return one of the library's errors; who only has them to hand on does not load the library for it."""
    if name in {"APIError", "ImageNotFound", "NotFound"}:
        return getattr(docker.errors, name)
    raise AttributeError(name)


def connect() -> docker.APIClient:
    """Return a client for the engine that the `docker` command of this user talks to.

    Raises EngineError when no engine answers.
    """
    try:
        if os.environ.get("DOCKER_HOST"):
            _knock(os.environ["DOCKER_HOST"])
            return docker.from_env(timeout=TIMEOUT_SECONDS).api
        name = os.environ.get("DOCKER_CONTEXT")
        context = docker.ContextAPI.get_context(name)
        if context is None:
            raise EngineError(f"there is no Docker context {name!r}", hint="'docker context ls' lists what there is")
        _knock(context.Host)
        return docker.APIClient(base_url=context.Host, tls=context.TLSConfig, version="auto", timeout=TIMEOUT_SECONDS)
    except (docker.errors.DockerException, requests.RequestException, OSError) as error:
        raise EngineError(f"no Docker engine answers: {_reason(error)}", hint=_remedy(error)) from error


def _knock(host: str | None) -> None:
    """Find out whether somebody listens, because docker-py leaves the socket of a refused connection unclosed."""
    if host is not None and host.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as door:
            door.settimeout(TIMEOUT_SECONDS)
            door.connect(host.removeprefix("unix://"))


@contextmanager
def session() -> Iterator[docker.APIClient]:
    """Connect for a moment. Raises EngineError when no engine answers."""
    client = connect()
    try:
        yield client
    finally:
        client.close()


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Raise EngineError for whatever the engine objects to; `what` says what was being done. Interrupts wait."""
    try:
        with interrupts.held():
            yield
    except docker.errors.APIError as error:
        raise EngineError(f"cannot {what}: {error.explanation or error}") from error
    except (docker.errors.DockerException, requests.RequestException) as error:
        raise EngineError(f"cannot {what}: {_reason(error)}", hint=_remedy(error)) from error


def _reason(error: Exception) -> str:
    text = str(error)
    for known in ("Permission denied", "No such file or directory", "Connection refused", "timed out"):
        if known.lower() in text.lower():
            return known.lower()
    return text


def _remedy(error: Exception) -> str:
    if "permission denied" in str(error).lower():
        return "add yourself to the group 'docker', or run as root"
    return "start it (systemctl start docker, or dockerd), or point DOCKER_HOST at one; 'imagetest doctor' checks it"
