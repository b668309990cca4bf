"""The accounts of a machine that has not booted yet, as its passwd(5), group(5) and shadow(5) say."""

from __future__ import annotations

from dataclasses import dataclass

import docker

from imagetest.testing.aws.files import File, read

FIRST_UID = 1000

SUDOERS = "/etc/sudoers.d/90-cloud-init-users"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who may own a file, and where their keys are."""

    name: str
    uid: int
    gid: int
    home: str


class Accounts:
    """The accounts that there are, and those that a first boot adds."""

    def __init__(self, client: docker.APIClient, container: str) -> None:
        """Read them. Raises EngineError when the engine refuses."""
        self._read = {path: _text(client, container, path) for path in ("/etc/passwd", "/etc/group", "/etc/shadow")}
        self._sudo: list[str] = []
        self._homes: list[Account] = []
        rows = [line.split(":") for line in self._read["/etc/passwd"].splitlines()]
        self._known = {
            row[0]: Account(name=row[0], uid=int(row[2]), gid=int(row[3]), home=row[5])
            for row in rows
            if len(row) > 5  # noqa: PLR2004 - passwd(5)
        }

    def get(self, name: str) -> Account | None:
        """Return an account; None when there is none of the name."""
        return self._known.get(name)

    def group(self, name: str) -> int:
        """Return a group's number; root's when there is none of the name."""
        rows = (line.split(":") for line in self._read["/etc/group"].splitlines())
        return next((int(row[2]) for row in rows if row[0] == name and len(row) > 2), 0)  # noqa: PLR2004 - group(5)

    def ensure(self, name: str, *, shell: str = "/bin/bash", sudo: str = "") -> Account:
        """Return an account, made if there is none; `sudo` is its rule of sudoers(5)."""
        if sudo:
            self._sudo.append(f"{name} {sudo}")
        if name not in self._known:
            number = max([FIRST_UID - 1, *(one.uid for one in self._known.values() if one.uid < 60000)]) + 1  # noqa: PLR2004 - nobody's
            made = Account(name=name, uid=number, gid=number, home=f"/home/{name}")
            self._read["/etc/passwd"] += f"{name}:x:{number}:{number}::{made.home}:{shell}\n"
            self._read["/etc/group"] += f"{name}:x:{number}:\n"
            self._read["/etc/shadow"] += f"{name}:*:19000:0:99999:7:::\n"
            self._known[name] = made
            self._homes.append(made)
        return self._known[name]

    def changed(self) -> list[File]:
        """Return the files to write so that there is what was ensured."""
        files = [File(path=one.home, content=None, mode=0o755, uid=one.uid, gid=one.gid) for one in self._homes]
        if self._homes:
            modes = {"/etc/shadow": 0o640}
            gid = {"/etc/shadow": self.group("shadow")}
            files += [
                File(path=path, content=text.encode(), mode=modes.get(path, 0o644), gid=gid.get(path, 0))
                for path, text in self._read.items()
            ]
        if self._sudo:
            files.append(File(path=SUDOERS, content=("\n".join(self._sudo) + "\n").encode(), mode=0o440))
        return files


def _text(client: docker.APIClient, container: str, path: str) -> str:
    text = (read(client, container, path) or b"").decode(errors="replace")
    return text + "\n" if text and not text.endswith("\n") else text
