"""Find out whether the checks changed the machine that they judged, and which of them did."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from imagetest.errors import MachineLostError
from imagetest.model.drift import Allowance, Difference, Drift
from imagetest.model.finding import Check
from imagetest.model.plan import Scope
from imagetest.model.snapshot import Snapshot
from imagetest.pipeline.snapshot import take
from imagetest.policy.drift import compare
from imagetest.ports import Collector
from imagetest.transport.shell import CommandTimeoutError, Shell

COMMAND_SECONDS = 120.0
"""How long a command may take when it is repeated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Culprit:
    """A check that changes the machine."""

    check: str
    command: str
    """The last command that it had run when the change was seen."""
    differences: tuple[Difference, ...]

    def changes(self, difference: Difference) -> bool:
        """Say whether it changes the fact that differs."""
        return any((one.family, one.key) == (difference.family, difference.key) for one in self.differences)


class Watch:
    """The state of a machine from one moment on."""

    def __init__(self, shell: Callable[[], Shell], collectors: Sequence[Collector], scope: Scope, subject: str) -> None:
        """Remember the state; every later one looks closely at whatever the file system says has changed since."""
        self._shell = shell
        self._collectors = collectors
        self._subject = subject
        self._scope = replace(scope, listed=("/",), changed_since=_clock(shell()))
        self._before = self._take(self._scope)

    def drift(self, allowances: Iterable[Allowance] = ()) -> Drift:
        """Hold the state of now against the one that is remembered."""
        return compare(self._before, self._take(self._scope), allowances, now=datetime.now(UTC))

    def step(self, families: Sequence[str]) -> Drift:
        """Hold some families of now against what is remembered of them, and remember them as they are now."""
        now = self._take(replace(self._scope, only=tuple(families)))
        before = replace(self._before, families=tuple(one for one in self._before.families if one.name in families))
        self._before = now
        return compare(before, now, now=datetime.now(UTC))

    def _take(self, scope: Scope) -> Snapshot:
        return take(self._shell(), self._collectors, subject=self._subject, scope=scope)


def culprits(checks: Iterable[Check], drift: Drift, *, watch: Watch, shell: Callable[[], Shell]) -> tuple[Culprit, ...]:
    """Repeat what each check ran on a fresh machine that is watched, and name those that change what `drift` names.

    Raises MachineLostError when a command stops the machine.
    """
    families = tuple(dict.fromkeys(one.family for one in drift.differences))
    wanted = {(one.family, one.key) for one in drift.differences}
    found = []
    for check in checks:
        commands = [one.command for one in check.commands if not one.machine]
        if not commands or not families:
            continue
        for command in commands:
            _repeat(shell(), command)
        seen = tuple(one for one in watch.step(families).differences if (one.family, one.key) in wanted)
        if seen:
            found.append(Culprit(check=check.id, command=commands[-1], differences=seen))
    return tuple(found)


def _repeat(shell: Shell, command: str) -> None:
    try:
        shell.run(command, timeout=COMMAND_SECONDS)
    except CommandTimeoutError as error:
        raise MachineLostError(f"{command!r} did not end when it was repeated") from error


def _clock(shell: Shell) -> float:
    """Return what time it is on the machine, as a POSIX time."""
    said = shell.run("date +%s", timeout=COMMAND_SECONDS).stdout.strip()
    try:
        return float(said)
    except ValueError as error:
        raise MachineLostError(f"the machine does not tell its time: {said.decode(errors='replace')!r}") from error
