"""Hold an environment's hosts against each other and against an image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from imagetest.cli.looking import Looking, say
from imagetest.cli.subjects import Subject, understand
from imagetest.config.mistakes import unknown
from imagetest.config.settings import Settings
from imagetest.errors import UsageError
from imagetest.model.drift import Allowance
from imagetest.model.parity import Comparison, Parity, ParityKind
from imagetest.model.plan import Environment, Group
from imagetest.policy import parity as policy
from imagetest.policy.parity import Answer


def image_of(what: str, settings: Settings) -> Subject:
    """Return the image that is held against hosts. Raises UsageError when it is none."""
    subject = understand(what, settings)
    if not subject.is_image:
        raise UsageError(f"--image: {unknown('image', what, settings.images)}", hint="name an image or a channel")
    return subject


def groups_of(place: Environment, names: Sequence[str], subject: Subject | None) -> list[Group]:
    """Return the groups that were asked for, or all. Raises UsageError when there is nothing to compare."""
    known = {one.name: one for one in place.groups}
    for name in names:
        if name not in known:
            raise UsageError(f"--group: {unknown('group', name, known)}")
    groups = [known[name] for name in dict.fromkeys(names)] or [*place.groups]
    if subject is not None and not any(is_of(one, subject) for one in groups):
        images = ", ".join(sorted({one.image for one in groups}))
        raise UsageError(f"--image: no group of {place.name!r} is of {subject.image!r}", hint=f"they are of {images}")
    if subject is None and all(len(one.hosts) == 1 for one in groups):
        raise UsageError(
            f"every group of {place.name!r} has one host: there is nothing to hold it against",
            hint="--image holds them against an image",
        )
    return groups


def is_of(group: Group, subject: Subject) -> bool:
    """Say whether the hosts of a group were booted from an image, as far as the configuration tells."""
    return group.image in {"", subject.image}


def ask(
    view: Looking, place: Environment, groups: Sequence[Group], subject: Subject | None
) -> Mapping[str | None, Answer]:
    """Return what each host told, by its name, and what the image told under None."""
    answers: dict[str | None, Answer] = {}
    if subject is not None:
        answers[None] = next(view.answers([subject]))
    hosts = dict.fromkeys(host for group in groups for host in group.hosts)
    for answer in view.answers([Subject(what=host, environment=place) for host in hosts]):
        answers[answer.host] = answer
        say(f"{answer.host}: {'answered' if answer.read else answer.error}")
    return answers


def judge(
    place: Environment,
    groups: Sequence[Group],
    answers: Mapping[str | None, Answer],
    subject: Subject | None,
    extra: tuple[Allowance, ...],
) -> Iterator[Parity]:
    """Give the parities of each group: with the image first, then of its hosts with each other."""
    now = datetime.now(UTC)
    for group in groups:
        name, hosts = f"{place.name}/{group.name}", [answers[host] for host in group.hosts]
        allowances = (*extra, *group.allowances)
        if subject is not None and is_of(group, subject):
            reference = answers[None]
            if reference.read is None:
                lost = tuple(Comparison(left=reference.host, right=one.host, error=reference.error) for one in hosts)
                yield Parity(kind=ParityKind.ENVIRONMENT, name=name, comparisons=lost)
            else:
                yield policy.against(ParityKind.ENVIRONMENT, name, reference.read(), hosts, allowances, now=now)
        if len(hosts) > 1:
            yield policy.group(name, hosts, allowances, now=now)
