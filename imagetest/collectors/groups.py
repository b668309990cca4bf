"""Groups of the machine itself (group(5), gshadow(5))."""

from __future__ import annotations

from collections.abc import Mapping

from imagetest.collectors.discretion import sealed
from imagetest.collectors.reading import Distinct, gap, rows, short_rows, told
from imagetest.collectors.rules import normalised
from imagetest.model.plan import Scope
from imagetest.model.snapshot import Family, Part

SCRIPT = """
[ -e /etc/passwd ] && ask passwd cat /etc/passwd
[ -e /etc/group ] && ask group cat /etc/group
[ -e /etc/gshadow ] && ask gshadow cat /etc/gshadow
ask asked true
"""


class GroupsCollector:
    """One fact a group: its id and members. An account's own group, without members, is told with the account."""

    name = "groups"

    def script(self, _scope: Scope) -> str:
        """Ask for the files."""
        return SCRIPT

    def read(self, parts: Mapping[str, Part]) -> Family:
        """Read the groups, and from /etc/gshadow who may change them."""
        own = {(row[0], row[3]) for row in rows(told(parts, "passwd"), 7, b":")}
        facts = Distinct()
        for name, _, gid, members in rows(told(parts, "group"), 4, b":"):
            facts.add(name, {"gid": gid, "members": ", ".join(sorted(filter(None, members.split(","))))})
        told_elsewhere = {name for name, gid in own if facts.get(name) == {"gid": gid, "members": ""}}
        seen: set[str] = set()
        for name, password, administrators, _ in rows(told(parts, "gshadow"), 4, b":"):
            first = name not in seen
            seen.add(name)
            if first and name in facts and (administrators or not password.startswith(("!", "*"))):
                facts[name]["administrators"] = administrators
                facts[name]["password"] = "set" if password else "none, and nobody but members may join"
                if administrators or password:
                    told_elsewhere.discard(name)
        for file in ("group", "gshadow"):
            for line in short_rows(told(parts, file), 4, b":"):
                facts.add(f"/etc/{file}: what is no group", {"line": sealed(line)})
        gaps = list(gap(parts, "asked"))
        gaps += [one for name in parts.keys() & {"passwd", "group"} for one in gap(parts, name)]
        for attribute in ("administrators", "password"):
            gaps += gap(parts, "gshadow", attribute=attribute) if "gshadow" in parts else ()
        kept = {name: attributes for name, attributes in facts.items() if name not in told_elsewhere}
        return normalised(self.name, "group", kept, gaps)
