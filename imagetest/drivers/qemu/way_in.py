"""The way into a machine: its SSH server, as soon as that lets its user in."""

from __future__ import annotations

import time

import paramiko

from imagetest.drivers.qemu.machine import Machine
from imagetest.model.instance import Address
from imagetest.transport import connection

NOT_LET_IN = {
    connection.HostKeyError: "it makes its own host key, or has neither systemd 252 nor cloud-init to take the run's",
    connection.AuthenticationRefusedError: "name another user with boot.user; keys get in by systemd or cloud-init",
    connection.UnsupportedServerError: "let its SSH server offer an Ed25519 host key",
}
"""An SSH server answers and is of no use; what the console says would not tell more."""

PATIENCE_SECONDS = 60.0
"""How long whoever is not root may be refused, a machine being slow to come up."""

PAUSE_SECONDS = 0.5


def open_when_let(address: Address, deadline: float, machine: Machine) -> paramiko.Transport:
    """Connect as soon as the machine lets its user in.

    Until systemd-user-sessions.service has run nobody but root may log in (pam_nologin(8)), and an SSH server may
    answer before that. Raises what `connection.wait` does.
    """
    patient = 0.0
    while True:
        try:
            return connection.wait(address, deadline=deadline, alive=machine.alive)
        except connection.AuthenticationRefusedError:
            patient = patient or min(deadline, time.monotonic() + PATIENCE_SECONDS)
            if address.user == "root" or time.monotonic() >= patient:
                raise
        machine.alive()
        time.sleep(PAUSE_SECONDS)
