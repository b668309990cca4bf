"""The addresses of machines: 127.77.X.N, port 22, of which each server has an X to itself."""

from __future__ import annotations

import random
import socket
import threading
from contextlib import suppress

from imagetest.errors import ConfigError

PREFIX = "127.77"

RESERVING_PORT = 4577
"""Whoever holds this port of 127.77.X.1 has X; the kernel gives it back when its process ends, in whatever way."""

SSH_PORT = 22

PATIENCE_SECONDS = 1.0


class Addresses:
    """One X and the addresses in it that no machine has."""

    def __init__(self) -> None:
        """Reserve an X. Raises ConfigError when none is free, or when something answers on every address of this host.

        Linux routes all of 127.0.0.0/8 to itself; elsewhere nothing of it can be reserved.
        """
        self._lock = threading.Lock()
        self._reservation, self._network = _reserve()
        self._free = [f"{self._network}.{number}" for number in range(2, 255)]
        if _answers(self._free[0]):
            self.close()
            raise ConfigError(
                f"something answers on port {SSH_PORT} of every address of this machine, such as its own SSH server",
                hint="let that listen on one address only (ListenAddress in sshd_config)",
            )

    def take(self) -> str:
        """Return an address that no machine has; the one that was given back longest ago."""
        with self._lock:
            return self._free.pop(0)

    def give_back(self, address: str) -> None:
        """Have an address be used again."""
        with self._lock:
            self._free.append(address)

    def close(self) -> None:
        """Let others have this X."""
        self._reservation.close()


def _reserve() -> tuple[socket.socket, str]:
    for number in random.sample(range(1, 255), 254):
        reservation = socket.socket()
        with suppress(OSError):
            reservation.bind((f"{PREFIX}.{number}.1", RESERVING_PORT))
            return reservation, f"{PREFIX}.{number}"
        reservation.close()
    raise ConfigError(f"no network of {PREFIX}.0.0/16 is free", hint="instances are reached there, on Linux alone")


def _answers(address: str) -> bool:
    with suppress(OSError), socket.create_connection((address, SSH_PORT), timeout=PATIENCE_SECONDS):
        return True
    return False
