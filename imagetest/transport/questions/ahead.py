"""Ask for much at once: as few commands as possible for many questions, and their answers taken apart again."""

from __future__ import annotations

import functools
import itertools
import shlex
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from imagetest.transport.questions.families import FAMILIES, Family, Question, family_of
from imagetest.transport.questions.looking import FILTERS, Look, look
from imagetest.transport.questions.sudo import innermost, peel, wrap
from imagetest.transport.questions.words import PIPE, pipeline
from imagetest.transport.shell import Answer

SCRIPT_LIMIT = 64 * 1024
"""Characters of one command; Linux takes 131,072 bytes as one argument (MAX_ARG_STRLEN)."""

CONTENT_LIMIT = 256 * 1024
"""Bytes of a file that is read ahead of time; a larger one is read when somebody asks for it."""

NOT_ASKED = 125
"""What a guarded command exits with instead of being run."""

READERS = {"cat", "grep", "md5sum", "sha1sum", "sha256sum", "sha512sum", "wc", "head", "tail"}
"""Programs that read what they are given, which may only be a file: a pipe would be emptied, or wait for ever."""

ASKED_ALONE = {"find", "ls"}
"""Programs of which nobody knows what they cost; they are asked when somebody needs it."""

Answers = dict[str, Answer]


@dataclass(frozen=True, slots=True)
class Errand:
    """One command, and how its answer answers the questions that it is for."""

    command: str
    questions: tuple[str, ...]
    answers: Callable[[Answer], Answers]


def errands(questions: Iterable[str]) -> list[Errand]:
    """Return the commands that answer questions, those of one family together.

    What is not known to only look is left out, and so is what is good for a moment only.
    """
    families: dict[tuple[str | None, int, str], dict[str, Question]] = defaultdict(dict)
    alone = []
    for text in dict.fromkeys(questions):
        if look(innermost(text)) is not Look.STATE:
            continue
        user, inner = peel(text)
        words = flat(inner)
        found = family_of(words)
        if found is not None:
            family, question = found
            families[user, FAMILIES.index(family), question.group][text] = question
        elif words[0] not in ASKED_ALONE and (paths := _read_by(words)) is not None:
            alone.append(_one(text, user, inner, paths))
    together = [
        _together(FAMILIES[family], group, some, user)
        for (user, family, group), asked in sorted(families.items(), key=lambda one: one[0][1])
        for some in _portions(asked)
    ]
    return together + alone


def flat(inner: str) -> list[str]:
    """Return the words of a command, with those of its pipes."""
    commands = pipeline(inner)
    if not commands:
        return [""]
    return list(itertools.chain.from_iterable([*command, PIPE] for command in commands))[:-1]


def _portions(asked: dict[str, Question]) -> Iterator[dict[str, Question]]:
    """Divide questions so that no command becomes longer than it may; one name is asked about in one portion."""
    portion: dict[str, Question] = {}
    length, name = 0, ""
    for text, question in sorted(asked.items(), key=lambda one: one[1].name):
        if question.name != name:
            length, name = length + len(question.name) + len("'' "), question.name
            if length > SCRIPT_LIMIT:
                yield portion
                portion, length = {}, len(name)
        portion[text] = question
    if portion:
        yield portion


def _together(family: Family, group: str, asked: dict[str, Question], user: str | None) -> Errand:
    names = list(dict.fromkeys(question.name for question in asked.values()))
    command = family.command(group, names)

    def answers(answer: Answer) -> Answers:
        facts = family.facts(answer, names)
        told = {text: family.tell(one, facts[one.name]) for text, one in asked.items() if one.name in facts}
        return {text: one for text, one in told.items() if one is not None}

    return Errand(command if user is None else wrap(command, user), tuple(asked), answers)


def _read_by(words: list[str]) -> list[str] | None:
    """Return the files that programs are given to read; None where one is named from a folder that nobody knows."""
    paths = []
    for _, command in itertools.groupby(words, PIPE.__eq__):
        program, *arguments = command
        if program in {"head", "tail"} and arguments[:1] in [["-n"], ["-c"]]:
            del arguments[:2]  # the option and its number
        operands = [word for word in arguments if not word.startswith("-")]
        if program in READERS:
            paths += operands[1:] if program == "grep" else operands
        elif program in FILTERS:
            paths += [word for word in operands if word.startswith("/")]
    return paths if all(path.startswith("/") for path in paths) else None


@functools.lru_cache(maxsize=4096)
def unless_pipes(text: str) -> str | None:
    """Return a command that runs another one unless a file that it reads is a pipe, in which case it exits NOT_ASKED.

    None where it cannot be known what it reads.
    """
    user, inner = peel(text)
    paths = _read_by(flat(inner))
    if not paths:
        return text if paths is not None else None
    guarded = "".join(f"test ! -p {shlex.quote(path)} || exit {NOT_ASKED}; " for path in paths) + inner
    return guarded if user is None else wrap(guarded, user)


def _one(text: str, user: str | None, inner: str, paths: list[str]) -> Errand:
    if not paths:
        return Errand(text, (text,), lambda answer: {text: answer})
    checks = " ".join(f"test -f {shlex.quote(path)} || exit {NOT_ASKED};" for path in paths)
    checks += " ".join(_is_small(path) for path in paths)
    guarded = f"{checks} {inner}"

    def answers(answer: Answer) -> Answers:
        return {} if answer.exit_code == NOT_ASKED else {text: answer}

    return Errand(guarded if user is None else wrap(guarded, user), (text,), answers)


def _is_small(path: str) -> str:
    return (
        f' test "$({{ wc -c <{shlex.quote(path)}; }} 2>/dev/null)" -le {CONTENT_LIMIT} 2>/dev/null || exit {NOT_ASKED};'
    )
