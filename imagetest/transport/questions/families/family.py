"""What a family of questions is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from imagetest.transport.shell import Answer

Facts = dict[str, tuple[str, ...]]
"""What one command told, by name."""


@dataclass(frozen=True, slots=True)
class Question:
    """One fact that is asked for."""

    group: str
    """Names of one group can be asked for together."""
    name: str
    """What it is about, such as a package."""
    facet: str
    """Which of its facts, as the family calls it."""


class Family(Protocol):
    """Knows how testinfra asks for facts of one kind, and how to ask for many."""

    def read(self, words: list[str]) -> Question | None:
        """Return what a command asks for; None where it is not this family's, or a name is no plain one."""
        ...

    def command(self, group: str, names: Sequence[str]) -> str:
        """Return one command that asks for everything about all names."""
        ...

    def facts(self, answer: Answer, names: Sequence[str]) -> Facts:
        """Read its answer; a name of which nothing certain was said is not there."""
        ...

    def tell(self, question: Question, fact: tuple[str, ...]) -> Answer | None:
        """Return what the command itself would have answered, byte for byte; None where that is not certain."""
        ...

    def texts(self, kind: str, name: str) -> list[str]:
        """Return the commands by which testinfra's module `kind` may ask about a name, to ask them ahead of time."""
        ...


def said(text: str = "", *, code: int = 0, error: str = "") -> Answer:
    """Return an answer."""
    return Answer(
        exit_code=code, stdout=text.encode("utf-8", "surrogateescape"), stderr=error.encode("utf-8", "surrogateescape")
    )


def lines(data: bytes) -> list[str]:
    """Return the lines of an answer, with bytes that are not UTF-8 kept."""
    return data.decode("utf-8", "surrogateescape").split("\n")[:-1]
