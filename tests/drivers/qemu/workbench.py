"""Disks with one thing wrong in each, made of the one that boots: without a mount and without a loop device."""

from __future__ import annotations

from pathlib import Path

from imagetest.execute import process

FAT = "@@1M"
"""Where mtools finds the partition that boots."""


def copy(base: Path, path: Path) -> Path:
    """Make a raw copy of a disk."""
    process.output("qemu-img", "convert", "-O", "raw", str(base), str(path))
    return path


def without_boot_sector(base: Path, path: Path) -> Path:
    """Make a disk whose first sector is empty but for its partitions."""
    with copy(base, path).open("r+b") as file:
        file.write(bytes(440))
        file.seek(510)
        file.write(bytes(2))
    return path


def with_kernel_options(base: Path, path: Path, options: str) -> Path:
    """Make a disk whose kernel is started with other options and without its initial file system."""
    image, menu = f"{copy(base, path)}{FAT}", path.with_suffix(".cfg")
    said = process.output("mtype", "-i", image, "::/syslinux.cfg").splitlines()
    kept = [f"  APPEND {options}" if "APPEND" in line else line for line in said if "INITRD" not in line]
    menu.write_text("\n".join(kept) + "\n")
    process.output("mcopy", "-o", "-i", image, str(menu), "::/syslinux.cfg")
    return path
