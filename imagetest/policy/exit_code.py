"""The one place where an exit code is decided; the meanings are pytest's own, continued."""

from __future__ import annotations

import enum
from collections.abc import Sequence

from imagetest.model.assessment import Verdict


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
