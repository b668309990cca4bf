"""Images in a Docker engine: read one, and remove one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import docker

from imagetest.errors import EngineError, LeakError
from imagetest.execute import engine, glance
from imagetest.model.image import Image


def identify(client: Callable[[], docker.APIClient], reference: str, *, kind: str, name: str) -> Image:
    """Read an image again, with the client library where a glance does not do.

    Raises EngineError when it is not there.
    """
    found = glance.read(f"/images/{quote(reference)}/json") or _found(client(), reference)
    return Image(
        name=name,
        kind=kind,
        reference=found["Id"],
        digest=found["Id"],
        platform=f"{found.get('Os', '')}/{found.get('Architecture', '')}",
        size=found.get("Size"),
        created=_moment(found.get("Created", "")),
    )


def _found(client: docker.APIClient, reference: str) -> dict[str, Any]:
    try:
        with engine.translated(f"read image {reference!r}"):
            found: dict[str, Any] = client.inspect_image(reference)
    except EngineError as error:
        if isinstance(error.__cause__, engine.ImageNotFound):
            raise EngineError(
                f"there is no image {reference!r} in this Docker engine",
                hint="'docker image ls' lists what is there; 'docker pull' fetches one from a registry",
            ) from error
        raise
    return found


def discard(client: docker.APIClient, reference: str) -> None:
    """Remove an image and all its names; one that is not there is fine. Raises LeakError."""
    try:
        with engine.translated(f"remove image {reference!r}"):
            client.remove_image(reference, force=True)
    except EngineError as error:
        if not isinstance(error.__cause__, engine.NotFound):
            raise LeakError(
                f"image {reference!r} may still be there: {error}", hint=f"docker rmi --force {reference}"
            ) from error


def _moment(text: str) -> datetime | None:
    """Read the engine's RFC 3339 time, whose fraction may have nine digits."""
    try:
        return datetime.fromisoformat(text[:19]).replace(tzinfo=UTC)
    except ValueError:
        return None
