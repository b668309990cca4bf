"""The EC2 driver: an instance from an AMI, reached by its own SSH server."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import paramiko

from imagetest.drivers import login, readiness
from imagetest.drivers.console import KEPT, last_lines
from imagetest.drivers.ec2 import amis, baked, belongings, inside, launch, resting
from imagetest.drivers.ec2.instance import Ec2Instance
from imagetest.drivers.ec2.reaching import Reached, reach
from imagetest.drivers.held import place
from imagetest.drivers.held.rest import Rest
from imagetest.drivers.history import look_back
from imagetest.errors import BootError, ConfigError, EngineError, ImagetestError, LeakError
from imagetest.execute import aws, tags
from imagetest.model.image import Image
from imagetest.model.instance import Boot, Instance
from imagetest.model.plan import BootPlan
from imagetest.ports import Access, Booted, Event, Expired, Progress
from imagetest.transport.shell import Shell

ANSWER_SECONDS = 20.0
"""How long an instance that is up already may take to answer."""

SILENT = "its console said nothing yet"
"""AWS renews what it has of a console now and then."""

CUT_OFF = (
    "its security group lets nothing out; EC2 does not tell what it tried to reach, and lets it reach AWS's name "
    "server, clock and metadata service all the same"
)


@dataclass(slots=True, kw_only=True)
class _Known:
    """What this process knows of an instance that it made or took over."""

    region: str
    instance: Ec2Instance | None = None
    until: datetime | None = None
    close: list[Callable[[], None]] = field(default_factory=list)

    def began(self, ec2: Any, identity: str) -> None:
        """Note an instance, so that it is removed even if AWS lists it only later."""
        self.instance = Ec2Instance(ec2, identity)


class Ec2Driver:
    """Boots one instance per resource; everything that belongs to it carries the resource's name as a tag."""

    name = "ec2"

    def __init__(self) -> None:
        self._clients: dict[str, Any] = {}
        self._known: dict[str, _Known] = {}
        self._rests: dict[str, Rest | None] = {}
        """What was opened at rest, or was to be: for that nothing was ever made in the account."""
        self._lock = threading.Lock()

    def place(self, image: Image) -> str:
        """Return the region of an image, which the names of its instances tell."""
        return amis.parse(image.reference)[0]

    def identify(self, reference: str, *, name: str) -> Image:
        """Look at the AMI again. Raises EngineError when it is not there or cannot be booted."""
        region, ami = amis.parse(reference)
        return amis.look(self._client(region), region, ami).image(name)

    def boot(self, image: Image, plan: BootPlan, *, resource: str, access: Access, progress: Progress) -> Booted:
        """Start an instance and wait until it is reachable and ready."""
        launch.understood(plan)
        region, ami_id = amis.parse(image.reference)
        known = self._known[resource] = _Known(region=region)
        ec2 = self._client(region)
        ami = amis.look(ec2, region, ami_id)
        _unchanged(ami, image)
        progress(Event(subject=image.name, text=f"starting an instance of {ami.reference}"))
        ordered = launch.prepare(ec2, ami, plan, resource=resource, image=image.name, access=access)
        known.until = ordered.until
        launch.start(ec2, ordered, began=lambda identity: known.began(ec2, identity))
        assert known.instance is not None  # noqa: S101 - it began
        with self._told(known.instance):
            known.instance.wait_until_it_runs()
        progress(Event(subject=image.name, text=f"booting {known.instance.id}"))
        return self._come_up(image, plan, resource, access)

    def restart(self, up: Booted, image: Image, plan: BootPlan, *, access: Access, progress: Progress) -> Booted:
        """Have AWS reboot an instance, which presses its power button, and wait until it is ready again."""
        resource = up.instance.id
        known = self._of(resource)
        before = _mark(up)
        _hang_up(up)
        assert known.instance is not None  # noqa: S101 - only what was booted is restarted
        progress(Event(subject=image.name, text="rebooting"))
        with aws.translated(f"reboot instance {known.instance.id!r}"):
            self._client(known.region).reboot_instances(InstanceIds=[known.instance.id])
        return self._come_up(image, plan, resource, access, pinned=up.instance.address.host_key, before=before)

    def attach(self, instance: Instance, boot: Boot, *, image: Image, plan: BootPlan, access: Access) -> Booted:
        """Connect to an instance that an earlier run left up."""
        resource = instance.id
        region, ami = amis.parse(image.reference)
        known = self._known[resource] = _Known(region=tags.region_in(resource) or region)
        ec2 = self._client(known.region)
        found = belongings.instances_of(ec2, resource, states=["running"])
        if not found:
            raise BootError(f"instance {resource!r} does not run any more")
        if found[0]["ImageId"] != ami or amis.look(ec2, region, ami).digest() != image.digest:
            raise BootError(f"instance {resource!r} is not of image {image.name!r}")
        known.instance = Ec2Instance(ec2, str(found[0]["InstanceId"]))
        known.instance.look()
        known.until = datetime.fromisoformat(tags.of(found[0])[tags.EXPIRES])
        there = reach(
            known.instance, plan, region=known.region, access=access, pinned=instance.address.host_key,
            deadline=time.monotonic() + ANSWER_SECONDS,
        )  # fmt: skip
        known.close.append(there.close)
        typed = there.login or login.command(there.address, access)
        return Booted(
            instance=replace(instance, address=there.address, login=typed), boot=boot, transport=there.transport,
            close=there.close, until=known.until,
        )  # fmt: skip

    def rest(self, image: Image, *, resource: str, access: Access) -> Booted:
        """Open a copy of what its root device's snapshot holds; no instance is started, and it has no network."""
        self._rests[resource] = None
        region, ami_id = amis.parse(image.reference)
        ami = amis.look(self._client(region), region, ami_id)
        _unchanged(ami, image)
        rest, read = resting.open_root(ami, resource=resource, access=access)
        self._rests[resource] = rest
        boot = Boot(driver=self.name, driver_version=version("boto3"), notes=(read,))
        return rest.answer(image, boot, resource=resource, access=access)

    def destroy(self, resource: str) -> None:
        """Terminate an instance and remove what was made for it, in this process or in one that is gone."""
        at_rest, rest = resource in self._rests, self._rests.get(resource)
        if rest is not None:
            rest.end()
        place.remove(resource)  # what is being opened at rest, or an earlier process had open
        if at_rest:
            self._rests[resource] = None
            return
        known = self._known.get(resource)
        for close in known.close if known is not None else ():
            close()
        try:
            region = known.region if known is not None else tags.region_in(resource) or aws.region()
            if not region:
                raise ConfigError(f"no region is known for {resource!r}", hint="set AWS_REGION")
            made = (known.instance.id,) if known is not None and known.instance is not None else ()
            belongings.remove(self._client(region), region, resource, instances=made)
        except LeakError:
            raise
        except ImagetestError as error:
            raise LeakError(f"{resource!r} may still be there: {error}", hint=error.hint) from error
        self._known.pop(resource, None)

    def discard(self, reference: str) -> None:
        """Deregister an AMI and delete its snapshots, or remove what a bake left of one."""
        left = baked.LEFT.fullmatch(reference)
        if left is not None:
            baked.discard_left(self._client(left["region"]), left["region"], left["what"])
            return
        try:
            region, ami = amis.parse(reference)
        except EngineError:
            return  # what names no AMI is none
        baked.discard(self._client(region), region, ami)

    def settle(self, reference: str) -> None:
        """Have an AMI stay: its bake is recorded."""
        region, ami = amis.parse(reference)
        baked.settle(self._client(region), region, ami)

    def expired(self, where: str, now: datetime) -> Expired:
        """Return the resources in a region of which something is there past its expiry, whoever made them."""
        found = belongings.expired(self._client(where), now)
        for resource in found.resources:
            self._known.setdefault(resource, _Known(region=where))
        images, unreadable = baked.expired(self._client(where), where, now)
        return replace(found, images=tuple(images), unreadable=(*found.unreadable, *unreadable))

    def last_words(self, resource: str) -> str:
        """Return the state of the instance, AWS's status checks and the last lines of its console."""
        known = self._known.get(resource)
        if known is None or known.instance is None:
            return "the instance is gone"
        return _last_words(known.instance)

    def close(self) -> None:
        """Close the connections to AWS, and what leads to instances."""
        for known in self._known.values():
            for close in known.close:
                close()
            known.close.clear()
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients = {}

    def _client(self, region: str) -> Any:
        with self._lock:
            if region not in self._clients:
                self._clients[region] = aws.client("ec2", region)
            return self._clients[region]

    def _of(self, resource: str) -> _Known:
        if resource not in self._known:
            raise BootError(f"there is no instance {resource!r}")
        return self._known[resource]

    def _come_up(
        self, image: Image, plan: BootPlan, resource: str, access: Access, *, pinned: str = "", before: bytes = b""
    ) -> Booted:
        """Wait until an instance that runs is reachable and ready."""
        known = self._of(resource)
        machine = known.instance
        assert machine is not None  # noqa: S101 - it was started
        started, clock = datetime.now(UTC), time.monotonic()
        deadline = clock + plan.timeout
        with self._told(machine):
            there = reach(
                machine, plan, region=known.region, access=access, pinned=pinned or access.host.public,
                deadline=deadline, fresh=not before, differs_from=before,
            )  # fmt: skip
        known.close.append(there.close)
        reachable = time.monotonic() - clock
        boot = Boot(
            driver=self.name, driver_version=version("boto3"), reached_by="image", user=plan.user,
            host_key_fingerprint=there.fingerprint, started=started,
        )  # fmt: skip
        typed = there.login or login.command(there.address, access)
        instance = Instance(id=resource, name=image.name, address=there.address, login=typed)
        up = Booted(instance=instance, boot=boot, transport=there.transport, close=there.close)
        try:
            with self._told(machine):
                return self._ready(up, plan, known, there, clock=clock, reachable=reachable)
        except BaseException:
            _hang_up(up)
            raise

    def _ready(
        self, up: Booted, plan: BootPlan, known: _Known, there: Reached, *, clock: float, reachable: float
    ) -> Booted:
        machine = known.instance
        assert machine is not None  # noqa: S101 - it was started
        assert known.until is not None  # noqa: S101 - it was started
        shell = Shell(there.transport)
        asked = time.monotonic() - clock
        said = inside.ask(shell)
        init = said.init if plan.init == "auto" else plan.init
        end = inside.see_to_its_end(shell, known.until, root=plan.user == "root", must=plan.ec2.timer == "required")
        identity = inside.identity(
            shell, instance=machine.id, image=str(machine.said["ImageId"]), region=known.region
        )  # fmt: skip
        notes = readiness.wait(up, plan, init=init, deadline=clock + plan.timeout, alive=machine.alive)
        ready = time.monotonic() - clock
        begun = max(0.0, asked - said.age)
        seen = look_back(shell, init=init, reachable=reachable, ready=ready, before=begun)
        shell.close()
        cut = (CUT_OFF,) if plan.network == "none" else ()
        told = (machine.card(), identity, end, machine.checks(), *there.notes, *cut, *notes)
        boot = replace(
            up.boot, command=said.process_1, init=init, reachable_seconds=round(reachable, 3),
            ready_seconds=round(ready, 3), timeline=seen.timeline, console=_console(machine), notes=told,
        )  # fmt: skip
        return replace(up, boot=boot, until=known.until)

    @contextmanager
    def _told(self, machine: Ec2Instance) -> Iterator[None]:
        """Say with a failed boot what AWS and the machine itself say."""
        try:
            yield
        except BootError as error:
            hint = error.hint or "[images.NAME.boot] sets timeout; SSH comes in from boot.ec2.inbound alone"
            raise type(error)(f"the image did not come up: {error}; {_last_words(machine)}", hint=hint) from error


def _unchanged(ami: amis.Ami, image: Image) -> None:
    if ami.digest() != image.digest:
        raise EngineError(f"AMI {ami.reference!r} is {ami.digest()} now, {image.digest} was to be booted")


def _console(machine: Ec2Instance) -> str:
    """Return the end of its console, which AWS renews now and then; nothing where AWS has none to show."""
    try:
        return machine.console()[-KEPT:]
    except EngineError:
        return ""


def _last_words(machine: Ec2Instance) -> str:
    try:
        state = machine.look()
        parts = [
            machine.ended(state) if state != "running" else "",
            machine.checks(),
            last_lines(machine.console(), nothing=SILENT),
        ]
    except EngineError as error:
        return str(error)
    return "; ".join(part for part in parts if part)


def _mark(up: Booted) -> bytes:
    """Return what tells this boot of an instance from the next."""
    assert up.transport is not None  # noqa: S101 - this driver always connects
    shell = Shell(up.transport)
    try:
        return inside.mark(shell)
    finally:
        shell.close()


def _hang_up(up: Booted) -> None:
    transport: paramiko.Transport | None = up.transport
    if transport is not None:
        transport.close()
    up.close()
