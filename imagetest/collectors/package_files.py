"""Files that are not what their package installed (dpkg(1) --verify, rpm(8) --verify)."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

from imagetest.collectors.reading import gap, legible, told
from imagetest.collectors.rules import normalised
from imagetest.model.plan import Scope
from imagetest.model.snapshot import Family, Gap, Part

SCRIPT = r"""
changed() {
    sed -n 's/^..5[^ ]*  *\([a-z] \)\{0,1\}\(\/.*\)$/\2/p' | tr '\n' '\0' | xargs -0 -r sha256sum
}
verified() {
    command -v "$1" >/dev/null || return 127
    said=$({ "$@"; echo "ended $?"; } | head -c 8000000 |
        grep -v '^missing  *\([a-z] \)\{0,1\}/usr/share/\(doc\|man\|info\|locale\|lintian\|linda\)/')
    printf '%s\n\n' "$said"
    printf '%s\n' "$said" | changed
    return 0
}
if [ -e /var/lib/dpkg ]; then
    ask dpkg verified dpkg --verify
fi
if [ -e /var/lib/rpm ] || [ -e /usr/lib/sysimage/rpm ]; then
    ask rpm verified rpm --verify --all --nodeps --noscripts --nomtime
fi
ask elsewhere printf '%s\n' ROOTS
"""
"""Manuals and translations may be missing: images leave them out on purpose, thousands of them."""

LINE = re.compile(rb"^(?P<flags>missing|[?.\w]{9})\s+(?:(?P<kind>[a-z]) )?(?P<path>/.*?)(?P<denied> \(.*\))?$")
SUM = re.compile(rb"^\\?([0-9a-f]{64}) [ *](/.*)$")
FLAGS = {"S": "size", "M": "mode", "5": "content", "D": "device", "L": "link", "U": "owner", "G": "group", "P": "caps"}
"""What the letters of both programs are about; dpkg knows only the 5."""


class PackageFilesCollector:
    """One fact a file that differs from what its package installed, outside the folders that `files` reads."""

    name = "package-files"
    slow = True
    """Every file of every package is read."""

    def script(self, scope: Scope) -> str:
        """Ask the package managers to compare; what `files` compares by content is left to it."""
        told_by_files = not scope.only or "files" in scope.only
        roots = [root.rstrip("/") for root in scope.roots if told_by_files]
        return SCRIPT.replace("ROOTS", " ".join(map(shlex.quote, roots)) or "''")

    def read(self, parts: Mapping[str, Part]) -> Family:
        """Read which files differ, and how."""
        facts: dict[str, dict[str, str]] = {}
        gaps = list(gap(parts, "elsewhere"))
        elsewhere = tuple(root + b"/" for root in told(parts, "elsewhere").stdout.split(b"\n") if root)
        for name in sorted(parts.keys() & {"dpkg", "rpm"}):
            gaps += gap(parts, name)
            listed, _, sums = told(parts, name).stdout.partition(b"\n\n")
            if not gaps and not re.search(rb"^ended [01]$", listed, re.MULTILINE):
                gaps.append(Gap(reason=f"{name} did not come to an end"))
            digests = {found[2]: found[1].decode() for line in sums.splitlines() if (found := SUM.match(line))}
            for found in filter(None, map(LINE.match, listed.splitlines())):
                if not found["path"].startswith(elsewhere):
                    _tell(found, digests.get(found["path"], ""), facts, gaps)
        return normalised(self.name, "package file", facts, gaps)


def _tell(found: re.Match[bytes], sha: str, facts: dict[str, dict[str, str]], gaps: list[Gap]) -> None:
    """Add what one line says of a file."""
    key, flags = legible(found["path"]), found["flags"].decode()
    if found["denied"] or not flags.strip("?"):
        gaps.append(Gap(key=key, reason=legible((found["denied"] or b"Permission denied").strip(b" ()"))))
    elif flags == "missing":
        facts[key] = {"state": "missing"}
    else:
        words = ", ".join(FLAGS[flag] for flag in flags if flag in FLAGS)
        facts[key] = {"state": f"not as packaged: {words}" + (f", sha256 {sha}" if sha else "")}
