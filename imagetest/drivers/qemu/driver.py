"""The QEMU driver: a virtual machine from the finished disk, reached over SSH on loopback."""

from __future__ import annotations

import secrets
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from imagetest.drivers import login, readiness
from imagetest.drivers.console import KEPT, last_lines, text
from imagetest.drivers.held import keeper, place
from imagetest.drivers.held.rest import Rest
from imagetest.drivers.history import look_back
from imagetest.drivers.qemu import accelerator, clones, command, disk, keys, way_in
from imagetest.drivers.qemu.machine import Machine, read
from imagetest.drivers.qemu.monitor import Monitor
from imagetest.errors import BootError, ConfigError, EngineError, LeakError, MachineLostError, ProcessError
from imagetest.execute import process
from imagetest.execute.interrupts import interrupts
from imagetest.model.image import Image
from imagetest.model.instance import Address, Boot, Instance
from imagetest.model.plan import BootPlan
from imagetest.ports import Access, Booted, Event, Progress
from imagetest.transport import connection
from imagetest.transport.shell import CommandTimeoutError, Shell

EMULATED = 4
"""How many times as long as on hardware whatever has a time limit may take under emulation."""

BOOTED = "image"
"""The file that says of which image a machine is."""

ANSWER_SECONDS = 20.0
"""How long a machine that is up already may take to answer."""

ASK = (
    "test -d /run/systemd/system && echo systemd || echo command; cat /proc/1/comm 2>/dev/null || echo unknown; "
    "cut -d ' ' -f 1 /proc/uptime"
)
"""What tells whether systemd runs a machine, what its process 1 is and how long its kernel has run (proc(5))."""

ASK_SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Start:
    """A machine that was just started."""

    machine: Machine
    started: datetime
    clock: float
    deadline: float
    seconds: float
    notes: tuple[str, ...]


