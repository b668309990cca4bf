"""The QEMU driver: finished disks as virtual machines."""

from __future__ import annotations

from imagetest.drivers.qemu.driver import QemuDriver

__all__ = ["QemuDriver"]
