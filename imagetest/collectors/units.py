"""systemd's units: what is there, what is enabled, what failed (systemd.unit(5), systemctl(1))."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from imagetest.collectors.reading import digest, gap, legible, lines, pairs, told, walked
from imagetest.collectors.rules import normalised
from imagetest.model.plan import Scope
from imagetest.model.snapshot import Family, Gap, Part

LOCAL = ("/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system")
FOLDERS = (*LOCAL, "/usr/lib/systemd/system", "/lib/systemd/system")
"""Where unit files are; of one name, the first counts."""

MASKED = " -> /dev/null"

TOLD_AS_ENVIRONMENT = (b"#", b";", b"Environment=", b"EnvironmentFile=")

KINDS = "service|socket|timer|path|mount|automount|swap|target|slice"

PLACES = r"""
folders= local=
for folder in FOLDERS; do
    # Where /lib is a link to /usr/lib, the same units are not looked at twice.
    [ -d $folder ] && [ ! -L ${folder%/systemd/system} ] || continue
    folders="$folders $folder"
    case $folder in /usr/lib/* | /lib/*) ;; *) local="$local $folder" ;; esac
done
matching() {
    [ -n "$folders" ] || return 0
    grep -rsE "$@" $folders
    [ $? -lt 2 ] || return 2
}
""".replace("FOLDERS", " ".join(FOLDERS))

SCRIPT = (
    PLACES
    + r"""
places() {
    if find / -maxdepth 0 -printf '' 2>/dev/null; then
        find $folders \( -type f -o -type l \) -printf '%y %p\0%l\0'
    else
        find $folders \( -type f -o -type l \) -exec sh -c '
            for one; do
                [ -L "$one" ] || { printf "f %s\0\0" "$one"; continue; }
                printf "l %s\0%s\0" "$one" "$(readlink "$one")"
            done' sh {} +
    fi
}
files() {
    find $local -type f -exec sh -c '
        for one; do
            [ -r "$one" ] || { printf "units: %s: Permission denied\n" "$one" >&2; continue; }
            printf "%s\0" "$one"; cat "$one"; printf "\0"
        done' sh {} +
}
if [ -n "$folders" ]; then
    ask places places
    [ -z "$local" ] || ask files files
    ask installable matching -l '^\[Install\]'
    ask timers matching -H '^(On[A-Z]|RandomizedDelay)[A-Za-z]*=.'
    if [ -d /run/systemd/system ]; then
        ask states systemctl show --all --property=Id,LoadState,ActiveState '*.service' '*.socket' '*.timer' '*.path' \
            '*.mount' '*.swap' '*.target'
    fi
fi
ask scripts printf '%s\n' /etc/rc?.d/[SK]??*
"""
)

Facts = dict[str, dict[str, str]]


class UnitsCollector:
    """One fact a unit: where it is defined, whether it is enabled, whether it runs, when a timer rings."""

    name = "units"

    def script(self, _scope: Scope) -> str:
        """Look at the files, which is faster than list-unit-files, and ask a running systemd for the states."""
        return SCRIPT

    def read(self, parts: Mapping[str, Part]) -> Family:
        """Read the units; without a running systemd it is known what is enabled, and not what runs."""
        every = [Entry(legible(head[2:]), legible(to), head[:1] == b"l") for head, to in pairs(told(parts, "places"))]
        installable = {unit_of(path) for path in lines(told(parts, "installable"))}
        facts = _defined(every)
        _add_enablement(facts, every, installable)
        _add_content(told(parts, "files"), facts)
        _add_schedules(told(parts, "timers"), facts)
        _add_init_scripts(told(parts, "scripts"), facts)
        _add_states(told(parts, "states"), facts)
        return normalised(self.name, "unit", facts, _gaps(parts))


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or a link in one of the folders."""

    path: str
    target: str
    link: bool

    @property
    def name(self) -> str:
        """Return its name."""
        return self.path.rpartition("/")[2]

    @property
    def folder(self) -> str:
        """Return the name of the folder that it is in, below the folder of units; empty for that itself."""
        inner = next(self.path.removeprefix(one) for one in (*FOLDERS, "") if self.path.startswith(one))
        return inner.strip("/").rpartition("/")[0]


def unit_of(path: str) -> str:
    """Return the name of the unit that a file defines or adds to; empty when it is about no unit."""
    found = re.search(rf"/([^/]+\.(?:{KINDS}))(?:\.d/[^/]+\.conf)?$", path)
    return found[1] if found else ""


def _defined(every: list[Entry]) -> Facts:
    """Return the units by name with the file that defines each."""
    facts: Facts = {}
    found = [entry for entry in every if not entry.folder and unit_of(entry.path)]
    for entry in sorted(found, key=lambda one: [one.path.startswith(folder + "/") for folder in FOLDERS], reverse=True):
        known = facts.get(entry.name)
        if known is None:
            facts[entry.name] = {"file": entry.path + (f" -> {entry.target}" if entry.link else "")}
        elif known["file"].endswith(MASKED):
            known |= {"file": entry.path, "enablement": "masked"}
    return facts


def _add_enablement(facts: Facts, every: list[Entry], installable: set[str]) -> None:
    wanted: dict[str, list[str]] = {}
    for entry in every:
        target, _, how = entry.folder.rpartition(".")
        if entry.path.startswith(LOCAL) and how in {"wants", "requires", "upholds"}:
            wanted.setdefault(entry.name, []).append(f"{how.removesuffix('s')}d by {target}".replace("wantd", "wanted"))
        elif entry.path.startswith(LOCAL) and entry.link and not entry.folder and entry.target != "/dev/null":
            wanted.setdefault(entry.target.rpartition("/")[2], []).append(f"called {entry.name}")
    for name in wanted:
        facts.setdefault(name, {"file": _template(name, facts)})
    for name, attributes in facts.items():
        if attributes["file"].endswith(MASKED) or "enablement" in attributes:
            attributes["enablement"] = "masked"
        elif name in wanted:
            attributes["enablement"] = f"enabled, {', '.join(sorted(wanted[name]))}"
        else:
            attributes["enablement"] = "disabled" if name in installable else "static"


def _template(name: str, facts: Facts) -> str:
    """Return where the template of an instance is defined."""
    template = re.sub(r"@.*(?=\.\w+$)", "@", name)
    return facts[template]["file"] if template != name and template in facts else "none"


def _add_content(part: Part, facts: Facts) -> None:
    """Add a digest of what was written on this machine, but for the environment, which has a family of its own."""
    texts: dict[str, list[bytes]] = {}
    for path, content in sorted(pairs(part)):
        said = [line.strip() for line in content.split(b"\n")]
        kept = [line for line in said if line and not line.startswith(TOLD_AS_ENVIRONMENT)]
        if (name := unit_of(legible(path))) and any(not line.startswith(b"[") for line in kept):
            texts.setdefault(name, []).append(b"\n".join(kept))
    for name, found in texts.items():
        whole = digest(b"\0".join(found))
        facts.setdefault(name, {"file": _template(name, facts)})["content"] = f"sha256 {whole}"


def _add_schedules(part: Part, facts: Facts) -> None:
    found: dict[str, list[str]] = {}
    for line in sorted(lines(part)):
        path, _, setting = line.partition(":")
        name = unit_of(path)
        # A file of this machine's own hides the package's of the same name; what is added to it does not.
        if name.endswith(".timer") and (".d/" in path or facts.get(name, {}).get("file", path).startswith(path)):
            found.setdefault(name, []).append(setting)
    for name, settings in found.items():
        facts.setdefault(name, {"file": "none"})["schedule"] = ", ".join(settings)


def _add_init_scripts(part: Part, facts: Facts) -> None:
    """Add at which levels an init script starts and stops, to the unit that has its name where there is one."""
    found: dict[str, dict[str, set[str]]] = {}
    for line in lines(part):
        if match := re.fullmatch(r"/etc/rc([0-6S])\.d/([SK])\d\d(.+)", line):
            found.setdefault(match[3], {}).setdefault(match[2], set()).add(match[1])
    for script, levels in found.items():
        name = f"{script}.service"
        words = [f"{word} at {''.join(sorted(levels[letter]))}" for letter, word in (("S", "started"), ("K", "stopped"))
                 if letter in levels]  # fmt: skip
        facts.setdefault(name, {"file": f"/etc/init.d/{script}"})["init script"] = ", ".join(words)


def _add_states(part: Part, facts: Facts) -> None:
    """Add whether each unit runs; one that is loaded and stands in no file was made by a generator or by hand.

    systemd forgets units that are inactive and that nothing refers to: what it does not speak of is inactive.
    """
    states = {}
    for paragraph in part.stdout.split(b"\n\n"):
        said = dict(legible(line).partition("=")[::2] for line in paragraph.split(b"\n") if line)
        name, state = said.get("Id", ""), said.get("ActiveState", "")
        own = name.endswith((".service", ".socket", ".timer", ".path")) and said.get("LoadState") == "loaded"
        if name not in facts and own:
            facts[name] = {"file": _template(name, facts)}
        states[name] = state
    for name, attributes in facts.items():
        if part.stdout and "@." not in name and not name.endswith(".slice"):
            attributes["state"] = states.get(name, "inactive")


def _gaps(parts: Mapping[str, Part]) -> list[Gap]:
    gaps = list(gap(parts, "scripts", attribute="init script"))
    if "places" in parts:
        gaps += [*walked(parts, "places"), *(walked(parts, "files", attribute="content") if "files" in parts else ())]
        gaps += [*gap(parts, "installable", attribute="enablement"), *gap(parts, "timers", attribute="schedule")]
    if "states" in parts:
        gaps += gap(parts, "states", attribute="state")
    return gaps
