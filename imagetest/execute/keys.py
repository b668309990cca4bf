"""SSH keys that are made for one run: the user's, and the host's that is pinned before the first connection."""

from __future__ import annotations

import base64
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """An Ed25519 key pair in OpenSSH's formats."""

    private: str
    public: str
    """`ssh-ed25519 AAAA...`, without a comment."""

    @property
    def fingerprint(self) -> str:
        """Return the SHA-256 fingerprint as `ssh-keygen -l` prints it."""
        digest = hashlib.sha256(base64.b64decode(self.public.split()[1])).digest()
        return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")

    def write(self, path: Path) -> Path:
        """Write the private key where only its owner can read it, and the public one beside it."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(self.private)
        path.with_name(path.name + ".pub").write_text(self.public + "\n")
        return path


def read(path: Path) -> KeyPair:
    """Read what `write` has written. Raises OSError when it is not there."""
    return KeyPair(private=path.read_text(), public=path.with_name(path.name + ".pub").read_text().strip())


def generate() -> KeyPair:
    """Make a new key pair."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return KeyPair(private=private.decode(), public=public.decode())
