"""Clones: machines that go on from one booted state, where each would take half a minute to boot by itself.

A state is the memory of a machine that was ready, and the disk that it had then. A clone runs on an overlay of that
disk. QEMU hands the memory over by its migration protocol (https://www.qemu.org/docs/master/devel/migration/). Every
clone has another generation id, by which Linux 5.18 and later, built with `drivers/virt/vmgenid.c`, knows to reseed.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import paramiko

from imagetest.drivers import login
from imagetest.drivers.held import place
from imagetest.drivers.qemu import command, disk, firmware, keys
from imagetest.drivers.qemu.machine import Machine
from imagetest.drivers.qemu.monitor import Monitor
from imagetest.errors import BootError, EngineError, MachineLostError
from imagetest.execute import keys as pairs
from imagetest.execute.interrupts import interrupts
from imagetest.model.image import Image
from imagetest.model.instance import Instance, Moment
from imagetest.model.plan import BootPlan
from imagetest.ports import Access, Booted
from imagetest.transport import connection
from imagetest.transport.shell import CommandTimeoutError, Shell

STATE, ENTRY = "state", "state.sock"

KEY = "id"

SAVE_SECONDS = 120.0
CONNECT_SECONDS = 20.0
RENEW_SECONDS = 20.0
PAUSE_SECONDS = 0.05

QUIET_SECONDS = 1.0
"""How long a machine has to see that nobody is connected to it any more, before its state is saved."""

FASTEST = 1 << 40
"""Bytes a second at which memory is handed over: as fast as it goes."""

CHUNK = 1 << 20

GENERATION = "vmgenid,guid="

RENEW = (
    "{sudo}date -s @{now} >/dev/null && echo {seed} >/dev/urandom || exit 1; "
    "{sudo}perl -e 'open R, q(>/dev/urandom); ioctl R, 0x5207, 0' 2>/dev/null; exit 0"
)
"""Sets the clock, which stood still; and stirs what randomness there is, for kernels that heed no generation id.

