"""One virtual machine while it is up: what it says, whether it lives, how it is shut down."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

from imagetest.drivers.held import keeper
from imagetest.drivers.held.hold import Hold
from imagetest.drivers.qemu import command, console, traffic
from imagetest.drivers.qemu.monitor import Monitor
from imagetest.errors import BootError, EngineError
from imagetest.model.plan import BootPlan

PAUSE_SECONDS = 0.02

MONITOR_SECONDS = 20.0


class Machine:
    """A QEMU that this process started."""

    def __init__(self, folder: Path, argv: list[str], plan: BootPlan) -> None:
        """Start it. Raises BootError with QEMU's own words when it does not start."""
        self.folder = folder
        self.argv = argv
        self._plan = plan
        self._before = _size(folder / keeper.CONSOLE)
        self._heard, self._heard_at = 0, time.monotonic()
        self._hold = Hold(folder, argv)
        try:
            self.port = self._forwarded()
        except BaseException:
            self._hold.end()
            raise

    def alive(self) -> None:
        """Raise BootError, with what its console says, when there is no use in waiting any longer."""
        size = _size(self.folder / keeper.CONSOLE)
        if size != self._heard:
            self._heard, self._heard_at = size, time.monotonic()
        silent = time.monotonic() - self._heard_at
        found = console.dead(self._of_this_boot(), read(self.folder / command.FIRMWARE), silent=silent)
        if found is not None:
            raise BootError(found.reason, hint=found.hint)
        self._runs()

    def trouble(self, seconds: float) -> console.Trouble:
        """Return why it was not reached in time."""
        firmware = read(self.folder / command.FIRMWARE)
        return console.unreachable(self._of_this_boot(), firmware, self.traffic(), seconds=seconds)

    def console(self) -> str:
        """Return what its serial console said, at the boots before a reboot too."""
        return read(self.folder / keeper.CONSOLE)

    def _of_this_boot(self) -> str:
        return read(self.folder / keeper.CONSOLE, since=self._before)

    def traffic(self) -> traffic.Traffic:
        """Return what it sent so far."""
        try:
            return traffic.read((self.folder / traffic.FILE).read_bytes(), port=self._plan.port)
        except OSError:
            return traffic.Traffic()

    def stop_noting(self) -> None:
        """Have QEMU note no more packets: from now on they are the checks' own."""
        with suppress(OSError, EngineError), Monitor(self.folder) as monitor:  # whoever asks next hears that it ended
            monitor.ask("object-del", id=command.NOTES)

    def shut_down(self, seconds: float) -> None:
        """Press the power button and wait for the end. Raises BootError when it does not come.

        A guest that restarts instead ends as well, and is started again by whoever wants it.
        """
        try:
            with Monitor(self.folder) as monitor:
                monitor.ask("set-action", reboot="shutdown")
                monitor.ask("system_powerdown")
        except OSError as error:
            raise BootError(f"QEMU does not answer: {error}") from error
        deadline = time.monotonic() + seconds
        while self._hold.ended() is None:
            if time.monotonic() >= deadline:
                raise BootError(f"it did not shut down within {seconds:.0f} seconds")
            time.sleep(PAUSE_SECONDS)

    def let_go(self) -> None:
        """Have it outlive this process."""
        self._hold.let_go()

    def end(self) -> None:
        """End it, with its folder."""
        self._hold.end()

    def ended(self) -> int | None:
        """Return its exit code when it has ended."""
        return self._hold.ended()

    def _runs(self) -> None:
        code = self._hold.ended()
        if code is not None:
            said = self._hold.said()
            raise BootError(f"the machine ended by itself, QEMU with exit code {code}" + (f": {said}" if said else ""))

    def _forwarded(self) -> int:
        """Return the port that QEMU forwards, once its monitor answers."""
        deadline = time.monotonic() + MONITOR_SECONDS
        while time.monotonic() < deadline:
            self._runs()
            with suppress(OSError, EngineError), Monitor(self.folder) as monitor:  # it may end while it is asked
                return monitor.port()
            time.sleep(PAUSE_SECONDS)
        raise BootError("QEMU did not start in time")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def read(path: Path, *, since: int = 0) -> str:
    """Return the end of a file that a guest may have filled, of what follows a byte; nothing where there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(since, path.stat().st_size - (1 << 20)))
            return file.read().decode(errors="replace")
    except OSError:
        return ""
