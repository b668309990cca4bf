"""The command line of one virtual machine."""

from __future__ import annotations

import uuid
from pathlib import Path

from imagetest.drivers.held.keeper import CONSOLE
from imagetest.drivers.qemu import firmware, monitor, traffic
from imagetest.drivers.qemu.accelerator import PROGRAM, Accelerator
from imagetest.model.plan import BootPlan

OVERLAY = "disk.qcow2"

FIRMWARE = "firmware.log"

DEBUG_PORT = 0x402
"""Where SeaBIOS writes what it does."""

SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"

MACHINES = {"bios": "pc", "uefi": "q35"}

NOTES = "packets"
"""QEMU's name for what notes the packets."""


def line(plan: BootPlan, accelerator: Accelerator, folder: Path, resource: str, keys: list[str]) -> list[str]:
    """Return the command that boots what is in a folder; every path in it is relative to that. Raises BootError."""
    hardware = plan.machine
    return [
        PROGRAM, "-name", firmware.escaped(resource), "-nodefaults", "-no-user-config", "-display", "none",
        "-sandbox", SANDBOX, "-machine", MACHINES[hardware.firmware],
        "-accel", "kvm" if accelerator.name == "kvm" else "tcg,thread=multi", "-cpu", hardware.cpu or accelerator.cpu,
        "-smp", str(hardware.cpus), "-m", str(hardware.memory), "-vga", "std",
        *firmware.arguments(hardware.firmware, folder),
        # Nobody needs what is written to last longer than the machine.
        "-drive", f"file={OVERLAY},if=none,id=disk,format=qcow2,cache=unsafe,discard=unmap",
        "-device", "virtio-blk-pci,drive=disk,bootindex=0", "-device", "virtio-rng-pci",
        # By which a guest knows that it is another machine than the one whose memory it has.
        "-device", f"vmgenid,guid={uuid.uuid4()}",
        *_network(plan), *keys,
        "-chardev", f"file,id=console,path={CONSOLE},append=on", "-serial", "chardev:console",
        "-chardev", f"file,id=firmware,path={FIRMWARE}", "-device",
        f"isa-debugcon,iobase={DEBUG_PORT:#x},chardev=firmware",
        "-qmp", f"unix:{monitor.SOCKET},server=on,wait=off",
    ]  # fmt: skip


def _network(plan: BootPlan) -> list[str]:
    """Forward a port that is chosen while it is bound, so that nobody else can take it in between."""
    cut = ",restrict=on" if plan.network == "none" else ""
    return [
        "-netdev", f"user,id=net,hostfwd=tcp:127.0.0.1:0-:{plan.port}{cut}",
        "-device", f"virtio-net-pci,netdev=net,mac={traffic.MAC},romfile=",
        "-object", f"filter-dump,id={NOTES},netdev=net,file={traffic.FILE},maxlen={traffic.LONGEST}",
    ]  # fmt: skip
