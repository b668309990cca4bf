"""How long a virtual machine takes to be ready: by a boot of its own, and by going on from one booted state.

Usage: python benchmarks/clones.py [DISK] [--times N]; without a disk, the one that scripts/base-disk makes.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from imagetest.drivers.qemu import QemuDriver
from imagetest.model.plan import BootPlan, Hardware
from imagetest.ports import Booted
from imagetest.testing.contracts import NAME, ask, ignore, let_go, make_access

PLAN = BootPlan(timeout=60.0, machine=Hardware(memory=512))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("disk", nargs="?", type=Path)
    parser.add_argument("--times", type=int, default=3)
    asked = parser.parse_args()
    disk = asked.disk or _base_disk()
    driver = QemuDriver()
    image = driver.identify(str(disk), name=NAME)
    with tempfile.TemporaryDirectory() as folder:
        access = make_access(Path(folder))

        def boot(resource: str) -> Booted:
            return driver.boot(image, PLAN, resource=resource, access=access, progress=ignore)

        def clone(resource: str) -> Booted:
            return driver.clone(
                image, PLAN, resource=resource, access=access, progress=ignore, claim=lambda _name: None
            )

        try:
            boots = [_seconds(driver, boot) for _ in range(asked.times)]
            first = _seconds(driver, clone)
            clones = [_seconds(driver, clone) for _ in range(asked.times)]
        finally:
            driver.close()
    print(f"boot {statistics.median(boots):.1f} s (median of {asked.times}: {_listed(boots)})")
    print(f"first clone, which boots and saves {first:.1f} s")
    print(f"clone {statistics.median(clones):.1f} s (median of {asked.times}: {_listed(clones)})")
    print(f"ratio {statistics.median(boots) / statistics.median(clones):.0f}")


def _seconds(driver: QemuDriver, make: Callable[[str], Booted]) -> float:
    """Return how long it takes until a machine has answered a command."""
    resource = f"imagetest-benchmark-{time.monotonic_ns()}"
    began = time.monotonic()
    try:
        up = make(resource)
        ask(up, "true")
        let_go(up)
        return time.monotonic() - began
    finally:
        driver.destroy(resource)


def _base_disk() -> Path:
    script = Path(__file__).parents[1] / "scripts" / "base-disk"
    return Path(subprocess.run([script], check=True, capture_output=True, text=True).stdout.strip())


def _listed(values: list[float]) -> str:
    return ", ".join(f"{one:.1f}" for one in values)


if __name__ == "__main__":
    main()
