"""Users with all their groups, as id(1) tells them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from imagetest.transport.questions.families.accounts import NAME
from imagetest.transport.questions.families.family import Facts, Question, lines, said
from imagetest.transport.shell import Answer

END = re.compile(r"=(\S+) (\d+)")
"""What stands on both streams behind what was said of a user: an answer begins with `uid=`, a complaint with `id:`."""


class Identities:
    """What `id NAME` says."""

    def read(self, words: list[str]) -> Question | None:
        """Read `id NAME`."""
        match words:
            case ["id", name] if NAME.fullmatch(name):
                return Question("", name, "")
        return None

    def command(self, group: str, names: Sequence[str]) -> str:  # noqa: ARG002 - one group
        """Have id(1) tell of one after the other, in one shell."""
        end = 'printf "=%s %d\\n" "$u" "$1"'
        return f"for u in {' '.join(names)}; do id $u; set -- $?; {end}; {end} >&2; done"

    def facts(self, answer: Answer, names: Sequence[str]) -> Facts:
        """Read of each user what was said, complained of, and the exit code."""
        out, complaints = _apart(answer.stdout), _apart(answer.stderr)
        return {name: (*out[name], complaints[name][0]) for name in names if name in out and name in complaints}

    def tell(self, question: Question, fact: tuple[str, ...]) -> Answer | None:  # noqa: ARG002 - one fact
        """Tell it as it was told."""
        text, code, complaint = fact
        return said(text, code=int(code), error=complaint)

    def texts(self, kind: str, name: str) -> list[str]:
        """Return what `host.user(NAME)` may ask."""
        return [f"id {name}"] if kind == "user" and NAME.fullmatch(name) else []


def _apart(stream: bytes) -> dict[str, tuple[str, str]]:
    """Return for each user what stands before its end, and the exit code that stands there."""
    found: dict[str, tuple[str, str]] = {}
    text = ""
    for row in lines(stream):
        if end := END.fullmatch(row):
            found[end[1]], text = (text, end[2]), ""
        else:
            text += f"{row}\n"
    return found
