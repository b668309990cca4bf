"""The kernel, how it was started, and what the system says that it is (uname(1), os-release(5), machine-id(5))."""

from __future__ import annotations

from collections.abc import Mapping

from imagetest.collectors.discretion import masked
from imagetest.collectors.reading import gap, legible, lines, told
from imagetest.collectors.rules import normalised
from imagetest.model.plan import Scope
from imagetest.model.snapshot import Family, Gap, Part

SCRIPT = r"""
ask release uname -r
ask build uname -v
ask architecture uname -m
ask hostname uname -n
ask parameters cat /proc/cmdline
[ -e /proc/modules ] && ask modules sed 's/ .*//' /proc/modules
if [ -e /etc/os-release ]; then ask system cat /etc/os-release
elif [ -e /usr/lib/os-release ]; then ask system cat /usr/lib/os-release
fi
[ -e /etc/machine-id ] && ask machine-id cat /etc/machine-id
[ -e /etc/hostname ] && ask hostname-file cat /etc/hostname
[ -e /etc/hostname ] || ask hostname-file true
"""

PLAIN = ("release", "build", "architecture", "hostname", "machine-id")


class KernelCollector:
    """One fact each for the release, each parameter, each module, and each line of os-release."""

    name = "kernel"

    def script(self, _scope: Scope) -> str:
        """Ask for all of it."""
        return SCRIPT

    def read(self, parts: Mapping[str, Part]) -> Family:
        """Read it."""
        facts: dict[str, dict[str, str]] = {}
        for name in PLAIN:
            if name in parts:
                facts[name] = {"value": legible(told(parts, name).stdout.strip())}
        for word in legible(told(parts, "parameters").stdout.strip()).split():
            name, _, value = word.partition("=")
            known = facts.get(f"parameter {name}", {}).get("value")
            shown = masked(name, value)
            facts[f"parameter {name}"] = {"value": f"{known}, {shown}" if known is not None else shown}
        for module in lines(told(parts, "modules")):
            facts[f"module {module}"] = {"value": "loaded"}
        for line in lines(told(parts, "system")):
            name, sign, value = line.partition("=")
            if sign:
                facts[f"system {name}"] = {"value": value.strip("\"'")}
        self._add_static_name(parts, facts)
        return normalised(self.name, "system fact", facts, self._gaps(parts))

    def _add_static_name(self, parts: Mapping[str, Part], facts: dict[str, dict[str, str]]) -> None:
        """Add what /etc/hostname says, where the machine calls itself something else."""
        written = legible(told(parts, "hostname-file").stdout.strip())
        if written and written != facts.get("hostname", {}).get("value"):
            facts["hostname in /etc/hostname"] = {"value": written}

    def _gaps(self, parts: Mapping[str, Part]) -> list[Gap]:
        gaps = [one for name in PLAIN if name in parts or name != "machine-id" for one in gap(parts, name, key=name)]
        for name, key in (("parameters", "parameter "), ("modules", "module "), ("system", "system ")):
            gaps += gap(parts, name, key=key) if name in parts else ()
        return [*gaps, *gap(parts, "hostname-file", key="hostname in /etc/hostname")]
