"""Public keys that let somebody log in (sshd(8), AUTHORIZED_KEYS FILE FORMAT)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import shlex
from collections.abc import Mapping

from imagetest.collectors.discretion import discreet
from imagetest.collectors.reading import complaints, distinct, gap, legible, pairs, told
from imagetest.collectors.rules import normalised
from imagetest.model.plan import Scope
from imagetest.model.snapshot import Family, Gap, Part

SCRIPT = r"""
refused() {
    printf 'keys: %s: Permission denied\n' "$1" >&2
}
authorized() {
    while IFS=: read -r name _ _ _ _ home _; do
        case $home in /*) ;; *) continue ;; esac
        for folder in "$home" "$home/.ssh"; do
            [ -d "$folder" ] && [ ! -x "$folder" ] && refused "/$name/"
        done
        for file in "$home/.ssh/authorized_keys" "$home/.ssh/authorized_keys2"; do
            [ -e "$file" ] || continue
            [ -r "$file" ] || { refused "/$name/"; continue; }
            printf '%s\0' "$name ${file##*/}"
            cat "$file"
            printf '\0'
        done
    done </etc/passwd
    return 0
}
[ -e /etc/passwd ] && ask authorized authorized
ask brought printf '%s\n' BROUGHT
"""

LINE = re.compile(
    r"(?P<options>(?:[^\s\"]|\"(?:\\\\\"|[^\"])*\")+\s+)??"
    r"(?P<type>(?:sk-)?(?:ssh|ecdsa)-[\w@.-]+)\s+(?P<key>[A-Za-z0-9+/]+=*)(?:\s+(?P<comment>.*))?"
)


class KeysCollector:
    """One fact a key that an account accepts: its kind, its options, and its comment, by its fingerprint."""

    name = "keys"

    def script(self, scope: Scope) -> str:
        """Look into every home; the keys that imagetest brought are none of the machine's."""
        return SCRIPT.replace("BROUGHT", " ".join(map(shlex.quote, scope.brought)) or "''")

    def read(self, parts: Mapping[str, Part]) -> Family:
        """Read the keys."""
        part = told(parts, "authorized")
        given = told(parts, "brought").stdout.splitlines()
        brought = {word.decode("ascii", "replace") for line in given for word in line.split()[1:2]}
        facts: dict[str, dict[str, str]] = {}
        for head, content in pairs(part):
            name, _, file = legible(head).partition(" ")
            for line in map(legible, content.splitlines()):
                stripped = line.strip()
                if stripped and not stripped.startswith("#"):
                    _add(facts, f"{name}/", stripped, file, brought)
        gaps = [*gap(parts, "brought"), *(gap(parts, "authorized") if "authorized" in parts else ())]
        gaps += [
            Gap(key=legible(path.lstrip(b"/")), reason=why) for path, why in sorted(complaints(part).denied.items())
        ]
        return normalised(self.name, "key", facts, gaps)


def _add(facts: dict[str, dict[str, str]], prefix: str, line: str, file: str, brought: set[str]) -> None:
    found = LINE.fullmatch(line)
    if found is None:
        facts[distinct(f"{prefix}{discreet(line)}", facts)] = {"file": file, "type": "not a key"}
    elif found["key"] not in brought:
        attributes = {"file": file, "type": found["type"], "options": (found["options"] or "").strip()}
        attributes["comment"] = found["comment"] or ""
        key = distinct(prefix + _fingerprint(found["key"]), facts)
        facts[key] = {name: value for name, value in attributes.items() if value}


def _fingerprint(key: str) -> str:
    """Return what `ssh-keygen -l` prints of it."""
    try:
        raw = base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        return f"unreadable {key}"
    return "SHA256:" + base64.b64encode(hashlib.sha256(raw).digest()).decode().rstrip("=")
