"""Kernel parameters."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from imagetest.transport.questions.families.family import Facts, Question, lines, said
from imagetest.transport.questions.looking import MOVING_PARAMETERS
from imagetest.transport.shell import Answer

NAME = re.compile(r"[a-z0-9_][a-z0-9_.-]*")
"""A parameter's name with dots; those with a slash are written otherwise by sysctl(8) than they are read."""


class Parameters:
    """What sysctl(8) reads."""

    def read(self, words: list[str]) -> Question | None:
        """Read `sysctl -n NAME`, by whichever path it is called."""
        match words:
            case [program, "-n", name] if program.rpartition("/")[2] == "sysctl" and NAME.fullmatch(name):
                return None if MOVING_PARAMETERS.search(name) else Question(program, name, "value")
        return None

    def command(self, group: str, names: Sequence[str]) -> str:
        """Read all, each with its name."""
        return f"{group} {' '.join(names)}"

    def facts(self, answer: Answer, names: Sequence[str]) -> Facts:
        """Read `NAME = VALUE`; a value of several lines repeats the name, and has no single answer here."""
        found: Facts = {}
        rows = [row.partition(" = ") for row in lines(answer.stdout)]
        wanted, times = set(names), Counter(row[0] for row in rows)
        for name, separator, value in rows:
            if separator and name in wanted and times[name] == 1:
                found[name] = (value,)
        return found

    def tell(self, question: Question, fact: tuple[str, ...]) -> Answer:  # noqa: ARG002 - one facet
        """Tell the value."""
        return said(f"{fact[0]}\n")

    def texts(self, kind: str, name: str) -> list[str]:
        """Return what `host.sysctl(NAME)` may ask, by the path at which Debian has it."""
        asks = kind == "sysctl" and NAME.fullmatch(name) and not MOVING_PARAMETERS.search(name)
        return [f"/usr/sbin/sysctl -n {name}", f"/sbin/sysctl -n {name}"] if asks else []
