"""What an image says of itself, read from its configuration and, where that says too little, from its files."""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass
from pathlib import PurePosixPath

import docker

from imagetest.errors import EngineError
from imagetest.execute import engine as door
from imagetest.execute.engine import translated

SYSTEMD = frozenset({"/sbin/init", "/usr/sbin/init", "/lib/systemd/systemd", "/usr/lib/systemd/systemd", "init"})
"""Commands that are systemd on every distribution that ships it as process 1."""

SERVERS = ("/usr/sbin/sshd", "/sbin/sshd")

ENABLED_UNITS = (
    "/etc/systemd/system/multi-user.target.wants/ssh.service",
    "/etc/systemd/system/multi-user.target.wants/sshd.service",
    "/etc/systemd/system/sockets.target.wants/ssh.socket",
    "/etc/systemd/system/ssh.service.requires/ssh.socket",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageConfig:
    """The parts of an image's configuration that decide how it boots."""

    argv: tuple[str, ...]
    ports: frozenset[str]
    healthcheck: bool

    @classmethod
    def read(cls, inspected: dict[str, object], command: tuple[str, ...]) -> ImageConfig:
        """Read it from what the engine says of the image; `command` replaces the image's own."""
        config = inspected.get("Config")
        config = config if isinstance(config, dict) else {}
        entrypoint = tuple(part for part in config.get("Entrypoint") or () if part)
        own = command or tuple(config.get("Cmd") or ())
        test = (config.get("Healthcheck") or {}).get("Test") or ["NONE"]
        return cls(
            argv=entrypoint + own,
            ports=frozenset(config.get("ExposedPorts") or {}),
            healthcheck=test[0] != "NONE",
        )

    @property
    def init(self) -> str:
        """Say whether systemd is process 1."""
        return "systemd" if self.argv and self.argv[0] in SYSTEMD else "command"


class Files:
    """Reads and adds files of a container, whether it runs or not."""

    def __init__(self, engine: docker.APIClient, container: str) -> None:
        self._engine = engine
        self._container = container

    def exists(self, path: str) -> bool:
        """Say whether there is something at a path."""
        try:
            with translated(f"look for {path} in {self._container}"):
                stream, _ = self._engine.get_archive(self._container, path)
        except EngineError as error:
            if isinstance(error.__cause__, door.NotFound):
                return False
            raise
        stream.close()
        return True

    def read(self, path: str) -> str:
        """Return a text file, or an empty string when there is none."""
        found = self.entry(path)
        return found[1].decode(errors="replace") if found else ""

    def entry(self, path: str) -> tuple[tarfile.TarInfo, bytes] | None:
        """Return what is at a path, with its owner, its mode and a file's content; None when there is nothing."""
        try:
            with translated(f"read {path} in {self._container}"):
                stream, _ = self._engine.get_archive(self._container, path)
                content = b"".join(stream)
        except EngineError as error:
            if isinstance(error.__cause__, door.NotFound):
                return None
            raise
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            member = archive.getmembers()[0]
            file = archive.extractfile(member) if member.isfile() else None
            return member, file.read() if file is not None else b""

    def add(self, folder: str, entries: list[tarfile.TarInfo], contents: dict[str, bytes]) -> None:
        """Add entries below an existing folder."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for entry in entries:
                archive.addfile(entry, io.BytesIO(contents.get(entry.name, b"")))
        with translated(f"place the run's keys in {self._container}"):
            self._engine.put_archive(self._container, folder, buffer.getvalue())


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A line of passwd(5)."""

    uid: int
    gid: int
    home: str


def account(files: Files, user: str) -> Account | None:
    """Look a user up in the image's /etc/passwd."""
    for line in files.read("/etc/passwd").splitlines():
        fields = line.split(":")
        if len(fields) >= 6 and fields[0] == user:  # noqa: PLR2004 - passwd(5)
            return Account(uid=int(fields[2]), gid=int(fields[3]), home=fields[5] or "/")
    return None


def starts_ssh(config: ImageConfig, init: str, files: Files, port: int) -> bool:
    """Say whether the image brings an SSH server up by itself."""
    if not any(files.exists(path) for path in SERVERS):
        return False
    if init == "systemd":
        return any(files.exists(path) for path in ENABLED_UNITS)
    return any("sshd" in PurePosixPath(word).name or "/sshd" in word for word in config.argv) or (
        f"{port}/tcp" in config.ports
    )


def entry(name: str, *, mode: int, owner: Account, content: bytes | None = None) -> tarfile.TarInfo:
    """Describe a file, or a folder where there is no content."""
    info = tarfile.TarInfo(name)
    info.mode, info.uid, info.gid = mode, owner.uid, owner.gid
    if content is None:
        info.type = tarfile.DIRTYPE
    else:
        info.size = len(content)
    return info
