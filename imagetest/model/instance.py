"""A throwaway machine booted from an image, and the record of its boot."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where an instance answers SSH, and the two keys that make the connection trustworthy."""

    host: str
    port: int
    user: str
    host_key: str
    """The pinned host key, as in an OpenSSH public key file: `ssh-ed25519 AAAA...`."""
    key_file: str
    """The path of the private key that was made for this run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """A throwaway machine: its identity at the driver and the way in."""

    id: str
    """The driver's own name for it, such as a container id."""
    name: str
    """The name of the image under test that it was booted from."""
    address: Address
    login: str
    """The command that a person types to get in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Something that had come to pass while a machine booted."""

    name: str
    """`kernel`, `ready`, or a unit such as `ssh.service`."""
    seconds: float
    """From the start of the machine: from power on, or in a container from the start of process 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """Something outside that a machine tried to reach while it was cut off."""

    address: str
    protocol: str
    """`tcp`, `udp`, or the number of another protocol of IP."""
    port: int | None = None
    name: str = ""
    """What a question to DNS asked for."""
    times: int = 1
    """Packets."""

    def __str__(self) -> str:
        """Return it in words, such as `DNS for time.example.com at 192.0.2.53`."""
        if self.name:
            return f"DNS for {self.name} at {self.address}"
        return f"{self.address} {self.protocol}" + ("" if self.port is None else f"/{self.port}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Boot:
    """How an instance came up: evidence that the shipped artifact was booted, and how it was reached."""

    driver: str
    driver_version: str = ""
    command: str = ""
    """What runs as process 1, as the image declares it unless the configuration says otherwise."""
    init: str = "command"
    """`systemd` when systemd is process 1, else `command`."""
    reached_by: str = ""
    """`image` for the image's own SSH server, `gateway` for the one that imagetest brings."""
    user: str = ""
    host_key_fingerprint: str = ""
    """The SHA-256 fingerprint of the host key that was pinned before the first connection."""
    started: datetime | None = None
    reachable_seconds: float = 0.0
    """From power on, or in a container from the start of process 1, to the first command over SSH."""
    ready_seconds: float = 0.0
    """From the same moment to the condition that the configuration calls ready."""
    timeline: tuple[Moment, ...] = ()
    """Which part was up when, the earliest first."""
    attempts: tuple[Attempt, ...] = ()
    """What it tried to reach until it was ready, where it was cut off and its packets were seen."""
    console: str = ""
    """The end of what its serial console said until it was ready; empty for what has none."""
    notes: tuple[str, ...] = ()
    """What an auditor should know about this boot, in words."""
    taken_over_from: str = ""
    """The run that booted it, where a later one took it over with `--reuse`: then this was no boot of the artifact."""