class QemuDriver:
    """Boots one virtual machine per instance, on an overlay over the disk."""

    name = "qemu"

    def __init__(self) -> None:
        self._digests = disk.Digests()
        self._machines: dict[str, Machine] = {}
        self._rests: dict[str, Rest] = {}
        self._states: dict[tuple[str, BootPlan], clones.State] = {}
        self._keys: dict[str, Access] = {}
        """Of clones, which have those of the state that they are made of."""
        self._awaited: dict[str, str] = {}
        """The machine whose state a clone waits for."""
        self._cloning = threading.Lock()
        self._said: set[str] = set()
        self._lock = threading.Lock()

    def identify(self, reference: str, *, name: str) -> Image:
        """Read the disk again, as far as it was written to since. Raises EngineError when it is not there."""
        path = Path(reference).absolute()
        if not path.is_file():
            raise EngineError(f"there is no disk {reference!r}", hint="qemu:PATH names a file that QEMU can boot")
        layers = disk.layers(path)
        return Image(
            name=name, kind=self.name, reference=str(path), digest=self._digests.of(layers), platform="amd64",
            size=sum(layer.path.stat().st_size for layer in layers), created=disk.made(path),
        )  # fmt: skip

    def boot(self, image: Image, plan: BootPlan, *, resource: str, access: Access, progress: Progress) -> Booted:
        """Boot a disk and wait until it is reachable and ready."""
        _understood(plan)
        layers = self._layers(image)
        folder = place.make(resource)
        (folder / BOOTED).write_text(image.digest)
        disk.overlay(layers[0], folder / command.OVERLAY)
        return self._come_up(image, plan, resource, access, progress)

    def clone(
        self,
        image: Image,
        plan: BootPlan,
        *,
        resource: str,
        access: Access,
        progress: Progress,
        claim: Callable[[str], None],
    ) -> Booted:
        """Have a machine go on from where one of this image, booted by this plan, was ready; the first call boots that.

        The keys are those of that boot, and so `access` is of no use.
        """
        del access
        _understood(plan)
        with self._cloning:  # of several side by side, one boots
            state = self._states.get((image.digest, plan))
            state = state or self._state(image, plan, progress, wanted=resource, claim=claim)
        clock = time.monotonic()
        with interrupts.held():
            machine, own = clones.start(state, plan, resource)
            self._machines[resource], self._keys[resource] = machine, own
        try:
            return clones.come_up(
                state, machine, own, image, plan, resource=resource, clock=clock, seconds=self._seconds(plan)
            )
        except BootError as error:
            raise BootError(f"{error}; {self.last_words(resource)}", hint=error.hint) from error

    def _state(
        self, image: Image, plan: BootPlan, progress: Progress, *, wanted: str, claim: Callable[[str], None]
    ) -> clones.State:
        """Boot a machine and save its state, which is kept until the driver is closed or its process ends.

        Whoever destroys the instance that is `wanted` of it meanwhile ends the boot.
        """
        layers = self._layers(image)
        resource = self._awaited[wanted] = f"imagetest-state-{secrets.token_hex(6)}"
        try:
            claim(resource)
            folder = place.make(resource)
            access = clones.make_keys(folder)
            disk.overlay(layers[0], folder / command.OVERLAY)
            up = self._come_up(image, plan, resource, access, progress)
            state = clones.save(self._machines[resource], up, access)
        except BaseException:
            self.destroy(resource)
            raise
        finally:
            self._awaited.pop(wanted, None)
        with self._lock:
            self._states[image.digest, plan] = state
        return state

    def attach(self, instance: Instance, boot: Boot, *, image: Image, plan: BootPlan, access: Access) -> Booted:
        """Connect to a machine that an earlier run left up."""
        folder = place.of(instance.id)
        if read(folder / BOOTED) != image.digest:
            raise BootError(f"machine {instance.id!r} is not there, or not of image {image.name!r}")
        if not any(name == "machine" and place.runs(*one) for name, one in place.noted(folder).items()):
            raise BootError(f"machine {instance.id!r} does not run any more")
        try:
            with Monitor(folder) as monitor:
                address = replace(instance.address, port=monitor.port(), user=plan.user, key_file=str(access.key_file))
        except OSError as error:
            raise BootError(f"the QEMU of {instance.id!r} does not answer: {error}") from error
        transport = connection.wait(address, deadline=time.monotonic() + ANSWER_SECONDS, alive=lambda: None)
        typed = login.command(address, access)
        return Booted(instance=replace(instance, address=address, login=typed), boot=boot, transport=transport)

    def restart(self, up: Booted, image: Image, plan: BootPlan, *, access: Access, progress: Progress) -> Booted:
        """Press the power button, wait for the end, switch on again and wait until it is ready."""
        resource = up.instance.id
        access = self._keys.get(resource, access)
        if up.transport is not None:
            up.transport.close()
        up.close()
        progress(Event(subject=image.name, text="rebooting"))
        machine = self._machines.get(resource)
        if machine is None:
            raise BootError(f"machine {resource!r} was taken over from an earlier run, and only that could reboot it")
        try:
            machine.shut_down(self._seconds(plan))
        except BootError as error:
            hint = "does it obey the power button? systemd-logind does, and so does acpid"
            raise BootError(f"{error}; {self.last_words(resource)}", hint=hint) from error
        machine.let_go()
        return self._come_up(image, plan, resource, access, progress, again=True)

    def rest(self, image: Image, *, resource: str, access: Access) -> Booted:
        """Open a copy of the disk's file system; nothing of the image's own is started, and it has no network."""
        layers = self._layers(image)
        rest = self._rests[resource] = Rest.open(resource, access, partial(disk.raw, layers[0]))
        return rest.answer(image, Boot(driver=self.name), resource=resource, access=access)

    def destroy(self, resource: str) -> None:
        """End a machine, whoever started it, and remove its overlay."""
        if (awaited := self._awaited.pop(resource, None)) is not None:
            self.destroy(awaited)
        if (machine := self._machines.pop(resource, None)) is not None:
            machine.end()
        if (rest := self._rests.pop(resource, None)) is not None:
            rest.end()
        self._keys.pop(resource, None)
        with self._lock:
            self._states = {what: one for what, one in self._states.items() if one.folder != place.of(resource)}
        place.remove(resource)

    def discard(self, reference: str) -> None:
        """Remove a disk that was baked for one run alone, and the folder that it was alone in."""
        path = Path(reference).absolute()
        try:
            path.unlink(missing_ok=True)
        except NotADirectoryError:
            return
        except OSError as error:
            raise LeakError(f"cannot remove disk {reference!r}: {error.strerror}", hint=f"rm {reference}") from error
        with suppress(OSError):
            path.parent.rmdir()

    def last_words(self, resource: str) -> str:
        """Return the last lines of the serial console, and the exit code of a QEMU that ended."""
        folder, machine = place.of(resource), self._machines.get(resource)
        if not folder.is_dir():
            return "the machine is gone"
        code = machine.ended() if machine is not None else None
        ended = "" if code is None else f"QEMU ended with exit code {code}; "
        return ended + last_lines(read(folder / keeper.CONSOLE))

    def close(self) -> None:
        """Remove the states that clones were made of; a machine ends with this process, or when it is destroyed."""
        for state in list(self._states.values()):
            self.destroy(state.folder.name)

    def _layers(self, image: Image) -> tuple[disk.Layer, ...]:
        """Return what an image is made of, once it is clear that it is still that."""
        layers = disk.layers(Path(image.reference))
        now = self._digests.of(layers)
        if now != image.digest:
            raise EngineError(f"disk {image.reference!r} is {now} now, {image.digest} was to be booted")
        return layers

    def _accelerator(self, plan: BootPlan) -> accelerator.Accelerator:
        if shutil.which(accelerator.PROGRAM) is None:
            raise ProcessError(f"{accelerator.PROGRAM!r} is not installed", hint="apt-get install qemu-system-x86")
        with self._lock:  # of several boots side by side, one finds out
            return accelerator.choose(plan.machine.accelerator)

    def _seconds(self, plan: BootPlan) -> float:
        """Return how long a boot may take."""
        return plan.timeout * (EMULATED if self._accelerator(plan).name == "tcg" else 1)

    def _come_up(
        self, image: Image, plan: BootPlan, resource: str, access: Access, progress: Progress, *, again: bool = False
    ) -> Booted:
        """Start a machine and wait until it is reachable and ready."""
        start = self._start(image, plan, resource, access, progress, again=again)
        machine = start.machine
        address = Address(
            host="127.0.0.1", port=machine.port, user=plan.user, host_key=access.host.public,
            key_file=str(access.key_file),
        )  # fmt: skip
        try:
            transport = way_in.open_when_let(address, start.deadline, machine)
        except tuple(way_in.NOT_LET_IN) as error:
            raise type(error)(str(error), hint=way_in.NOT_LET_IN[type(error)]) from error
        except BootError as error:
            raise self._failed(resource, start, error) from error
        reachable = time.monotonic() - start.clock
        boot = Boot(
            driver=self.name, reached_by="image", user=plan.user, host_key_fingerprint=access.host.fingerprint
        )  # fmt: skip
        instance = Instance(id=resource, name=image.name, address=address, login=login.command(address, access))
        up = Booted(instance=instance, boot=boot, transport=transport, keep=machine.let_go)
        try:
            return self._ready(up, plan, start, reachable)
        except (BootError, MachineLostError) as error:
            transport.close()
            raise BootError(
                f"the image did not come up: {error}; {self.last_words(resource)}", hint=error.hint
            ) from error
        except BaseException:
            transport.close()
            raise

    def _start(
        self, image: Image, plan: BootPlan, resource: str, access: Access, progress: Progress, *, again: bool
    ) -> _Start:
        chosen, folder = self._accelerator(plan), place.of(resource)
        ways = plan.machine.keys
        placed, note = keys.arguments(ways, folder, access, user=plan.user, resource=resource, again=again)
        argv = command.line(plan, chosen, folder, resource, placed)
        said = _emulated(chosen) if chosen.name == "tcg" else "KVM runs it"
        if said not in self._said:
            self._said.add(said)
            progress(Event(subject=image.name, text=said))
        progress(Event(subject=image.name, text=f"booting by {plan.machine.firmware.upper()} ({chosen.name})"))
        started, clock = datetime.now(UTC), time.monotonic()
        with interrupts.held():
            machine = self._machines[resource] = Machine(folder, argv, plan)
        seconds = self._seconds(plan)
        return _Start(
            machine=machine, started=started, clock=clock, deadline=clock + seconds, seconds=seconds,
            notes=tuple(one for one in (f"{said}; its firmware is {plan.machine.firmware.upper()}", note) if one),
        )  # fmt: skip

    def _ready(self, up: Booted, plan: BootPlan, start: _Start, reachable: float) -> Booted:
        assert up.transport is not None  # noqa: S101 - this driver always connects
        machine, shell = start.machine, Shell(up.transport)
        asked = time.monotonic() - start.clock
        found, process_1, uptime = _asked(shell)
        init = found if plan.init == "auto" else plan.init
        notes = readiness.wait(up, plan, init=init, deadline=start.deadline, alive=machine.alive, seconds=start.seconds)
        ready = time.monotonic() - start.clock
        sent, cut = (
            (machine.traffic().attempts, ("nothing outside could be reached",)) if plan.network == "none" else ((), ())
        )
        machine.stop_noting()
        before = max(0.0, asked - uptime)
        seen = look_back(shell, init=init, reachable=reachable, ready=ready, container=False, before=before)
        shell.close()
        boot = replace(
            up.boot, driver_version=_version(), command=process_1, init=init, started=start.started,
            reachable_seconds=round(reachable, 3), ready_seconds=round(ready, 3), timeline=seen.timeline, attempts=sent,
            console=text(machine.console())[-KEPT:],
            notes=(*start.notes, *cut, *notes),
        )  # fmt: skip
        return replace(up, boot=boot)

    def _failed(self, resource: str, start: _Start, error: BootError) -> BootError:
        """Say why a machine was not reached: what it says itself stands before what was seen from outside."""
        reason, hint = str(error), error.hint
        if start.machine.ended() is None and time.monotonic() >= start.deadline:
            found = start.machine.trouble(start.seconds)
            reason, hint = found.reason, found.hint
        return BootError(f"the image did not come up: {reason}; {self.last_words(resource)}", hint=hint)


