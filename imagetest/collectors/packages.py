"""Packages, as dpkg or rpm know them (dpkg-query(1), rpm(8))."""

from __future__ import annotations

from collections.abc import Mapping

from imagetest.collectors.reading import gap, lines, refusal
from imagetest.model.plan import Scope
from imagetest.model.snapshot import Family, Part

DPKG = r"${binary:Package}\t${Version}\t${source:Package}\t${Architecture}\t${db:Status-Abbrev}\n"


class PackagesCollector:
    """One fact a package: its version, its source, and whether it is wholly installed, held or half removed."""

    name = "packages"

    def script(self, _scope: Scope) -> str:
        """Ask whichever package manager there is."""
        return f"ask dpkg dpkg-query --show --showformat='{DPKG}'"

    def read(self, parts: Mapping[str, Part]) -> Family:
        """Read what it said."""
        facts = {}
        if not refusal(parts, "dpkg"):
            for row in lines(parts["dpkg"]):
                facts[row.split("\\x09")[0]] = {"row": row}
        return Family(name=self.name, noun="package", facts=facts, gaps=gap(parts, "dpkg"))
