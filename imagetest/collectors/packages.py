"""Packages, as dpkg, rpm or apk know them (dpkg-query(1), rpm(8), apk-package(5))."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from imagetest.collectors.reading import Distinct, gap, legible, rows, told
from imagetest.collectors.rules import normalised
from imagetest.model.plan import Scope
from imagetest.model.snapshot import Family, Part

SCRIPT = r"""
if [ -e /var/lib/dpkg ]; then
    ask dpkg dpkg-query --show --showformat='${binary:Package}\t${Version}\t${source:Package}\t${Architecture}\t${db:Status-Abbrev}\n'
fi
if [ -e /var/lib/rpm ] || [ -e /usr/lib/sysimage/rpm ]; then
    ask rpm rpm --query --all --queryformat '%{NAME}\t%{EPOCHNUM}:%{VERSION}-%{RELEASE}\t%{SOURCERPM}\t%{ARCH}\n'
fi
if [ -e /lib/apk/db/installed ] || [ -e /usr/lib/apk/db/installed ]; then
    database=/lib/apk/db/installed
    [ -e $database ] || database=/usr/lib/apk/db/installed
    ask apk cat $database
fi
ask asked true
"""  # noqa: E501

STATES = {
    "c": "removed, its configuration left",
    "H": "half installed",
    "U": "unpacked, not configured",
    "F": "half configured",
    "W": "waiting for a trigger",
    "t": "a trigger pending",
    "i": "installed",
}
"""The second letter of dpkg's abbreviation (dpkg-query(1))."""

WANTED = {"h": "held", "r": "to be removed", "p": "to be purged"}
"""The first letter, where it is not what is wanted of most packages."""


class PackagesCollector:
    """One fact a package: its version, its source, and whether it is wholly installed, held or half removed."""

    name = "packages"

    def script(self, _scope: Scope) -> str:
        """Ask whichever package managers there are."""
        return SCRIPT

    def read(self, parts: Mapping[str, Part]) -> Family:
        """Read what they said."""
        facts = Distinct()
        for key, attributes in (*_dpkg(told(parts, "dpkg")), *_rpm(told(parts, "rpm")), *_apk(told(parts, "apk"))):
            facts.add(key, attributes)
        gaps = [one for name in ("asked", *parts.keys() & {"dpkg", "rpm", "apk"}) for one in gap(parts, name)]
        return normalised(self.name, "package", facts, gaps)


def _dpkg(part: Part) -> Iterator[tuple[str, dict[str, str]]]:
    for name, version, source, architecture, abbreviation in rows(part, 5):
        wanted, state, error = tuple(f"{abbreviation}   "[:3])
        if state == "n":
            continue  # known to dpkg, and not there
        also = WANTED.get(wanted, "") if (wanted, state) not in {("r", "c"), ("p", "c")} else ""
        words = [STATES.get(state, f"state {state}"), also, "to be reinstalled" if error == "R" else ""]
        yield (
            name,
            {
                "version": version,
                "source": source,
                "architecture": architecture,
                "state": ", ".join(word for word in words if word),
            },
        )


def _rpm(part: Part) -> Iterator[tuple[str, dict[str, str]]]:
    for name, version, source, architecture in rows(part, 4):
        plain = version.removeprefix("0:")
        yield name, {"version": plain, "source": source, "architecture": architecture, "state": "installed"}


def _apk(part: Part) -> Iterator[tuple[str, dict[str, str]]]:
    """Read apk's database: a paragraph for each package, a letter for each field."""
    for paragraph in part.stdout.split(b"\n\n"):
        fields = {line[:1]: legible(line[2:]) for line in paragraph.split(b"\n") if line[1:2] == b":"}
        if b"P" in fields:
            yield (
                fields[b"P"],
                {
                    "version": fields.get(b"V", ""),
                    "source": fields.get(b"o", ""),
                    "architecture": fields.get(b"A", ""),
                    "state": "broken" if b"f" in fields else "installed",
                },
            )
