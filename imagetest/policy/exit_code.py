"""The one place where an exit code is decided; the meanings are pytest's own, continued."""

from __future__ import annotations

import enum
from collections.abc import Sequence

from imagetest.model.assessment import Verdict
from imagetest.model.drift import Drift
from imagetest.model.parity import Comparison, Parity


class ExitCode(enum.IntEnum):
    """What the exit code of a run, and of every command, says."""

    OPEN = 0
    CLOSED = 1
    INTERRUPTED = 2
    NOT_JUDGED = 3
    USAGE = 4
    NOTHING_COLLECTED = 5


def of_run(*, pytest_said: int, verdicts: Sequence[Verdict], gated: bool, not_judged: bool) -> int:
    """Return the exit code of a test run.

    What pytest could not do (interrupted, usage, nothing collected) and what imagetest could not judge stand first. The
    verdicts decide where a gate was asked for, and without one to ask they are closed; else pytest's own code stays.
    """
    if not_judged and pytest_said != ExitCode.INTERRUPTED:
        return ExitCode.NOT_JUDGED
    if pytest_said not in {ExitCode.OPEN, ExitCode.CLOSED}:
        return pytest_said
    if not gated:
        return pytest_said
    return ExitCode.OPEN if verdicts and all(verdict.open for verdict in verdicts) else ExitCode.CLOSED


def of_drift(drift: Drift) -> ExitCode:
    """Return the exit code of a comparison: what is known to differ stands first, then what nobody could read."""
    if drift.unexplained:
        return ExitCode.CLOSED
    return ExitCode.OPEN if drift.explained else ExitCode.NOT_JUDGED


def of_parities(parities: Sequence[Parity]) -> ExitCode:
    """Return the exit code of several: what is known to differ stands first, then what could not be compared."""
    if not parities or not all(parity.comparisons for parity in parities):
        return ExitCode.NOT_JUDGED
    codes = {_of_comparison(one) for parity in parities for one in parity.comparisons}
    return next((code for code in (ExitCode.CLOSED, ExitCode.NOT_JUDGED) if code in codes), ExitCode.OPEN)


def _of_comparison(comparison: Comparison) -> ExitCode:
    differs = comparison.drift is not None and comparison.drift.unexplained
    if differs or comparison.outcomes:
        return ExitCode.CLOSED
    return ExitCode.OPEN if comparison.holds else ExitCode.NOT_JUDGED
