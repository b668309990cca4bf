"""The kernel's settings (sysctl(8)), as /proc/sys has them."""

from __future__ import annotations

from collections.abc import Mapping

from imagetest.collectors.reading import complaints, legible, told, walked
from imagetest.collectors.rules import normalised
from imagetest.model.plan import Scope
from imagetest.model.snapshot import Family, Gap, Part

SCRIPT = r"""
settings() {
    find /proc/sys -type f -perm -0400 ! -name stable_secret -exec grep -H '' {} +
}
ask settings settings
"""
"""What nobody may read is there to be written to only. A stable_secret that was never set cannot be read (EIO)."""

ROOT = "/proc/sys/"


class SysctlCollector:
    """One fact a setting, under the name that sysctl(8) gives it."""

    name = "sysctl"

    def script(self, _scope: Scope) -> str:
        """Read every setting, which is faster than sysctl(8) and needs it not."""
        return SCRIPT

    def read(self, parts: Mapping[str, Part]) -> Family:
        """Read the settings; one with several lines has them joined."""
        facts: dict[str, dict[str, str]] = {}
        for line in told(parts, "settings").stdout.split(b"\n"):
            path, sign, value = line.partition(b":")
            if sign and path.startswith(ROOT.encode()):
                key, text = _key(legible(path)), " ".join(legible(value.replace(b"\t", b" ")).split())
                facts[key] = {"value": f"{facts[key]['value']}; {text}" if key in facts else text}
        return normalised(self.name, "kernel setting", facts, _gaps(parts))


def _gaps(parts: Mapping[str, Part]) -> list[Gap]:
    """Return a gap for each setting that was refused; one that cannot be read at this moment is one too."""
    gaps = walked(parts, "settings", folders=False)
    known = {legible(path) for path in complaints(told(parts, "settings")).denied}
    return [
        Gap(key=_key(one.key), attribute=one.attribute, reason=one.reason) if one.key in known else one for one in gaps
    ]


def _key(path: str) -> str:
    """Return a setting's name: a dot for each slash, and a slash for each dot, as in the name of an interface."""
    return path.removeprefix(ROOT).translate(str.maketrans("/.", "./"))
