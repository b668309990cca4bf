"""The SSH server's effective settings (sshd(8) -T, sshd_config(5)) and its host keys."""

from __future__ import annotations

import re
from collections.abc import Mapping

from imagetest.collectors.reading import Distinct, gap, legible, lines, pairs, told, walked
from imagetest.collectors.rules import normalised
from imagetest.model.plan import Scope
from imagetest.model.snapshot import Family, Gap, Part

SCRIPT = r"""
keys() {
    for file in /etc/ssh/ssh_host_*_key.pub; do
        [ -e "$file" ] || continue
        [ -r "$file" ] || { printf 'sshd: %s: Permission denied\n' "$file" >&2; continue; }
        printf '%s\0' "${file##*/}"
        cat "$file"
        printf '\0'
    done
    return 0
}
server=$(command -v sshd)
if [ -n "$server" ]; then
    ask effective "$server" -T
    ask matches cat /etc/ssh/sshd_config /etc/ssh/sshd_config.d/*.conf
    ask keys keys
fi
ask asked true
"""
"""Without a server there is nothing to ask; a server that will not tell, as to an ordinary user, is a gap."""


class SshdCollector:
    """One fact a setting, whatever file it comes from; one each for what holds only for some, and for a host key."""

    name = "sshd"

    def script(self, _scope: Scope) -> str:
        """Ask the server itself."""
        return SCRIPT

    def read(self, parts: Mapping[str, Part]) -> Family:
        """Read its answer; a setting that stands there several times has its values joined."""
        facts = Distinct()
        for line in lines(told(parts, "effective")):
            name, _, value = line.partition(" ")
            known = facts.get(name, {}).get("value")
            facts[name] = {"value": f"{known}, {value}" if known is not None else value}
        for key in _matches(told(parts, "matches")):
            facts.add(key, {"value": "set"})
        for file, content in pairs(told(parts, "keys")):
            words = legible(content.strip()).split(" ")
            facts[f"host key {legible(file)}"] = {"key": " ".join(words[:2])}
        return normalised(self.name, "SSH server setting", facts, self._gaps(parts))

    def _gaps(self, parts: Mapping[str, Part]) -> list[Gap]:
        gaps = list(gap(parts, "asked"))
        if "effective" in parts:
            gaps += [*gap(parts, "effective"), *walked(parts, "matches"), *walked(parts, "keys", key="host key ")]
        return gaps


def _matches(part: Part) -> list[str]:
    """Return the settings within `Match` blocks, which the server tells only of a connection that it knows."""
    found, block = [], ""
    for line in lines(part):
        words = " ".join(re.sub(r"^\s*#.*", "", line).split())
        if words.lower().startswith("match "):
            block = "" if words.lower() == "match all" else words
        elif words and block:
            found.append(f"{block}: {words}")
    return found
