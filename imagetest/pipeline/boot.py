"""Boot instances so that none is ever lost: a lease before it is made, its removal whatever happens."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from imagetest.errors import BootError, ImagetestError, LeakError, StorageError
from imagetest.execute import keys
from imagetest.execute.interrupts import interrupts
from imagetest.execute.leases import Lease, Leases, Standing
from imagetest.model.image import Image
from imagetest.model.plan import BootPlan
from imagetest.ports import Access, Booted, Cloning, Driver, Expiring, Placing, Progress


class Fleet:
    """The instances of one run."""

    def __init__(self, *, run: str, leases: Leases, folder: Path, drivers: Callable[[str], Driver]) -> None:
        self._run = run
        self._leases = leases
        self._folder = folder
        self._drivers = drivers
        self._up: dict[str, tuple[Driver, Booted | None]] = {}
        self._accesses: dict[str, Access] = {}
        self._broken_off: set[str] = set()
        """How the names of what nobody waits for any more end; an empty string is the end of all."""

    def boot(self, image: Image, plan: BootPlan, progress: Progress, suffix: str = "") -> Booted:
        """Boot an image as it ships; `suffix` tells further instances of one image from the first.

        Raises BootError, after removing what was made.
        """
        return self._start(
            image, plan, suffix, lambda driver, resource, access: driver.boot(
                image, plan, resource=resource, access=access, progress=progress
            )
        )  # fmt: skip

    def clone(self, image: Image, plan: BootPlan, progress: Progress, suffix: str = "") -> Booted:
        """Have an instance go on from one booted state, where its driver can; else boot it. Raises BootError."""

        def start(driver: Driver, resource: str, access: Access) -> Booted:
            if not isinstance(driver, Cloning):
                return driver.boot(image, plan, resource=resource, access=access, progress=progress)
            return driver.clone(
                image, plan, resource=resource, access=access, progress=progress,
                claim=lambda besides: self._claim(driver, besides, image),
            )  # fmt: skip

        return self._start(image, plan, suffix, start)

    def rest(self, image: Image, plan: BootPlan, suffix: str = "") -> Booted:
        """Open an image as it is before its first boot."""
        return self._start(
            image, plan, "-rest" + suffix,
            lambda driver, resource, access: driver.rest(image, resource=resource, access=access),
        )  # fmt: skip

    def called(self, image: Image, suffix: str = "") -> str:
        """Return what an instance of an image is called, but for where it is."""
        return f"imagetest-{self._run}-{image.name}{suffix}"

    def restart(self, booted: Booted, image: Image, plan: BootPlan, progress: Progress) -> Booted:
        """Reboot an instance; `booted` is of no more use then. Raises BootError when it does not come back."""
        resource = booted.instance.id
        driver, _ = self._up[resource]
        self._up[resource] = (driver, None)  # whatever happens: its connections are closed
        up = driver.restart(booted, image, plan, access=self._accesses[resource], progress=progress)
        self._up[resource] = (driver, up)
        return up

    def destroy(self, resource: str) -> None:
        """Remove an instance and everything that was made for it. Raises LeakError when it cannot be removed."""
        with interrupts.held():
            if resource not in self._up:
                return
            driver, booted = self._up[resource]
            if booted is not None:
                if booted.transport is not None:
                    booted.transport.close()
                booted.close()
            driver.destroy(resource)
            self._leases.release(resource)
            shutil.rmtree(self._folder / resource, ignore_errors=True)
            self._up.pop(resource, None)
            self._accesses.pop(resource, None)

    def destroy_all(self, resources: Sequence[str]) -> None:
        """Remove several instances side by side. Raises the first LeakError once all were tried."""
        with interrupts.held(), ThreadPoolExecutor(max_workers=max(1, len(resources))) as pool:
            attempts = [pool.submit(self.destroy, resource) for resource in resources]
        for attempt in attempts:
            attempt.result()

    def keep(self, resource: str) -> None:
        """Leave an instance up on purpose, with the keys to get in."""
        with interrupts.held():
            _, booted = self._up.pop(resource)
            self._leases.keep(resource)
            if booted is not None:
                booted.keep()
                booted.close()

    def lend(self, resource: str, standing: Standing) -> bool:
        """Leave an instance up for a later run; say whether, as one that is just like it may wait already."""
        with interrupts.held():
            _, booted = self._up[resource]
            assert booted is not None  # noqa: S101 - only what came up is lent
            booted.keep()
            if not self._leases.lend(resource, standing):
                return False
            self._up.pop(resource)
            if booted.transport is not None:
                booted.transport.close()
            booted.close()
        return True

    def adopt(self, lease: Lease) -> None:
        """Answer from now on for an instance whose lease this process has claimed."""
        driver = self._drivers(lease.kind)
        if isinstance(driver, Expiring):
            self._leases.outlive()
        self._up[lease.resource] = (driver, None)

    def attach(self, resource: str, attach: Callable[[Access], Booted]) -> Booted:
        """Have an instance that was adopted up again, with the keys of its boot.

        Raises what `attach` raises, and StorageError where its keys are gone; then it was removed.
        """
        return self._hold(self._up[resource][0], resource, lambda: self._earlier(resource), attach)

    def break_off(self, suffixes: Collection[str] = ("",)) -> None:
        """End what another thread is booting: it fails soon then, and removes what is left of it itself.

        All of it, or what has one of some suffixes. What has not made its instance yet may do so still; whoever waits
        for it calls this again. Nothing of the kind boots after.
        """
        self._broken_off |= set(suffixes)
        with interrupts.held():
            for resource, (driver, booted) in list(self._up.items()):
                if booted is None and self._is_broken_off(resource):
                    with suppress(LeakError):  # whoever removes it at last says so
                        driver.destroy(resource)

    def close(self) -> list[LeakError]:
        """Remove whatever is still up, and return what could not be."""
        leaks = []
        with interrupts.held():
            for resource in list(self._up):
                try:
                    self.destroy(resource)
                except LeakError as error:
                    leaks.append(error)
                    self._up.pop(resource, None)
        return leaks

    def last_words(self, resource: str) -> str:
        """Return what the machine logged last."""
        driver, _ = self._up[resource]
        return driver.last_words(resource)

    def _start(
        self, image: Image, plan: BootPlan, suffix: str, start: Callable[[Driver, str, Access], Booted]
    ) -> Booted:
        driver = self._drivers(image.kind if plan.driver == "auto" else plan.driver)
        resource = self.called(image, suffix)
        if isinstance(driver, Placing):
            resource = f"{resource}@{driver.place(image)}"
        if isinstance(driver, Expiring):
            self._leases.outlive()
        with interrupts.held():
            self._leases.take(driver.name, resource, image.name)
            self._up[resource] = (driver, None)
        return self._hold(
            driver, resource, lambda: self._access(resource), lambda access: start(driver, resource, access)
        )

    def _hold(
        self, driver: Driver, resource: str, make: Callable[[], Access], start: Callable[[Access], Booted]
    ) -> Booted:
        """Have an instance up that is leased to this process, or remove it."""
        self._up[resource] = (driver, None)
        try:
            access = self._accesses[resource] = make()
            self._still_wanted(resource)
            booted = start(access)
            booted = replace(booted, brought=booted.brought or (access.user.public,))
        except BaseException as error:
            self._abandon(resource, error)
            raise
        self._up[resource] = (driver, booted)
        return booted

    def _claim(self, driver: Driver, resource: str, image: Image) -> None:
        """Answer for what a driver makes besides an instance; it goes when the fleet is closed."""
        self._still_wanted(resource)
        with interrupts.held():
            self._leases.take(driver.name, resource, image.name)
            self._up[resource] = (driver, None)

    def _still_wanted(self, resource: str) -> None:
        if self._is_broken_off(resource):
            raise BootError("this was broken off before it could be booted")

    def _is_broken_off(self, resource: str) -> bool:
        return resource.partition("@")[0].endswith(tuple(self._broken_off))

    def _abandon(self, resource: str, error: BaseException) -> None:
        try:
            self.destroy(resource)
        except LeakError as leak:
            if isinstance(error, ImagetestError):
                raise leak from error
            raise

    def _earlier(self, resource: str) -> Access:
        folder = self._folder / resource
        try:
            return Access(host=keys.read(folder / "host"), user=keys.read(folder / "id"), key_file=folder / "id")
        except OSError as error:
            raise StorageError(f"cannot read the keys in {folder}: {error.strerror}") from error

    def _access(self, resource: str) -> Access:
        folder = self._folder / resource
        try:
            folder.mkdir(parents=True, mode=0o700, exist_ok=True)
            host, user = keys.generate(), keys.generate()
            host.write(folder / "host")
            (folder / "known_hosts").write_text(f"imagetest {host.public}\n")
            return Access(host=host, user=user, key_file=user.write(folder / "id"))
        except OSError as error:
            raise StorageError(f"cannot write the run's keys into {folder}: {error.strerror}") from error
