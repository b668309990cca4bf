"""Files: what `test` and `stat` say."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from imagetest.transport.questions.families.family import Facts, Question, lines, said
from imagetest.transport.questions.looking import MOVING
from imagetest.transport.shell import Answer

TESTS = "efdxpSL"
FORMATS = ("%U", "%u", "%G", "%g", "%a", "%Y", "%s", "%i")

PATH = re.compile(r"/[^\x00-\x1f\x7f?*]*")
"""An absolute path that stands on one line, and is no pattern for the shell to replace by the files that it fits."""


class Files:
    """Kind, mode, owner, size and time of files."""

    def read(self, words: list[str]) -> Question | None:
        """Read `test -X PATH` and `stat -Lc %X PATH`."""
        match words:
            case ["test", operator, path] if operator[1:] in TESTS and len(operator) == 2:  # noqa: PLR2004 - a letter
                facet = operator
            case ["stat", "-Lc", facet, path] if facet in FORMATS:
                pass
            case _:
                return None
        return Question("", path, facet) if PATH.fullmatch(path) and not MOVING.search(path) else None

    def command(self, group: str, names: Sequence[str]) -> str:  # noqa: ARG002 - one group
        """Test all in one shell, and have one stat(1) look at all that are there."""
        paths = " ".join(shlex.quote(name) for name in names)
        formats = "\t".join([*FORMATS, "%n"])
        tests = "; ".join(f'test -{letter} "$f" && r={letter}$r' for letter in TESTS)
        return (
            f"set -- {paths}\n"
            f'for f; do r=; {tests}; printf \'%s\\t%s\\n\' "$r" "$f"; done\n'
            f"stat -Lc '{formats}' \"$@\" 2>/dev/null"
        )

    def facts(self, answer: Answer, names: Sequence[str]) -> Facts:
        """Read first the tests, then what stat said."""
        rows = lines(answer.stdout)
        tests = dict(row.split("\t", 1)[::-1] for row in rows[: len(names)] if "\t" in row)
        stats = {row[-1]: row[:-1] for row in (row.split("\t", len(FORMATS)) for row in rows[len(names) :])}
        return {name: (tests[name], *stats.get(name, ())) for name in names if name in tests}

    def tell(self, question: Question, fact: tuple[str, ...]) -> Answer | None:
        """Tell whether a test holds, or what stat would say; of a file that is not there it says so itself."""
        tests, *stats = fact
        if question.facet.startswith("-"):
            return said(code=0 if question.facet[1] in tests else 1)
        return said(f"{stats[FORMATS.index(question.facet)]}\n") if len(stats) == len(FORMATS) else None

    def texts(self, kind: str, name: str) -> list[str]:
        """Return what `host.file(PATH)` may ask."""
        if kind != "file" or not PATH.fullmatch(name) or MOVING.search(name):
            return []
        path = shlex.quote(name)
        return [*(f"test -{letter} {path}" for letter in TESTS), *(f"stat -Lc {facet} {path}" for facet in FORMATS)]
