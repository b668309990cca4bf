"""The host keys that a user trusts, as OpenSSH's known_hosts files hold them (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from imagetest.execute import process

REVOKED = "@revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """The keys of one host: those to trust and those never to trust, each as `TYPE BASE64`."""

    trusted: frozenset[str]
    revoked: frozenset[str]

    @property
    def types(self) -> tuple[str, ...]:
        """Return the types of the trusted keys."""
        return tuple(sorted({key.partition(" ")[0] for key in self.trusted}))

    def holds(self, key: str) -> bool:
        """Say whether a host that presents this key is who it says."""
        return key in self.trusted and key not in self.revoked


def trust(alias: str, files: Iterable[Path]) -> Trust:
    """Look a host up; ssh-keygen knows hashed names, patterns and markers. Certificate authorities are not used.

    Raises ProcessError when there is no ssh-keygen.
    """
    trusted, revoked = set(), set()
    for path in files:
        if not path.is_file():
            continue
        for line in process.run("ssh-keygen", "-F", alias, "-f", str(path), timeout=10).stdout.splitlines():
            fields = line.split()
            if line.startswith("#") or len(fields) < 3:  # noqa: PLR2004 - names, type, key
                continue
            if not fields[0].startswith("@"):
                trusted.add(" ".join(fields[1:3]))
            elif fields[0] == REVOKED:
                revoked.add(" ".join(fields[2:4]))
    return Trust(trusted=frozenset(trusted), revoked=frozenset(revoked))
