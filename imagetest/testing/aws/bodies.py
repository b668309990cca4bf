"""The body of an instance: a machine, what its console says, and the order of what is done to it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from imagetest.errors import ImagetestError
from imagetest.testing.aws import first_boot, user_data
from imagetest.testing.aws.machines import Machine, Ran, Yard

EXECUTE = """
folder=/var/lib/cloud/instance/boothooks
mkdir -p "$folder" && file=$(mktemp -p "$folder") && printf %s "$1" >"$file" && chmod 700 "$file" || exit
"$file"; code=$?; rm -f "$file"; exit "$code"
"""
"""Runs a text as a program, by its own `#!` line."""

CONSOLE_CHARACTERS = 64 << 10
"""How much of a console the API keeps."""

REBOOTED = 129
"""The exit code of a machine that rebooted itself: SIGHUP ends it then, as SIGINT does for power off (reboot(2))."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What a machine is made of."""

    instance: str
    image: str
    keys: tuple[str, ...]
    user: str
    user_data: bytes


class Body:
    """A machine that comes up by itself; everything else that is done to it waits for that."""

    def __init__(self, yard: Yard, launch: Launch, *, up: Callable[[], None], failed: Callable[[str], None]) -> None:
        """Begin to make it; `up` is called when it runs, `failed` with the reason when it cannot.

        Raises EngineError when the image is not there, and ConfigError for user-data that nobody could follow.
        """
        self._yard = yard
        self._launch = launch
        self._wanted = user_data.parse(launch.user_data)
        self._lock = threading.RLock()
        self._console = ""
        self._tail = ""
        self.runs = False
        self._machine: Machine | None = yard.make(launch.image, launch.instance)
        self.address = self._machine.address
        threading.Thread(target=self._come_up, args=(up, failed), daemon=True).start()

    def start(self) -> None:
        """Start it again."""
        with self._lock:
            if self._machine is not None and not self.runs:
                self._boot(self._machine)

    def stop(self) -> None:
        """Stop it."""
        with self._lock:
            if self._machine is not None and self.runs:
                self.runs = False
                self._machine.stop()

    def reboot(self) -> None:
        """Stop it and start it again."""
        with self._lock:
            if self._machine is not None and self.runs:
                self._machine.stop()
                self._boot(self._machine)

    def remove(self) -> None:
        """Remove it; its console can still be read."""
        with self._lock:
            if self._machine is not None:
                self.runs = False
                self._console = self._said()
                self._machine.remove()
                self._machine = None

    def powered_off(self) -> bool:
        """Say whether it has ended by itself; one that rebooted itself is started again."""
        if not self._lock.acquire(blocking=False):
            return False  # something is being done to it
        try:
            code = self._machine.ended() if self._machine is not None and self.runs else None
            if code == REBOOTED and self._machine is not None:
                self._boot(self._machine)
                return False
            self.runs = self.runs and code is None
            return code is not None
        finally:
            self._lock.release()

    def commit(self, name: str, *, reboot: bool) -> str:
        """Make an image of it; while it is stopped, unless it must not be."""
        with self._lock:
            if self._machine is None:
                raise ImagetestError("a machine that is gone leaves no image")
            running = self.runs
            if running and reboot:
                self.stop()
            reference = self._machine.commit(name)
            if running and reboot:
                self.start()
            return reference

    def console(self) -> str:
        """Return what it wrote to its console and what cloud-init said there."""
        with self._lock:
            text = self._said() if self._machine is not None else self._console
        return text[-CONSOLE_CHARACTERS:]

    @property
    def machine(self) -> Machine | None:
        """Return the machine while there is one."""
        return self._machine

    def _come_up(self, up: Callable[[], None], failed: Callable[[str], None]) -> None:
        try:
            with self._lock:
                machine = self._machine
                if machine is None:
                    return
                prepared = first_boot.prepare(
                    self._yard.client, machine.container, self._wanted, keys=self._launch.keys, user=self._launch.user,
                    hostname="ip-" + self.address.replace(".", "-"),
                )  # fmt: skip
                self._boot(machine)
                up()
                self._tail = prepared.console + self._tail
            machine.settle()
            for script in prepared.scripts:
                self._hear(script, machine.run([script]))
            self._tail += "Cloud-init finished. Datasource DataSourceEc2Local.\n"
        except ImagetestError as error:
            sys.stderr.write(f"{self._launch.instance}: {error}\n")
            self._tail += f"cloud-init: {error}\n"
            if not self.runs and self._machine is not None:
                failed(str(error))

    def _boot(self, machine: Machine) -> None:
        """Start a machine, and run what is to run at every boot as soon as it can."""
        machine.start()
        self.runs = True
        if self._wanted.at_boot:
            threading.Thread(target=self._run_at_boot, args=(machine,), daemon=True).start()

    def _run_at_boot(self, machine: Machine) -> None:
        with suppress(ImagetestError):  # it is gone already
            machine.answer()
            for text in self._wanted.at_boot:
                self._hear("what is to run at boot", machine.run(["/bin/sh", "-c", EXECUTE, "sh", text]))

    def _hear(self, what: str, ran: Ran) -> None:
        self._tail += ran.stdout + ran.stderr
        if ran.exit_code:
            self._tail += f"cloud-init: {what} exited with {ran.exit_code}\n"

    def _said(self) -> str:
        return (self._machine.said() if self._machine is not None else "").replace("\r\n", "\n") + self._tail
