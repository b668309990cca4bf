"""Mounted file systems (proc_pid_mountinfo(5))."""

from __future__ import annotations

import re
from collections.abc import Mapping

from imagetest.collectors.discretion import discreet
from imagetest.collectors.reading import Distinct, gap, legible, told
from imagetest.collectors.rules import normalised
from imagetest.model.plan import Scope
from imagetest.model.snapshot import Family, Part

APART = {
    "layers": re.compile(r"(lower|upper|work)dir="),
    "pipe": re.compile(r"(fd|pgrp|pipe_ino)="),
}
"""Options that are attributes of their own, because no two boots share them."""

STORES = re.compile(rb"/var/lib/(docker|containerd|containers|kubelet|lxc|lxd)/.*|/run/(docker|containerd|netns)/.*")
"""Where the file systems of containers are mounted, which are no part of the machine."""


class MountsCollector:
    """One fact a mount point: what is mounted there, of what type, with which options."""

    name = "mounts"

    def script(self, _scope: Scope) -> str:
        """Ask the kernel."""
        return "ask mounts cat /proc/self/mountinfo"

    def read(self, parts: Mapping[str, Part]) -> Family:
        """Read its table."""
        facts = Distinct()
        for line in told(parts, "mounts").stdout.split(b"\n"):
            before, found, after = line.partition(b" - ")
            fields, rest = before.split(b" "), after.split(b" ")
            if not found or len(fields) < 6 or len(rest) < 3:  # noqa: PLR2004 - the columns of the table
                continue
            place = _unescaped(fields[4])
            if not STORES.fullmatch(place):
                mount = _mount(legible(_unescaped(fields[3])), legible(fields[5]), [legible(one) for one in rest])
                facts.add(legible(place), mount)
        return normalised(self.name, "mount", facts, gap(parts, "mounts"))


def _mount(root: str, options: str, rest: list[str]) -> dict[str, str]:
    kind, source, superblock = rest[:3]
    words = list(dict.fromkeys([*options.split(","), *superblock.split(",")]))
    attributes = {"type": kind, "source": discreet(source + (f"[{root}]" if root != "/" else ""))}
    for name, pattern in APART.items():
        if kind in {"overlay", "autofs"} and (own := [word for word in words if pattern.match(word)]):
            attributes[name] = ",".join(own)
            words = [word for word in words if word not in own]
    return attributes | {"options": discreet(",".join(sorted(words)))}


def _unescaped(field: bytes) -> bytes:
    """Return what the kernel wrote with octal escapes for blanks."""
    return re.sub(rb"\\([0-7]{3})", lambda found: bytes([int(found[1], 8) & 0xFF]), field)
