"""A driver without machines: each instance is an SSH server on loopback whose commands run in a folder of their own."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from imagetest.errors import BootError, EngineError, LeakError
from imagetest.execute.local import LocalExecutor
from imagetest.model.image import Image
from imagetest.model.instance import Address, Boot, Instance, Moment
from imagetest.model.plan import BootPlan
from imagetest.ports import Access, Booted, Event, Progress
from imagetest.transport import connection
from imagetest.transport.gateway import Gateway


class FakeDriver:
    """Boots images that are mere names.

    Real SSH and a real shell, so that whatever speaks to an instance can be tested without an engine; the commands run
    on this machine, in an empty folder, as this user.
    """

    name = "fake"

    def __init__(self) -> None:
        self.images: dict[str, str] = {}
        """The content of each image by its reference; the digest is made of it."""
        self.broken: dict[str, str] = {}
        """For an image that does not come up, what it says."""
        self.stuck: set[str] = set()
        """Instances that cannot be removed."""
        self._up: dict[str, _Machine] = {}

    @property
    def up(self) -> frozenset[str]:
        """Return the instances that there are."""
        return frozenset(self._up)

    def identify(self, reference: str, *, name: str) -> Image:
        """Return the image behind a reference. Raises EngineError when there is none."""
        if reference not in self.images:
            raise EngineError(f"there is no image {reference!r}")
        digest = "sha256:" + hashlib.sha256(self.images[reference].encode()).hexdigest()
        return Image(name=name, kind=self.name, reference=reference, digest=digest)

    def boot(self, image: Image, plan: BootPlan, *, resource: str, access: Access, progress: Progress) -> Booted:
        """Open a folder and serve it. Raises BootError when the image is one of the broken ones."""
        progress(Event(subject=image.name, text="booting"))
        booted = self._open(image, plan.user, resource, access)
        if image.reference in self.broken:
            raise BootError(f"the image did not come up: {self.broken[image.reference]}")
        return booted

    def restart(self, up: Booted, image: Image, plan: BootPlan, *, access: Access, progress: Progress) -> Booted:
        """Serve the same folder anew. Raises BootError when the image is one of the broken ones."""
        progress(Event(subject=image.name, text="rebooting"))
        if up.transport is not None:
            up.transport.close()
        machine = self._up.pop(up.instance.id)
        machine.gateway.close()
        booted = self._open(image, plan.user, up.instance.id, access, folder=machine.folder)
        if image.reference in self.broken:
            raise BootError(f"the image did not come up: {self.broken[image.reference]}")
        return booted

    def attach(self, instance: Instance, boot: Boot, *, image: Image, plan: BootPlan, access: Access) -> Booted:
        """Serve the folder of an instance again. Raises BootError when it is gone, or is of another image."""
        machine = self._up.get(instance.id)
        if machine is None:
            raise BootError(f"there is no instance {instance.id!r}")
        if machine.digest != image.digest:
            raise BootError(f"{instance.id!r} was not booted from {image.name!r}")
        up = self._open(image, plan.user, instance.id, access, folder=machine.folder)
        return replace(up, boot=boot)

    def rest(self, image: Image, *, resource: str, access: Access) -> Booted:
        """Open a folder and serve it: nothing of the image's own is ever started."""
        return self._open(image, "root", resource, access)

    def destroy(self, resource: str) -> None:
        """End what runs and remove the folder."""
        if resource in self.stuck:
            raise LeakError(f"{resource!r} may still be there")
        machine = self._up.pop(resource, None)
        if machine is not None:
            machine.gateway.close()
            shutil.rmtree(machine.folder, ignore_errors=True)

    def discard(self, reference: str) -> None:
        """Forget an image."""
        self.images.pop(reference, None)

    def last_words(self, resource: str) -> str:
        """Say that nothing was said."""
        return "it logged nothing" if resource in self._up else "it is gone"

    def close(self) -> None:
        """Hold nothing."""

    def _open(self, image: Image, user: str, resource: str, access: Access, *, folder: Path | None = None) -> Booted:
        started = datetime.now(UTC)
        folder = folder or Path(tempfile.mkdtemp(prefix="imagetest-fake-"))
        gateway = Gateway(LocalExecutor(folder), host_key=access.host, allowed=access.user.public, user=user)
        self._up[resource] = _Machine(folder=folder, gateway=gateway, digest=image.digest)
        address = Address(
            host="127.0.0.1", port=gateway.port, user=user,
            host_key=access.host.public, key_file=str(access.key_file),
        )  # fmt: skip
        boot = Boot(
            driver=self.name, reached_by="gateway", user=user, started=started,
            host_key_fingerprint=access.host.fingerprint,
        )  # fmt: skip
        instance = Instance(id=resource, name=image.name, address=address, login=f"ssh -p {gateway.port} 127.0.0.1")
        booted = Booted(instance=instance, boot=boot, transport=connection.connect(address), close=gateway.close)
        seconds = (datetime.now(UTC) - started).total_seconds()
        timeline = (Moment(name="reachable", seconds=seconds), Moment(name="ready", seconds=seconds))
        boot = replace(boot, reachable_seconds=seconds, ready_seconds=seconds, timeline=timeline)
        return replace(booted, boot=boot)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Machine:
    folder: Path
    gateway: Gateway
    digest: str
