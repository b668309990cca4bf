"""Watch whether the checks of a run change the machines that they judge."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import pytest

from imagetest.config import wiring
from imagetest.config.settings import Settings
from imagetest.errors import ImagetestError, MachineLostError
from imagetest.model.drift import Difference, Drift
from imagetest.model.finding import Check, Status
from imagetest.pipeline.changes import Culprit, Watch, culprits
from imagetest.policy.wording import unread_words, words
from imagetest.pytest_plugin.binding import check_id, fixtures_of, image_of
from imagetest.pytest_plugin.machines import Machines
from imagetest.transport.shell import Shell

FIXTURE = "changes"
"""A test that asks for it runs after all others of its image."""

LATER = "judged when the last worker is done"
"""Why a worker of pytest-xdist skips such a test: the controller judges it in the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What the checks did to the machine that they judged."""

    drift: Drift
    culprits: tuple[Culprit, ...] = ()

    @property
    def said(self) -> str:
        """Return what changed and by which check, a line each; empty when nothing did."""
        lines = [
            f"{words(one)}, by {culprit.check}"
            for one in self._unexplained
            for culprit in self.culprits
            if culprit.changes(one)
        ]
        lines += [f"{one}, by none of the checks when they were repeated" for one in self.unblamed]
        lines += [unread_words(one, "it") for one in self.drift.unread if one.allowance is None]
        return "\n".join(dict.fromkeys(lines))

    @property
    def harm(self) -> str:
        """Return why such checks must not run on a live host; what may differ may not be changed by a check."""
        if self.culprits:
            return f"{', '.join(one.check for one in self.culprits)} changes its machine"
        if self.unblamed:
            return f"one of them may change its machine: {self.unblamed[0]}"
        missed = [one for one in self.drift.unread if one.allowance is None]
        return f"not all that they may change could be read: {unread_words(missed[0], 'it')}" if missed else ""

    @property
    def unblamed(self) -> list[str]:
        """Return in words what changed without any check being found to do it."""
        return [words(one) for one in self._unexplained if not any(culprit.changes(one) for culprit in self.culprits)]

    @property
    def _unexplained(self) -> list[Difference]:
        return [one for one in self.drift.differences if one.allowance is None]


def judges_of(items: Iterable[pytest.Item]) -> dict[str, list[str]]:
    """Return by image the checks that judge what all others did to it."""
    found: dict[str, list[str]] = defaultdict(list)
    for item in items:
        if FIXTURE in fixtures_of(item):
            found[image_of(item)].append(check_id(item, image_of(item)))
    return found


class Watching:
    """The machines of one run that are watched, from their boot until their last check."""

    def __init__(
        self, machines: Callable[[], Machines], settings: Settings, has_live_hosts: Callable[[str], object]
    ) -> None:
        """Watch nothing yet; where checks are to run on live hosts, even what they may change is looked into."""
        self._machines = machines
        self._settings = settings
        self._has_live_hosts = has_live_hosts
        self._watches: dict[str, Watch] = {}
        self._ended: dict[str, Changes] = {}

    def begin(self, name: str) -> None:
        """Remember the state of a machine that has just been booted."""
        if name not in self._watches:
            self._watches[name] = self._watch(name, partial(self._machines().shell, name))

    def end(self, name: str, checks: Iterable[Check]) -> Changes:
        """Say what changed since, and name the checks that did it. Raises ImagetestError where that fails."""
        if name not in self._watches:
            raise MachineLostError(f"nobody knows what {name!r} was like before the checks")
        if name not in self._ended:
            drift = self._watches[name].drift(self._machines().targets[name].allowances)
            suspicious = drift.differences if self._has_live_hosts(name) else drift.unexplained
            found = self._blame(name, list(checks), drift) if suspicious else ()
            self._ended[name] = Changes(drift=drift, culprits=found)
        return self._ended[name]

    def supersede(self, name: str, checks: Mapping[str, Check], waiting: Iterable[str]) -> dict[str, Check]:
        """Return the checks that a worker left to be judged here, judged."""
        return {one: self._judged(name, checks[one], checks.values()) for one in waiting if one in checks}

    def _judged(self, name: str, check: Check, others: Iterable[Check]) -> Check:
        if check.status is not Status.NOT_REVIEWED or check.message != LATER:
            return check
        try:
            changes = self.end(name, others)
        except ImagetestError as error:
            return replace(check, status=Status.ERROR, message=str(error))
        said = changes.said
        status = Status.FAILED if said else Status.PASSED
        return replace(check, status=status, message=said, drifts=(changes.drift,))

    def _watch(self, name: str, shell: Callable[[], Shell]) -> Watch:
        return Watch(shell, wiring.collectors(), self._settings.scope, name)

    def _blame(self, name: str, checks: list[Check], drift: Drift) -> tuple[Culprit, ...]:
        """Repeat the checks' commands on another instance of the image."""
        with self._machines().another(name, "-replay") as shell:
            return culprits(checks, drift, watch=self._watch(name, shell), shell=shell)
