"""Files: of the scope's folders, and whatever else runs with more rights than its caller (find(1), inode(7))."""

from __future__ import annotations

import re
import shlex
import stat
from collections.abc import Iterable, Iterator, Mapping, Sized

from imagetest.collectors import capabilities
from imagetest.collectors.elsewhere import TABLE, Elsewhere, responsible, usual
from imagetest.collectors.reading import MISSING, complaints, gap, legible, pairs, told, walked
from imagetest.collectors.rules import normalised
from imagetest.model.plan import Scope
from imagetest.model.snapshot import Family, Gap, Part

STORES = (
    "/var/lib/docker", "/var/lib/containerd", "/var/lib/containers", "/var/lib/kubelet", "/var/lib/lxc", "/var/lib/lxd",
    "/var/lib/machines",
)  # fmt: skip
"""Where containers keep their files, which are no part of the machine."""

LOCAL = re.compile(rb"ext.|xfs|btrfs|vfat|zfs|f2fs|jfs|reiserfs|bcachefs")
"""File systems on a disk of the machine, as WALK has them."""

NOT_FILES = ("/proc", "/sys", "/dev", "/run", "/var/run")

NOT_LOOKED_INTO = re.compile("|".join((r"/?", *(rf"{one}(/.*)?" for one in (*NOT_FILES, *STORES, r"(/tmp)")))).encode())
"""Mounts there are no gaps: nothing is looked for below them; the first file system is looked into, whatever it is."""

WALK = r"""
set -- PRUNED
while read -r _ place type _; do
    case $place:$type in
        /:* | /proc/* | /sys/* | /dev/* | /run/* | /var/lib/docker/*) ;;
        *:ext? | *:xfs | *:btrfs | *:vfat | *:zfs | *:f2fs | *:jfs | *:reiserfs | *:bcachefs) ;;
        *) set -- "$@" -o -path "$(printf '%b' "$place")" ;;
    esac
done </proc/self/mounts
if find / -maxdepth 0 -printf '' 2>/dev/null; then
    tell() { find "$@" -printf '%y %m %u %g %s %p\0%l\0'; }
else
    tell() {
        find "$@" -exec sh -c '
            for one; do
                said=$(stat -c "%f %U %G %s" "$one") || continue
                link=$([ ! -L "$one" ] || readlink -n "$one"; echo .)
                printf "%s %s\0%s\0" "$said" "$one" "${link%.}"
            done' sh {} +
    }
fi
capabilities() {
    machine=$(uname -m)
    export machine
    case $machine in x86_64 | aarch64 | riscv64 | loongarch64 | s390x | ppc64le) ;; *) machine= ;; esac
    if [ -n "$machine" ] && command -v perl >/dev/null; then
        echo perl
        find / \( "$@" \) -prune -o -type f -print0 | perl -0ne 'PERL'
    elif command -v getcap >/dev/null; then
        echo getcap
        find / \( "$@" \) -prune -o -type f -exec getcap {} +
    else
        echo 'neither perl nor getcap is there' >&2
        return 127
    fi
}
"""

LINE = re.compile(rb"(?:([a-zA-Z]) ([0-7]{1,4})|([0-9a-f]{4,8})) (\S+) (\S.*?) (\d+) (/.*)", re.DOTALL)
"""A name from a directory service may have blanks in it: what is more than one word belongs to the group."""

SUM = re.compile(rb"(\\?)([0-9a-f]{64}) [ *](/.*)", re.DOTALL)
ESCAPE = re.compile(rb"\\([nr\\])")
LETTERS = {b"n": b"\n", b"r": b"\r", b"\\": b"\\"}
"""How sha256sum(1) writes the name of a file, on a line that begins with a backslash."""

OCTAL = re.compile(rb"\\([0-7]{3})")

INJECTED = re.compile(rb"/.*/containers/[0-9a-f]{64}/[\w.]+")
"""The other end of the mounts by which Docker gives each container files of its own."""

