"""The firmware of a virtual machine: SeaBIOS, which QEMU brings, or UEFI, which the distribution does."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from imagetest.errors import BootError

DESCRIPTIONS = (Path("/etc/qemu/firmware"), Path("/usr/local/share/qemu/firmware"), Path("/usr/share/qemu/firmware"))
"""Where distributions say which firmware there is, in the format of QEMU's docs/interop/firmware.json."""

VARIABLES = "firmware-variables.fd"


def arguments(kind: str, folder: Path) -> list[str]:
    """Return QEMU's arguments for a firmware; what UEFI remembers goes into `folder`. Raises BootError."""
    if kind == "bios":
        return []
    code, template = _flash()
    variables = folder / VARIABLES
    if not variables.exists():  # a reboot finds what the boot before it remembered
        shutil.copyfile(template, variables)
    return [
        "-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={escaped(code)}",
        "-drive", f"if=pflash,unit=1,format=raw,file={VARIABLES}",
    ]  # fmt: skip


def escaped(path: str) -> str:
    """Return a path as it stands in one of QEMU's lists of options, where a comma ends a value."""
    return path.replace(",", ",,")


def _flash() -> tuple[str, str]:
    """Return the paths of UEFI's code and of its empty variables, without Secure Boot: no key of ours is in a test."""
    first: dict[str, Path] = {}
    for path in (one for folder in DESCRIPTIONS for one in folder.glob("*.json")):
        first.setdefault(path.name, path)  # one in /etc takes the place of another, and an empty one hides that
    for _, path in sorted(first.items()):
        found = _usable(_described(path))
        if found is not None:
            return found
    raise BootError(
        "no UEFI firmware for virtual machines is installed", hint="apt-get install ovmf, or edk2-ovmf elsewhere"
    )


def _described(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text().strip()
        found = json.loads(text) if text else {}
    except (OSError, ValueError) as error:
        raise BootError(f"the description of a firmware {path} cannot be read: {error}") from error
    return found if isinstance(found, dict) else {}


def _usable(described: dict[str, Any]) -> tuple[str, str] | None:
    mapping, features = described.get("mapping", {}), described.get("features", [])
    machines = [one for target in described.get("targets", []) if target.get("architecture") == "x86_64"
                for one in target.get("machines", [])]  # fmt: skip
    if (
        "uefi" not in described.get("interface-types", []) or mapping.get("device") != "flash"
        or "secure-boot" in features or "requires-smm" in features or not any("q35" in one for one in machines)
    ):  # fmt: skip
        return None
    parts = [mapping.get("executable", {}), mapping.get("nvram-template", {})]
    if any(part.get("format") != "raw" or not Path(part.get("filename", "")).is_file() for part in parts):
        return None
    return parts[0]["filename"], parts[1]["filename"]
