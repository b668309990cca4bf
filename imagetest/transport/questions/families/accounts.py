"""Users and groups, in the databases that getent(1) asks."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from imagetest.transport.questions.families.family import Facts, Question, lines, said
from imagetest.transport.shell import Answer

NOT_FOUND = 2
"""Exit code of getent(1) when one or more keys are not there."""

LAST = "root"
"""Asked for behind all others, to see that they were all looked up: musl's getent(1) stops at the first that fails."""

NAME = re.compile(r"[a-z_][a-z0-9_-]*")
"""A name, and no number, which would be looked up as an id."""

IDS = {"-u": 2, "-g": 3}
"""Options of id(1), and the fields of passwd(5) that hold their answers."""

FIELDS = {"-f3": 2, "-f4": 3}


class Accounts:
    """Lines of passwd, group and shadow."""

    def read(self, words: list[str]) -> Question | None:
        """Read `getent DATABASE NAME`, with and without `| cut`, and `id -u NAME`."""
        match words:
            case ["getent", ("passwd" | "group" | "shadow") as database, name]:
                facet = "line"
            case ["getent", "group" as database, name, "|", "cut", "-d:", facet] if facet in FIELDS:
                pass
            case ["id", facet, name] if facet in IDS:
                database = "passwd"
            case _:
                return None
        return Question(database, name, facet) if NAME.fullmatch(name) else None

    def command(self, group: str, names: Sequence[str]) -> str:
        """Look all names up in one database, which `group` names."""
        return f"getent {group} {' '.join(names)} {LAST}"

    def facts(self, answer: Answer, names: Sequence[str]) -> Facts:
        """Read the lines; where getent came to its end, a name without a line is not there."""
        if answer.exit_code not in {0, NOT_FOUND}:
            return {}
        found: dict[str, str] = {}
        times: Counter[str] = Counter()
        for row in lines(answer.stdout):
            name = row.split(":", 1)[0]
            found.setdefault(name, row)
            times[name] += 1
        ended = times[LAST] > (LAST in names) and found.keys() <= {*names, LAST}
        return {name: (found.get(name, ""),) for name in names if name in found or ended}

    def tell(self, question: Question, fact: tuple[str, ...]) -> Answer | None:
        """Tell the line or one of its fields; that there is no such user, id(1) says itself."""
        (row,) = fact
        fields = row.split(":")
        if question.facet == "line":
            return said(f"{row}\n") if row else said(code=NOT_FOUND)
        if question.facet in FIELDS:
            return said(f"{fields[FIELDS[question.facet]]}\n") if row else said()
        return said(f"{fields[IDS[question.facet]]}\n") if row else None

    def texts(self, kind: str, name: str) -> list[str]:
        """Return what `host.user(NAME)` and `host.group(NAME)` may ask."""
        if not NAME.fullmatch(name):
            return []
        if kind == "group":
            fields = [f"getent group {name} | cut -d':' {field}" for field in FIELDS]
            return [f"getent group {name}", *fields]
        return [f"getent passwd {name}", *(f"id {option} {name}" for option in IDS)] if kind == "user" else []