def _asked(shell: Shell) -> tuple[str, str, float]:
    try:
        said = shell.run(ASK, timeout=ASK_SECONDS).stdout.decode(errors="replace").splitlines()
        found, process_1, uptime = said
        return found, process_1, float(uptime)
    except (CommandTimeoutError, MachineLostError) as error:
        raise BootError(f"it was reached and stopped answering: {error}") from error
    except ValueError as error:
        raise BootError("it was reached and does not answer as a Linux machine does") from error


def _understood(plan: BootPlan) -> None:
    """Raise ConfigError for what only a container understands."""
    given = {
        "ssh": plan.ssh == "gateway", "command": bool(plan.command), "environment": bool(plan.environment)
    }  # fmt: skip
    for name, wrong in given.items():
        if wrong:
            raise ConfigError(
                f"boot.{name} is for containers, and the driver 'qemu' boots a disk as it is",
                hint=f"leave boot.{name} out; a disk is reached by its own SSH server and starts what it starts",
            )


def _emulated(chosen: accelerator.Accelerator) -> str:
    because = f", because {chosen.reason}" if chosen.reason else ""
    return f"it is emulated{because}: it is slow, and may take {EMULATED} times as long as the time limits say"


def _version() -> str:
    said = process.output(accelerator.PROGRAM, "--version", timeout=20).splitlines()[0]
    return said.removeprefix("QEMU emulator version ").split()[0]
