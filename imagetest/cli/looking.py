"""Take the snapshot of whatever a command names; what has to be booted for it is destroyed again."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import typer

from imagetest.cli.subjects import Subject, identify
from imagetest.config import plugins, wiring
from imagetest.config.mistakes import unknown
from imagetest.config.settings import Settings
from imagetest.errors import ImagetestError, UsageError
from imagetest.model.image import Image
from imagetest.model.plan import Environment, Scope
from imagetest.model.snapshot import Snapshot
from imagetest.pipeline.bake import Kitchen
from imagetest.pipeline.boot import Fleet
from imagetest.pipeline.snapshot import SECONDS, take
from imagetest.pipeline.survey import held, survey
from imagetest.policy.parity import Answer
from imagetest.policy.wording import gap_words
from imagetest.ports import Driver, Event
from imagetest.reporters.text import readable
from imagetest.transport.existing import Roads
from imagetest.transport.line import Line, reached

TAKEN_FOR_HOST = "it is no image, channel or file here, and was taken for a host"


def scope_of(settings: Settings, *, only: Iterable[str], roots: Iterable[str]) -> Scope:
    """Return what a snapshot looks at: the configuration's scope, as the options change it. Raises UsageError."""
    only, roots = tuple(only), tuple(roots)
    known = plugins.names("collectors")
    for name in only:
        if name not in known:
            raise UsageError(f"--only: {unknown('collector', name, known)}")
    for root in roots:
        if not root.startswith("/"):
            raise UsageError(f"--root: got {root!r}, expected a folder that begins with '/'")
    scope = replace(settings.scope, only=only)
    return replace(scope, roots=roots) if roots else scope


class Looking:
    """The throwaways and connections of one command."""

    def __init__(self, settings: Settings, *, scope: Scope, sudo: bool = False, at_rest: bool = False) -> None:
        self._settings = settings
        self._scope = scope
        self._sudo = sudo
        self._at_rest = at_rest
        self._collectors = wiring.collectors()
        self._drivers: dict[str, Driver] = {}
        run = f"look-{secrets.token_hex(3)}"
        folder = settings.state / "keys"
        self._fleet = Fleet(run=run, leases=wiring.leases(settings), folder=folder, drivers=self._driver)

    def answers(self, subjects: Sequence[Subject]) -> Iterator[Answer]:
        """Give the snapshot of each subject, or why it could not be had: first of images, then of live hosts at once.

        Raises UsageError when one has no state of the kind that was asked for.
        """
        for one in subjects:
            if self._at_rest and not one.is_image:
                raise UsageError(f"{one.what!r} is no image: only an image has a state before its first boot")
        for one in subjects:
            if not one.is_live:
                yield self._answer(one)
        for place in _places(subjects):
            yield from self._survey(place, [one.what for one in subjects if one.is_live and one.environment == place])

    def close(self) -> None:
        """Destroy what was booted. Raises LeakError when it cannot be."""
        leaks = self._fleet.close()
        for driver in self._drivers.values():
            driver.close()
        if leaks:
            raise leaks[0]

    def _answer(self, subject: Subject) -> Answer:
        try:
            found = subject.stored or self._of_image(subject)
        except ImagetestError as error:
            return Answer(host=subject.what, error=error.explain())
        return Answer(host=subject.what, read=held(found))

    def _survey(self, place: Environment | None, hosts: Sequence[str]) -> Iterator[Answer]:
        roads = Roads(place.ssh_config if place else None)
        try:
            for answer in survey(
                hosts, roads.dial, self._collectors, scope=self._scope, sudo=self._sudo or bool(place and place.sudo),
                timeout=place.timeout if place else SECONDS,
            ):  # fmt: skip
                unknown_word = answer.read is None and place is None
                yield replace(answer, error=f"{answer.error}\n  {TAKEN_FOR_HOST}") if unknown_word else answer
        finally:
            roads.close()

    def _of_image(self, subject: Subject) -> Snapshot:
        image = self._image(subject)
        say(f"{subject.what}: {'opening it at rest' if self._at_rest else 'booting a throwaway'}")
        if self._at_rest:
            booted = self._fleet.rest(image, subject.plan)
        else:
            booted = self._fleet.boot(image, subject.plan, _progress)
        try:
            at = reached(booted.instance.address, subject.plan, transport=booted.transport)
            shell = Line(subject.what, lambda _: at).shell()
            scope = replace(self._scope, brought=booted.brought)
            return take(
                shell, self._collectors, subject=subject.what, digest=image.digest, scope=scope, sudo=self._sudo
            )
        finally:
            self._fleet.destroy(booted.instance.id)

    def _image(self, subject: Subject) -> Image:
        if subject.at is not None:
            return identify(subject.at)
        target = subject.target
        if target is None:
            raise UsageError(f"{subject.what!r} is no image")
        if target.order is None:
            return self._driver(target.plan.driver).identify(target.reference, name=target.name)
        kitchen = Kitchen(
            builder=wiring.builder, driver=self._driver, leases=wiring.leases(self._settings),
            state=self._settings.state, folder=self._settings.state / "logs", progress=_progress,
        )  # fmt: skip
        baked = kitchen.bake(replace(target.order, sources=(target.source,)))
        return replace(baked.images[target.source][0], name=target.name)

    def _driver(self, name: str) -> Driver:
        if name not in self._drivers:
            self._drivers[name] = wiring.driver(name)
        return self._drivers[name]


@contextmanager
def looking(settings: Settings, *, scope: Scope, sudo: bool = False, at_rest: bool = False) -> Iterator[Looking]:
    """Open a place to look from, in which nothing is left running afterwards."""
    place = Looking(settings, scope=scope, sudo=sudo, at_rest=at_rest)
    try:
        yield place
    finally:
        place.close()


def say(text: str) -> None:
    """Tell the user what goes on, apart from the result; a machine's words are in it, and obey nothing."""
    typer.echo(readable(text), err=True)


def say_gaps(snapshot: Snapshot) -> int:
    """Tell the user what a machine did not tell, and return how much that is."""
    gaps = [(family.name, gap) for family in snapshot.families for gap in family.gaps]
    for family, gap in gaps:
        say(gap_words(family, gap, snapshot.subject))
    return len(gaps)


def _places(subjects: Iterable[Subject]) -> list[Environment | None]:
    return list(dict.fromkeys(one.environment for one in subjects if one.is_live))


def _progress(event: Event) -> None:
    if not event.detail:
        say(f"{event.subject}: {event.text}")
