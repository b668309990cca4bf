"""Debian's packages."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from imagetest.transport.questions.families.family import Facts, Question, lines, said
from imagetest.transport.shell import Answer

STATUS, VERSION = "${Status}", "${Status} ${Version}"

NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+")
"""A package's name (Debian Policy, section 5.6.1), and no pattern and no architecture with it."""

MISSING = re.compile(r"dpkg-query: no packages found matching (\S+)")


class Packages:
    """What `dpkg-query` knows of packages."""

    def read(self, words: list[str]) -> Question | None:
        """Read `dpkg-query -f FORMAT -W NAME`."""
        match words:
            case ["dpkg-query", "-f", ("${Status}" | "${Status} ${Version}") as facet, "-W", name] if NAME.fullmatch(
                name
            ):
                return Question("", name, facet)
        return None

    def command(self, group: str, names: Sequence[str]) -> str:  # noqa: ARG002 - one group
        """Ask for the status and version of all."""
        return f"dpkg-query -f '${{Package}}\\t${{Status}}\\t${{Version}}\\n' -W {' '.join(names)}"

    def facts(self, answer: Answer, names: Sequence[str]) -> Facts:
        """Read them; a package of several architectures has no single answer, and dpkg says of each that is missing."""
        rows = [row.split("\t") for row in lines(answer.stdout)]
        times = Counter(row[0] for row in rows)
        found: Facts = {row[0]: ("", *row[1:]) for row in rows if len(row) == 3 and times[row[0]] == 1}  # noqa: PLR2004
        wanted = set(names)
        for complaint in lines(answer.stderr):
            if (missing := MISSING.fullmatch(complaint)) is None:
                return {}  # a warning, which dpkg gives with every answer
            if missing[1] in wanted and missing[1] not in times:
                found[missing[1]] = (complaint,)
        return found

    def tell(self, question: Question, fact: tuple[str, ...]) -> Answer:
        """Tell the status, with the version where it is asked for; or that there is no such package."""
        complaint, *rest = fact
        if complaint:
            return said(code=1, error=f"{complaint}\n")
        return said(rest[0] if question.facet == STATUS else " ".join(rest))

    def texts(self, kind: str, name: str) -> list[str]:
        """Return what `host.package(NAME)` may ask."""
        if kind != "package" or not NAME.fullmatch(name):
            return []
        return [f"dpkg-query -f '{facet}' -W {name}" for facet in (STATUS, VERSION)]