TYPES = {
    "f": "file", "d": "directory", "l": "link", "p": "pipe", "s": "socket", "b": "block device",
    "c": "character device",
}  # fmt: skip
FORMATS = {
    stat.S_IFREG: "f", stat.S_IFDIR: "d", stat.S_IFLNK: "l", stat.S_IFIFO: "p", stat.S_IFSOCK: "s", stat.S_IFBLK: "b",
    stat.S_IFCHR: "c",
}  # fmt: skip

HOMES = r"""
homes() {
    [ -e /etc/passwd ] || return 0
    cut -d: -f6 /etc/passwd | sort -u | while IFS= read -r home; do
        [ -d "$home/.ssh" ] && { printf '%s\n' "$home"; readlink -f "$home"; }
    done
    return 0
}
ask homes homes"""
"""Where `keys` looks, by the name that it has in /etc/passwd and by its own."""

OTHERS = r"""
certificates() {
    find ROOTS \( "$@" \) -prune -o -type f -size -2048k \
        -exec grep -l -e '-----BEGIN \(TRUSTED \)\{0,1\}CERTIFICATE-----' {} + |
        while IFS= read -r file; do
            sed -e '/-----BEGIN \(TRUSTED \)\{0,1\}CERTIFICATE-----/,/-----END/d' -e '/^#/d' "$file" |
                grep -q '[^[:space:]]' || printf '%s\0' "$file"
        done
    return 0
}
ask certificates certificates "$@"
"""
"""Which files hold certificates and nothing else: those are told by `certificates`."""


class FilesCollector:
    """One fact a file: its type, mode, owner, group, content and capabilities; of a link, where it leads."""

    name = "files"

    def script(self, scope: Scope) -> str:
        """Walk the folders, read what is to be compared by content, and search the machine for what has rights."""
        pruned = " -o ".join(f"-path {shlex.quote(path)}" for path in (*NOT_FILES, *STORES, *scope.excluded))
        walk = WALK.replace("PRUNED", pruned).replace("PERL", capabilities.PERL)
        roots, listed = (" ".join(map(shlex.quote, places)) for places in (scope.roots, scope.listed))
        below, whole = '\\( "$@" \\) -prune -o', "-type f -exec sha256sum {} +"
        asks = [f"ask asked printf '%s\\n' {' '.join(map(shlex.quote, scope.only)) or 'all'}"]
        asks.append("ask mounts cat /proc/self/mountinfo")
        asks += [f"ask scope printf '%s\\n' {roots}", HOMES]
        asks += [f"ask excluded printf '%s\\n' {' '.join(map(shlex.quote, scope.excluded))}"] if scope.excluded else []
        if scope.listed:
            asks.append(f"ask listed tell {listed} {below}")
        if scope.listed and scope.changed_since is not None:
            asks.append(f"ask changed find {listed} {below} -newerct @{scope.changed_since:f} {whole}")
        if scope.roots:
            asks += [f"ask roots tell {roots} {below}", f"ask sums find {roots} {below} {whole}"]
            asks.append(OTHERS.replace("ROOTS", roots))
        rights = "-type f \\( -perm -4000 -o -perm -2000 \\)"
        asks += [f"ask rights tell / {below} {rights}", 'ask capabilities capabilities "$@"']
        return "\n".join([walk, *asks])

    def read(self, parts: Mapping[str, Part]) -> Family:
        """Read what was found; whatever should have been read and was not is a gap."""
        facts: Found = {}
        found = {name: list(_files(told(parts, name))) for name in ("listed", "roots", "rights")}
        for path, fact in found["rights"]:
            fact.pop("content", None)  # its package knows that
            bits = " and ".join(
                word for bit, word in ((4, "set-uid"), (2, "set-gid")) if int(fact["mode"], 8) >> 9 & bit
            )
            facts[path] = {"rights": bits, **fact}
        for name in ("listed", "roots"):
            facts |= dict(found[name])
        _add_injected(told(parts, "mounts"), facts)
        gaps = [*_add_contents(parts, facts), *_unlooked(parts), *_senseless(parts, found)]
        gaps += _add_capabilities(parts, facts)
        for name in ("listed", "rights", "roots"):
            gaps += walked(parts, name) if name in parts or name == "rights" else ()
        gaps += [
            *gap(parts, "asked"),
            *gap(parts, "mounts"),
            *gap(parts, "scope"),
            *gap(parts, "homes", attribute="content"),
        ]
        kept = _without_told(parts, facts)
        return normalised(self.name, "file", {legible(path): one for path, one in kept.items()}, _narrowed(gaps))