What is stirred in counts from the next reseeding, within a minute; where there is a Perl, at once (RNDRESEEDCRNG,
random(4)).
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A booted state, and the machine that it was."""

    folder: Path
    argv: list[str]
    access: Access
    booted: Booted


def make_keys(folder: Path) -> Access:
    """Make the keys that all clones of one state have."""
    return moved(Access(host=pairs.generate(), user=pairs.generate(), key_file=folder / KEY), folder)


def moved(access: Access, folder: Path) -> Access:
    """Write keys to another folder."""
    made = Access(host=access.host, user=access.user, key_file=access.user.write(folder / KEY))
    (folder / "known_hosts").write_text(f"imagetest {access.host.public}\n")
    return made


def save(machine: Machine, up: Booted, access: Access) -> State:
    """Save the state of a machine, which ends by that; its folder stays for as long as its keeper is held.

    Raises BootError when it cannot be saved.
    """
    if up.transport is not None:
        up.transport.close()
    time.sleep(QUIET_SECONDS)
    try:
        with socket.socket(socket.AF_UNIX) as entry, Monitor(machine.folder) as monitor:
            entry.settimeout(SAVE_SECONDS)
            entry.bind(str(machine.folder / ENTRY))
            entry.listen(1)
            writer = _Writer(entry, machine.folder / STATE)
            monitor.ask("stop")
            monitor.ask("migrate-set-parameters", **{"max-bandwidth": FASTEST})
            monitor.ask("migrate", uri=f"unix:{ENTRY}")
            try:
                _until(
                    lambda: monitor.ask("query-migrate").get("status"), "completed", ("failed", "cancelled"), machine
                )  # fmt: skip
            except EngineError:
                writer.whole()  # it may know why
                raise
            writer.whole()
            monitor.ask("quit")
    except (OSError, EngineError) as error:
        hint = error.hint if isinstance(error, EngineError) else ""
        raise BootError(f"the state of a machine cannot be saved: {error}", hint=hint) from error
    return State(folder=machine.folder, argv=machine.argv, access=access, booted=up)


def start(state: State, plan: BootPlan, resource: str) -> tuple[Machine, Access]:
    """Start a machine that goes on from a state. Raises BootError when QEMU cannot."""
    folder = place.make(resource)
    overlay = disk.Layer(path=state.folder / command.OVERLAY, format="qcow2", virtual_size=0)
    disk.overlay(overlay, folder / command.OVERLAY)
    for name in (keys.CREDENTIAL, keys.SEED, firmware.VARIABLES):
        if (state.folder / name).exists():
            shutil.copy(state.folder / name, folder / name)
    access = moved(state.access, folder)
    with interrupts.held():
        machine = Machine(folder, [*_another(state.argv, resource), "-incoming", "defer"], plan)
    try:
        _hand_over(machine, state.folder / STATE)
    except BaseException:
        machine.end()
        raise
    return machine, access


def _hand_over(machine: Machine, state: Path) -> None:
    try:
        with Monitor(machine.folder) as monitor:
            monitor.ask("migrate-incoming", uri=f"unix:{ENTRY}")
            with socket.socket(socket.AF_UNIX) as entry, state.open("rb") as file:
                entry.settimeout(CONNECT_SECONDS)
                entry.connect(str(machine.folder / ENTRY))
                entry.sendfile(file)
            _until(lambda: monitor.ask("query-status")["status"], "paused", ("internal-error",), machine)
            monitor.ask("cont")
    except (OSError, EngineError) as error:
        machine.alive()  # it says more where it has ended
        raise BootError(f"a machine does not take the state that was saved: {error}") from error


def come_up(
    state: State, machine: Machine, access: Access, image: Image, plan: BootPlan, *, resource: str, clock: float,
    seconds: float,
) -> Booted:  # fmt: skip
    """Connect to a clone within some seconds, and renew what must not be as it was. Raises BootError."""
    address = replace(state.booted.instance.address, port=machine.port, key_file=str(access.key_file))
    transport = connection.wait(address, deadline=clock + seconds, alive=machine.alive)
    reachable = round(time.monotonic() - clock, 3)
    try:
        _renew(transport, plan)
    except BaseException:
        transport.close()
        raise
    ready = round(time.monotonic() - clock, 3)
    before = state.booted.boot
    boot = replace(
        before, started=datetime.now(UTC), reachable_seconds=reachable, ready_seconds=ready,
        timeline=(Moment(name="reachable", seconds=reachable), Moment(name="ready", seconds=ready)),
        notes=(*before.notes, f"a clone, which did not boot: it went on from a state {before.ready_seconds:.0f} s old"),
    )  # fmt: skip
    instance = Instance(id=resource, name=image.name, address=address, login=login.command(address, access))
    return Booted(
        instance=instance, boot=boot, transport=transport, keep=machine.let_go, brought=(access.user.public,)
    )  # fmt: skip


def _renew(transport: paramiko.Transport, plan: BootPlan) -> None:
    sudo = "" if plan.user == "root" else "sudo -n "
    shell = Shell(transport)
    try:
        asked = RENEW.format(sudo=sudo, now=f"{time.time():.6f}", seed=secrets.token_hex(64))
        answer = shell.run(asked, timeout=RENEW_SECONDS)
    except (CommandTimeoutError, MachineLostError) as error:
        raise BootError(f"a clone was reached and stopped answering: {error}") from error
    finally:
        shell.close()
    if answer.exit_code:
        raise BootError(
            f"the clock of a clone cannot be set: {answer.stderr.decode(errors='replace').strip()}",
            hint="only root sets it: clone with boot.user = 'root', or a sudo that asks for no password",
        )


def _another(argv: list[str], resource: str) -> list[str]:
    """Return the command of another machine of the same kind."""
    made = [f"{GENERATION}{uuid.uuid4()}" if one.startswith(GENERATION) else one for one in argv]
    made[made.index("-name") + 1] = firmware.escaped(resource)
    return made


def _until(ask: Callable[[], object], wanted: str, never: tuple[str, ...], machine: Machine) -> None:
    deadline = time.monotonic() + SAVE_SECONDS
    while (said := ask()) != wanted:
        if said in never or time.monotonic() >= deadline:
            raise EngineError(f"QEMU says {said!r}, where {wanted!r} was waited for")
        machine.alive()
        interrupts.checkpoint()
        time.sleep(PAUSE_SECONDS)


class _Writer(threading.Thread):
    """Writes what QEMU hands over to a file."""

    def __init__(self, entry: socket.socket, path: Path) -> None:
        super().__init__(name="saving", daemon=True)
        self._entry = entry
        self._path = path
        self._error: OSError | None = None
        self.start()

    def run(self) -> None:
        """Write all that comes."""
        try:
            with self._entry.accept()[0] as sender, self._path.open("wb") as file:
                os.fchmod(file.fileno(), 0o600)
                while chunk := sender.recv(CHUNK):
                    file.write(chunk)
        except OSError as error:
            self._error = error

    def whole(self) -> None:
        """Wait for the end of the file. Raises EngineError when not all of it could be written."""
        self.join(SAVE_SECONDS)
        if self.is_alive():
            raise EngineError(f"its memory was not written within {SAVE_SECONDS:.0f} seconds")
        if self._error is not None:
            raise EngineError(
                f"its memory cannot be written: {self._error.strerror or self._error}",
                hint=f"make room below {place.ROOM}",
            ) from self._error
