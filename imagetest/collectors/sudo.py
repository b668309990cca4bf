"""What sudo lets whom do (sudoers(5))."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from imagetest.collectors.discretion import discreet
from imagetest.collectors.reading import complaints, digest, gap, legible, pairs, told, walked
from imagetest.collectors.rules import normalised
from imagetest.model.plan import Scope
from imagetest.model.snapshot import Family, Gap, Part

SCRIPT = r"""
rules() {
    for file in /etc/sudoers /etc/sudoers.d/*; do
        case ${file##*/} in *.* | *~) continue ;; esac
        [ -e "$file" ] || continue
        [ -r "$file" ] || { printf 'sudo: %s: Permission denied\n' "$file" >&2; continue; }
        printf '%s\0' "$file"
        cat "$file"
        printf '\0'
    done
    for folder in /etc/sudoers.d; do
        [ -d $folder ] && [ ! -r $folder ] && printf 'sudo: %s: Permission denied\n' $folder >&2
    done
    return 0
}
if [ -e /etc/sudoers ] || [ -e /etc/sudoers.d ] || command -v sudo >/dev/null; then
    ask rules rules
fi
ask asked true
"""


class SudoCollector:
    """One fact a rule, as it is written but for blanks, and the file that it stands in."""

    name = "sudo"

    def script(self, _scope: Scope) -> str:
        """Ask for the files that sudo reads: in a folder, those without a dot in their name."""
        return SCRIPT

    def read(self, parts: Mapping[str, Part]) -> Family:
        """Read the rules; a single file that is closed keeps all of them from being known."""
        facts: dict[str, dict[str, str]] = {}
        for file, content in pairs(told(parts, "rules")):
            every = list(_rules(content))
            if len(every) > 1:
                order = digest("\n".join(every).encode())
                facts[f"order in {legible(file)}"] = {"rules": f"{len(every)}, sha256 {order}"}
            for rule in every:
                files = facts.setdefault(rule, {"file": legible(file)})["file"]
                if legible(file) not in files.split(", "):
                    facts[rule]["file"] = f"{files}, {legible(file)}"
        gaps = list(gap(parts, "asked"))
        if "rules" in parts:
            denied = complaints(parts["rules"]).denied
            gaps += [Gap(reason=f"{legible(path)}: {why}") for path, why in sorted(denied.items())]
            gaps += [] if denied else walked(parts, "rules")
        return normalised(self.name, "sudo rule", facts, gaps)


def _rules(content: bytes) -> Iterator[str]:
    """Give the lines that mean something; a comment ends a line unless it is an id or an old-fashioned include."""
    joined = re.sub(rb"\\\n", b" ", content)
    for line in joined.split(b"\n"):
        kept = re.sub(rb"(?<!\\)#(?!\d|include(dir)?\s).*", b"", line)
        if words := b" ".join(kept.split()):
            yield discreet(legible(words))