Found = dict[bytes, dict[str, str]]


def _files(part: Part) -> Iterator[tuple[bytes, dict[str, str]]]:
    for head, target in pairs(part):
        found = LINE.fullmatch(head)
        if found is None:
            continue
        letter, mode, raw, owner, group, size, path = found.groups()
        if raw:
            number = int(raw, 16)
            letter, mode = FORMATS.get(stat.S_IFMT(number), "?").encode(), f"{stat.S_IMODE(number):o}".encode()
        kind = letter.decode("ascii")
        fact = {"type": TYPES.get(kind, kind), "mode": mode.decode("ascii").zfill(4)}
        fact |= {"owner": legible(owner), "group": legible(group)}
        if kind == "l":
            del fact["mode"]  # links have none of their own
            fact["target"] = legible(target)
        if kind == "f":
            fact["content"] = f"{int(size)} bytes"
        yield path, fact


def _add_injected(part: Part, facts: Found) -> None:
    """Note which files a container engine mounted over the image's."""
    for line in part.stdout.split(b"\n"):
        words = line.split(b" ")
        if len(words) > 4 and words[4] in facts and INJECTED.fullmatch(words[3]):  # noqa: PLR2004 - root and place
            facts[words[4]]["content"] = f"mounted from {legible(words[3])}"


def _add_contents(parts: Mapping[str, Part], facts: Found) -> list[Gap]:
    """Add the digests; a file among the roots that has none could not be read, or is read by another collector."""
    sums = dict(_sums(told(parts, "changed"))) | dict(_sums(told(parts, "sums")))
    for path, sha in sums.items():
        if "content" in facts.get(path, {}) and not facts[path]["content"].startswith("mounted"):
            facts[path]["content"] += f", sha256 {sha}"
    gaps = list(gap_of_tool(parts, "changed")) if "changed" in parts else []
    if "roots" not in parts:
        return gaps
    gaps += [*gap_of_tool(parts, "sums"), *gap(parts, "certificates", attribute="content")]
    elsewhere = _told_elsewhere(parts)
    denied = complaints(told(parts, "sums")).denied
    for path in dict(_files(told(parts, "roots"))):
        content = facts[path].get("content", "")
        if content.endswith("bytes") and path not in elsewhere:
            gaps.append(Gap(key=legible(path), attribute="content", reason=denied.get(path, "it could not be read")))
    return gaps


def gap_of_tool(parts: Mapping[str, Part], name: str) -> tuple[Gap, ...]:
    """Return a gap for all contents when a part is cut off or has no program; what it skipped shows file by file."""
    part = parts.get(name)
    if part is None or part.exit_code in {None, MISSING}:
        return gap(parts, name, attribute="content")
    said = complaints(part)
    failed = part.exit_code and not (said.denied or said.vanished)
    return gap(parts, name, attribute="content") if failed else ()


def _sums(part: Part) -> Iterator[tuple[bytes, str]]:
    for line in part.stdout.split(b"\n"):
        if found := SUM.fullmatch(line):
            path = ESCAPE.sub(lambda one: LETTERS[one[1]], found[3]) if found[1] else found[3]
            yield path, found[2].decode("ascii")


def _add_capabilities(parts: Mapping[str, Part], facts: Found) -> list[Gap]:
    part = told(parts, "capabilities")
    tool, _, said = part.stdout.partition(b"\n")
    read = capabilities.from_attribute if tool == b"perl" else capabilities.from_getcap
    for path, words in read(said):
        facts.setdefault(path, {})["capabilities"] = words
    # What its find(1) was refused, the walk for set-uid bits was refused too, and tells.
    return list(gap_of_walk(parts, "capabilities", "capabilities"))


def gap_of_walk(parts: Mapping[str, Part], name: str, attribute: str) -> tuple[Gap, ...]:
    """Return a gap when a walk did not come to its end, whatever it was refused on its way."""
    part = parts.get(name)
    if part is None or part.exit_code is None or (part.exit_code and not complaints(part).denied):
        return gap(parts, name, attribute=attribute)
    return ()


