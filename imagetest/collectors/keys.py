"""Public keys that let somebody log in (sshd(8), AUTHORIZED_KEYS FILE FORMAT)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import shlex
from collections.abc import Mapping

from imagetest.collectors.discretion import sealed
from imagetest.collectors.reading import Distinct, complaints, digest, gap, legible, pairs, told
from imagetest.collectors.rules import normalised
from imagetest.model.plan import Scope
from imagetest.model.snapshot import Family, Gap, Part

SCRIPT = r"""
refused() {
    printf 'keys: %s: Permission denied\n' "$1" >&2
}
authorized() {
    while IFS=: read -r name _ uid _ _ home _; do
        case $home in /*) ;; *) continue ;; esac
        for folder in "$home" "$home/.ssh"; do
            [ -d "$folder" ] && [ ! -x "$folder" ] && refused "/$name/"
        done
        for file in "$home/.ssh/authorized_keys" "$home/.ssh/authorized_keys2"; do
            [ -e "$file" ] || continue
            # Whoever owns the home says what stands in this place: a pipe that never ends, or a link to root's files.
            [ -f "$file" ] || { printf 'keys: /%s/: it is no regular file\n' "$name" >&2; continue; }
            [ -r "$file" ] || { refused "/$name/"; continue; }
            within=$(readlink -f "$home")
            case $uid:$(readlink -f "$file") in
                0:* | *:"${within%/}"/*) ;;
                *) printf 'keys: /%s/: a link leads out of the home\n' "$name" >&2; continue ;;
            esac
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

LONGEST = 16 * 1024
"""Bytes of a line, as of sshd(8) itself (SSH_MAX_PUBKEY_BYTES)."""

LINE = re.compile(
    r"(?P<options>(?:[^\s\"\\]|\\[\\x]|\"(?:\\\\\"|\\\\(?!\")|\\x|[^\"\\])*\")+\s+)??"
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
        facts = Distinct()
        for head, content in pairs(part):
            name, _, file = legible(head).partition(" ")
            _add(facts, name, file, content, brought)
        gaps = [*gap(parts, "brought"), *(gap(parts, "authorized") if "authorized" in parts else ())]
        gaps += [
            Gap(key=legible(path.lstrip(b"/")), reason=why) for path, why in sorted(complaints(part).denied.items())
        ]
        return normalised(self.name, "key", facts, gaps)


def _add(facts: Distinct, name: str, file: str, content: bytes, brought: set[str]) -> None:
    """Add the keys of a file; of what is no key nothing is told but a digest: it may be anything, root's files too."""
    others = []
    for line in content.splitlines():
        stripped = line.replace(b"\t", b" ").strip()
        found = LINE.fullmatch(legible(stripped)) if len(stripped) <= LONGEST else None
        if found is None and stripped and not stripped.startswith(b"#"):
            others.append(stripped)
        if found is not None and found["key"] not in brought:
            attributes = {"file": file, "type": found["type"], "options": (found["options"] or "").strip()}
            attributes["comment"] = found["comment"] or ""
            told_of = {name: value for name, value in attributes.items() if value}
            facts.add(f"{name}/{_fingerprint(found['key'])}", told_of)
    if others:
        seal = sealed(digest(b"\n".join(others)))
        facts.add(
            f"{name}/what is no key", {"file": file, "type": "not a key", "content": f"{len(others)} lines, {seal}"}
        )


def _fingerprint(key: str) -> str:
    """Return what `ssh-keygen -l` prints of it."""
    try:
        raw = base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        return f"unreadable {sealed(key)}"
    return "SHA256:" + base64.b64encode(hashlib.sha256(raw).digest()).decode().rstrip("=")
