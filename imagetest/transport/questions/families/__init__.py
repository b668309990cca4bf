"""Questions that one command answers for all names at once, and how its answer reads as the answer to each."""

from __future__ import annotations

from imagetest.transport.questions.families.accounts import Accounts
from imagetest.transport.questions.families.contents import Contents
from imagetest.transport.questions.families.family import Facts, Family, Question
from imagetest.transport.questions.families.files import Files
from imagetest.transport.questions.families.identities import Identities
from imagetest.transport.questions.families.packages import Packages
from imagetest.transport.questions.families.parameters import Parameters
from imagetest.transport.questions.families.units import Units

FAMILIES: tuple[Family, ...] = (
    Units(), Contents(), Files(), Packages(), Identities(), Accounts(), Parameters(),
)  # fmt: skip
"""What takes longest first."""

__all__ = ["FAMILIES", "Facts", "Family", "Question", "family_of"]


def family_of(words: list[str]) -> tuple[Family, Question] | None:
    """Return the family that can answer a command, and what it asks there."""
    for family in FAMILIES:
        question = family.read(words)
        if question is not None:
            return family, question
    return None
