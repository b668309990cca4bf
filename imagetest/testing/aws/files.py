"""Files of a container that has not started yet: read and put through the engine's archives."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass

import docker

from imagetest.execute import engine


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file, or a folder where it has no content."""

    path: str
    content: bytes | None
    mode: int = 0o644
    uid: int = 0
    gid: int = 0


def put(client: docker.APIClient, container: str, files: Iterable[File]) -> None:
    """Write files into a container. Raises EngineError when it cannot take them."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for one in files:
            entry = tarfile.TarInfo(one.path.lstrip("/"))
            entry.mode, entry.uid, entry.gid = one.mode, one.uid, one.gid
            if one.content is None:
                entry.type = tarfile.DIRTYPE
            entry.size = len(one.content or b"")
            archive.addfile(entry, io.BytesIO(one.content or b""))
    with engine.translated(f"write into container {container[:12]!r}"):
        client.put_archive(container, "/", packed.getvalue())


def read(client: docker.APIClient, container: str, path: str) -> bytes | None:
    """Return a file's content; None where there is no such file. Raises EngineError when the engine refuses."""
    with engine.translated(f"read {path} of container {container[:12]!r}"):
        try:
            chunks, _ = client.get_archive(container, path)
        except engine.NotFound:
            return None
        packed = io.BytesIO(b"".join(chunks))
    with tarfile.open(fileobj=packed) as archive:
        found = archive.extractfile(archive.getmembers()[0])
        return found.read() if found is not None else None


def link_target(client: docker.APIClient, container: str, path: str) -> str:
    """Return where a symbolic link points to; an empty string for what is none, or is not there.

    Raises EngineError when the engine refuses.
    """
    with engine.translated(f"look at {path} of container {container[:12]!r}"):
        try:
            chunks, stat = client.get_archive(container, path)
        except engine.NotFound:
            return ""
        for _ in chunks:  # to its end, so that the connection can be used again
            pass
    return str(stat.get("linkTarget", ""))
