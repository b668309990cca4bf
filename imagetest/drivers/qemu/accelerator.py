"""Whether this machine's KVM really runs a guest, found out by running one."""

from __future__ import annotations

import base64
import os
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from imagetest.errors import ProcessError
from imagetest.execute import process

PROGRAM = "qemu-system-x86_64"

DEVICE = "/dev/kvm"

PATIENCE_SECONDS = 0.9
"""A KVM that works answers in a tenth of that."""

SUCCESS = 85
"""What isa-debug-exit makes of the guest's farewell of 42: twice that and one."""

EMULATED_CPU = "Nehalem"
"""x86-64-v2, what current distributions ask for; a third quicker to emulate than `max`."""

GUEST = base64.b64decode(
    "+jHAjMiO2GYPARbAAA8gwGaDyAEPIsBm6h8ADwAIAGa4EACO2I7AjtAxwL8AEAAAuQAMAADzq8cFABAAAAMgAADHBQAgAAADMAAAxwUAMAAAgwAA"
    "AA8g4IPIIA8i4LgAEAAADyLYuYAAAMAPMg0AAQAADzAPIMANAAAAgA8iwOqGAA8AGABIx8FAQg8ASP/JdfuwKub09Ov9jbQAAI10AAAAAAAAAAAA"
    "//8AAACazwD//wAAAJLPAP//AAAAmq8AHwCgAA8="
)
"""A ROM that goes from real to protected to long mode, counts to a million and says farewell through port 0xf4.

A guest that stays in real mode proves nothing: there are hosts on which that works and every 64-bit kernel hangs.
"""

SIZE, RESET_VECTOR, JUMP = 65536, 0xFFF0, b"\xe9\r\x00"
"""The processor begins 16 bytes below the end of the ROM: there, a jump to its beginning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator:
    """How the guest's instructions are run."""

    name: str
    """`kvm`, or `tcg` for emulation by software."""
    cpu: str
    reason: str = ""
    """Why it is not KVM; empty when it is, or when emulation was asked for."""


def choose(wanted: str) -> Accelerator:
    """Return what a plan's accelerator comes to. Raises ProcessError when KVM was asked for and cannot be had."""
    if wanted == "tcg":
        return Accelerator(name="tcg", cpu=EMULATED_CPU)
    reason = without_kvm()
    if not reason:
        return Accelerator(name="kvm", cpu="host")
    if wanted == "kvm":
        raise ProcessError(f"KVM cannot be used: {reason}", hint="accelerator = 'auto' falls back to emulation")
    return Accelerator(name="tcg", cpu=EMULATED_CPU, reason=reason)


@cache
def without_kvm() -> str:
    """Return why KVM cannot be used here; an empty string when it can."""
    if not Path(DEVICE).exists():
        return f"there is no {DEVICE}"
    if not os.access(DEVICE, os.R_OK | os.W_OK):
        return f"this account may not use {DEVICE}"
    return "" if reaches_long_mode("kvm", "host") else f"{DEVICE} is there, and a 64-bit guest does not run on it"


def reaches_long_mode(accelerator: str, cpu: str) -> bool:
    """Say whether a 64-bit guest runs; it takes less than a second."""
    rom = bytearray(SIZE)
    rom[: len(GUEST)] = GUEST
    rom[RESET_VECTOR : RESET_VECTOR + len(JUMP)] = JUMP
    with tempfile.NamedTemporaryFile(suffix=".rom") as file:
        file.write(rom)
        file.flush()
        try:
            done = process.run(
                PROGRAM, "-nodefaults", "-no-user-config", "-display", "none", "-machine", "pc", "-accel", accelerator,
                "-cpu", cpu, "-m", "16", "-bios", file.name, "-device", "isa-debug-exit,iobase=0xf4,iosize=1",
                timeout=PATIENCE_SECONDS,
            )  # fmt: skip
        except ProcessError:
            return False
    return done.exit_code == SUCCESS
