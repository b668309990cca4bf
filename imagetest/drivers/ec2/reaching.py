"""The way to an instance: which address, which host key, and a connection that is open."""

from __future__ import annotations

import base64
import hashlib
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import paramiko

from imagetest.drivers import login
from imagetest.drivers.ec2 import inside, tunnel
from imagetest.drivers.ec2.instance import Ec2Instance
from imagetest.errors import BootError, MachineLostError
from imagetest.execute import aws
from imagetest.model.instance import Address
from imagetest.model.plan import BootPlan
from imagetest.ports import Access
from imagetest.transport import connection
from imagetest.transport.shell import CommandTimeoutError, Shell

KEY_SECONDS = 10.0
"""How long a server may be up before cloud-init has placed the run's key."""

CONSOLE_SECONDS = 5.0
"""Between two looks at the console; AWS renews what it has of it about as often."""

NOT_LET_IN = {
    connection.AuthenticationRefusedError: (
        "name the user that cloud-init gives the key to with boot.user, such as admin, ec2-user or ubuntu"
    ),
    connection.UnsupportedServerError: "let its SSH server offer an Ed25519 host key",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """An instance that answers."""

    address: Address
    transport: paramiko.Transport
    fingerprint: str
    """Of the host key that was pinned."""
    login: str = ""
    """What a person types, where that is not plain SSH to the address."""
    notes: tuple[str, ...] = ()
    close: Callable[[], None] = lambda: None


def reach(
    machine: Ec2Instance,
    plan: BootPlan,
    *,
    region: str,
    access: Access,
    pinned: str,
    deadline: float,
    fresh: bool = False,
    differs_from: bytes = b"",
) -> Reached:
    """Connect as soon as the instance lets us in; after a reboot, as soon as it is another boot than the one before.

    An instance that is `fresh` and presents another host key than the one that user-data gave it is looked for on its
    console, where cloud-init prints what it made: that one is pinned then. Raises BootError.
    """
    close: Callable[[], None] = lambda: None  # noqa: E731 - replaced where there is something to close
    typed = ""
    if plan.ec2.reach == "session-manager":
        line = tunnel.Tunnel(machine.id, region, plan.port)
        close, host, port = line.close, "127.0.0.1", line.port
        typed = _through_a_session(machine.id, region, plan, access)
    else:
        host, port = machine.address(plan.ec2.address), plan.port
    address = Address(host=host, port=port, user=plan.user, host_key=pinned, key_file=str(access.key_file))
    try:
        transport, address, notes = _connected(
            machine, address, access, deadline=deadline, fresh=fresh, differs_from=differs_from
        )  # fmt: skip
    except BaseException:
        close()
        raise
    return Reached(
        address=address, transport=transport, fingerprint=fingerprint(address.host_key), login=typed, notes=notes,
        close=close,
    )  # fmt: skip


def _connected(
    machine: Ec2Instance, address: Address, access: Access, *, deadline: float, fresh: bool, differs_from: bytes
) -> tuple[paramiko.Transport, Address, tuple[str, ...]]:
    notes: tuple[str, ...] = ("its host key was given to it by user-data",) if fresh else ()
    patient, tried = 0.0, [address.host_key]
    while True:
        try:
            transport = connection.wait(address, deadline=deadline, alive=machine.alive)
        except connection.HostKeyError:
            if not fresh:
                raise
            address = replace(address, host_key=_printed(machine, deadline, tried))
            tried.append(address.host_key)
            notes = ("its host key is the one that its console shows: it took none from user-data",)
            continue
        except tuple(NOT_LET_IN) as error:
            patient = min(deadline, patient or time.monotonic() + KEY_SECONDS)
            if fresh and time.monotonic() < patient and isinstance(error, connection.AuthenticationRefusedError):
                time.sleep(aws.PAUSE_SECONDS)
                continue
            raise type(error)(str(error), hint=NOT_LET_IN[type(error)]) from error
        if not differs_from or _is_another_boot(transport, differs_from):
            access.key_file.with_name("known_hosts").write_text(f"imagetest {address.host_key}\n")
            return transport, address, notes
        transport.close()
        machine.alive()
        if time.monotonic() >= deadline:
            raise BootError("it did not reboot in time", hint="does it obey the power button? AWS presses that first")
        time.sleep(aws.PAUSE_SECONDS)


def _printed(machine: Ec2Instance, deadline: float, tried: list[str]) -> str:
    """Wait for a host key on the console that was not tried yet."""
    while True:
        if found := [one for one in machine.host_keys() if one not in tried]:
            return found[0]
        machine.alive()
        if time.monotonic() >= deadline:
            raise connection.HostKeyError(
                "it presents a host key that neither user-data gave it nor its console shows",
                hint="does cloud-init run in it? nothing is trusted because it answers first",
            )
        time.sleep(CONSOLE_SECONDS)


def _is_another_boot(transport: paramiko.Transport, before: bytes) -> bool:
    try:
        shell = Shell(transport)
        now = inside.mark(shell)
        shell.close()
    except (MachineLostError, CommandTimeoutError):
        return False  # it is going down
    return bool(now) and now != before


def _through_a_session(instance: str, region: str, plan: BootPlan, access: Access) -> str:
    way = tunnel.command(instance, region, plan.port)
    return shlex.join([*login.ssh(access), "-o", f"ProxyCommand={way}", f"{plan.user}@{instance}"])


def fingerprint(key: str) -> str:
    """Return the SHA-256 fingerprint of a public key as `ssh-keygen -l` prints it."""
    digest = hashlib.sha256(base64.b64decode(key.split()[1])).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")
