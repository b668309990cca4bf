"""The environment that services and logins are given (systemd.exec(5), environ(7), pam_env(8))."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping

from imagetest.collectors.discretion import discreet, masked
from imagetest.collectors.locale import FILES as TOLD_AS_LOCALE
from imagetest.collectors.reading import (
    Distinct,
    complaints,
    excess,
    gap,
    legible,
    lines,
    pairs,
    records,
    refusal,
    told,
)
from imagetest.collectors.rules import normalised
from imagetest.collectors.units import PLACES, unit_of
from imagetest.model.plan import Scope
from imagetest.model.snapshot import Family, Gap, Part

SCRIPT = (
    PLACES
    + r"""
ours() {
    step=$1
    while [ -n "$step" ]; do
        if [ -L "$step" ]; then
            [ "$(stat -c %u "$step")" = 0 ] || return 1
            to=$(readlink "$step")
            case $to in /*) ;; *) to=${step%/*}/$to ;; esac
            hops=$((hops + 1))
            [ $hops -lt 9 ] || return 1
            (ours "$to") || return 1
        fi
        step=${step%/*}
    done
}
files() {
    { printf '%s\n' /etc/environment /etc/default/* /etc/sysconfig/* /etc/conf.d/*
      matching -h '^EnvironmentFile=' | sed 's/^EnvironmentFile=-\{0,1\}//'
    } | sort -u | while IFS= read -r file; do
        case $file in SKIPPED) continue ;; esac
        [ -f "$file" ] || continue
        [ -r "$file" ] || { printf 'environment: %s: Permission denied\n' "$file" >&2; continue; }
        hops=0
        ours "$file" || { printf 'environment: %s: the link there belongs to a user\n' "$file" >&2; continue; }
        printf '%s\0' "$file"
        cat "$file"
        printf '\0'
    done
    return 0
}
ask units matching -H '^Environment(File)?='
ask files files
[ -e /proc/1/environ ] && ask first cat /proc/1/environ
""".replace("SKIPPED", " | ".join(TOLD_AS_LOCALE))
)

ASSIGNMENT = re.compile(r"(?:export\s+)?(?P<name>[A-Za-z_]\w*)=(?P<value>.*)")


class EnvironmentCollector:
    """One fact a variable, by the unit or the file that sets it; what looks like a secret is masked."""

    name = "environment"

    def script(self, _scope: Scope) -> str:
        """Ask for what the units say, for the files they name, and for the first process's environment."""
        return SCRIPT

    def read(self, parts: Mapping[str, Part]) -> Family:
        """Read it; of what is set several times, every value is told, in its order."""
        facts, gaps = Distinct(), self._gaps(parts)
        values: dict[str, list[str]] = {}
        for unit, name, value in _of_units(told(parts, "units")):
            values.setdefault(f"{unit}: {name}", []).append(masked(name, value))
        for file, content in pairs(told(parts, "files")):
            prefix = f"{legible(file)}: "
            if why := excess(content):
                gaps.append(Gap(key=prefix, reason=why))
                continue
            for name, given in _of_file(content):
                if given is None:
                    facts.add(prefix + name, {"value": "set"})
                else:
                    values.setdefault(prefix + name, []).append(masked(name, given))
        for name, value in _of_first(told(parts, "first")):
            values.setdefault(f"process 1: {name}", []).append(masked(name, value))
        for key, several in values.items():
            facts.add(key, {"value": ", then ".join(several)})
        return normalised(self.name, "variable", facts, gaps)

    def _gaps(self, parts: Mapping[str, Part]) -> list[Gap]:
        gaps = [*gap(parts, "units"), *gap(parts, "files")]
        denied = complaints(told(parts, "files")).denied
        gaps += [Gap(key=f"{legible(path)}: ", reason=why) for path, why in sorted(denied.items())]
        if "first" in parts and (why := refusal(parts, "first")):
            gaps.append(Gap(key="process 1: ", reason=why.rpartition(": ")[2].strip() or why))
        return gaps


def _of_units(part: Part) -> Iterator[tuple[str, str, str]]:
    for line in sorted(lines(part), key=lambda one: one.partition(":")[0]):  # within a file, their order counts
        path, _, text = line.partition(":")
        setting, _, value = text.partition("=")
        unit = unit_of(path)
        if setting == "EnvironmentFile":
            yield unit, f"EnvironmentFile {value}", "read"
        elif unit:
            for word in _words(value):
                name, _, given = word.partition("=")
                yield unit, name, given


def _of_first(part: Part) -> Iterator[tuple[str, str]]:
    """Give the variables of the first process, or that it has written its title over them, as sshd and nginx do."""
    variables = [legible(record).partition("=") for record in records(part)]
    if not all(equals for _, equals, _ in variables):
        yield "(all)", "written over by the process itself, with its title"
        return
    yield from ((name, value) for name, _, value in variables)


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def _of_file(content: bytes) -> Iterator[tuple[str, str | None]]:
    """Give the variables of a file, and each other line that means something with no value."""
    for line in map(legible, content.split(b"\n")):
        text = line.strip()
        if not text or text.startswith(("#", ";")):
            continue
        found = ASSIGNMENT.fullmatch(text)
        yield (found["name"], found["value"].strip().strip("\"'")) if found else (discreet(text), None)