def _told_elsewhere(parts: Mapping[str, Part]) -> set[bytes]:
    """Return the files among the roots whose content is told by a collector that was asked too."""
    asked, homes = _asked(parts), _homes(parts)
    paths = {path for path, _ in _files(told(parts, "roots")) if _responsible(path, asked, homes)}
    return paths | _certificates(parts)


def _responsible(path: bytes, asked: set[str], homes: set[bytes]) -> list[Elsewhere]:
    """Return what is told of a file elsewhere: `keys` reads only the homes of accounts, not whatever looks like one."""
    found = responsible(legible(path), asked)
    return [one for one in found if one.collector != "keys" or path.rpartition(b"/.ssh/")[0] in homes]


def _homes(parts: Mapping[str, Part]) -> set[bytes]:
    return {home.rstrip(b"/") for home in told(parts, "homes").stdout.split(b"\n")[:-1]}


def _certificates(parts: Mapping[str, Part]) -> set[bytes]:
    asked = "certificates" in _asked(parts)
    return {path for path in told(parts, "certificates").stdout.split(b"\0") if path} if asked else set()


def _asked(parts: Mapping[str, Part]) -> set[str]:
    asked = set(told(parts, "asked").stdout.decode("ascii", "replace").split())
    return {one.collector for one in TABLE} | {"certificates"} if asked == {"all"} else asked


def _without_told(parts: Mapping[str, Part], facts: Found) -> Found:
    """Return the facts without what another collector tells: the content, and where all else is usual, the file."""
    asked, homes, certificates = _asked(parts), _homes(parts), _certificates(parts)
    kept: Found = {}
    for path, fact in facts.items():
        found = _responsible(path, asked, homes)
        as_usual = {"file 0644 root root"} if path in certificates else {one for row in found for one in row.usual}
        if (found or path in certificates) and usual(fact) in as_usual and "capabilities" not in fact:
            continue
        told_there = {"content", "target"} if found or path in certificates else set()
        kept[path] = {name: value for name, value in fact.items() if name not in told_there}
    return kept


def _senseless(parts: Mapping[str, Part], found: Mapping[str, Sized]) -> list[Gap]:
    """Return a gap when something was said of a file that cannot be read: it would be missing in silence."""
    odd = [name for name, every in found.items() if len(every) < told(parts, name).stdout.count(b"\0") // 2]
    return [Gap(reason=f"what was said of a file makes no sense, in the part {odd[0]!r}")] if odd else []


def _unlooked(parts: Mapping[str, Part]) -> Iterator[Gap]:
    """Give the folders whose content is asked for and that are on no disk of the machine: nobody looked there."""
    roots = [root.rstrip(b"/") for root in told(parts, "scope").stdout.split(b"\n") if root]
    excluded = [f"{legible(folder)}/" for folder in told(parts, "excluded").stdout.split(b"\n") if folder]
    for line in told(parts, "mounts").stdout.split(b"\n"):
        before, _, after = line.partition(b" - ")
        fields, kind = before.split(b" "), after.split(b" ")[0]
        if len(fields) <= 4 or LOCAL.fullmatch(kind) or INJECTED.fullmatch(fields[3]):  # noqa: PLR2004 - root and place
            continue
        place = OCTAL.sub(lambda one: bytes([int(one[1], 8) & 0xFF]), fields[4])
        for root in roots:
            outer, inner = sorted((place, root), key=len)
            key = f"{legible(inner)}/"
            if not (inner + b"/").startswith(outer + b"/") or NOT_LOOKED_INTO.fullmatch(place):
                continue
            if not key.startswith(tuple(excluded)):
                yield Gap(key=key, reason=f"it is on {legible(kind)}, no disk of the machine")


def _narrowed(gaps: Iterable[Gap]) -> list[Gap]:
    """Return the gaps without those that a wider one covers."""
    every = list(dict.fromkeys(gaps))
    wide = [one for one in every if one.key.endswith("/") or not one.key]
    return [
        one for one in every
        if not any(other is not one and other.covers(one.key, one.attribute) and other.key != one.key for other in wide)
    ]  # fmt: skip
