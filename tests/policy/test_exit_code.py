"""The exit code of a run, as the table in docs/running.md has it."""

from __future__ import annotations

import pytest

from imagetest.model.assessment import Objection, Verdict
from imagetest.policy.exit_code import ExitCode, of_run
from tests.nouns import NOW

OPEN = Verdict(gate="default", objections=(), decided=NOW)
CLOSED = Verdict(gate="default", objections=(Objection(rule="r", message="m"),), decided=NOW)


@pytest.mark.parametrize(
    ("pytest_said", "verdicts", "gated", "not_judged", "expected"),
    [
        # without a gate pytest's own code stays
        (0, [OPEN], False, False, 0),
        (0, [CLOSED], False, False, 0),
        (1, [CLOSED], False, False, 1),
        (1, [OPEN], False, False, 1),
        (2, [], False, False, 2),
        (5, [], False, False, 5),
        # with one the verdicts decide
        (0, [OPEN], True, False, 0),
        (1, [OPEN], True, False, 0),
        (0, [CLOSED], True, False, 1),
        (1, [CLOSED], True, False, 1),
        (0, [OPEN, CLOSED], True, False, 1),
        (0, [], True, False, 1),
        # what pytest could not do, whatever the verdicts are
        (2, [OPEN], True, False, 2),
        (3, [OPEN], True, False, 3),
        (4, [OPEN], True, False, 4),
        (5, [OPEN], True, False, 5),
        # what imagetest could not judge
        (0, [OPEN], True, True, 3),
        (0, [OPEN], False, True, 3),
        (1, [CLOSED], True, True, 3),
        (5, [], True, True, 3),
        (2, [OPEN], True, True, 2),
    ],
)
def test_the_table(pytest_said: int, verdicts: list[Verdict], gated: bool, not_judged: bool, expected: int) -> None:  # noqa: FBT001 - columns of a table
    code = of_run(pytest_said=pytest_said, verdicts=verdicts, gated=gated, not_judged=not_judged)

    assert code == expected


def test_the_codes_are_pytests_own() -> None:
    names = ["OK", "TESTS_FAILED", "INTERRUPTED", "INTERNAL_ERROR", "USAGE_ERROR", "NO_TESTS_COLLECTED"]

    assert [int(pytest.ExitCode[name]) for name in names] == [int(code) for code in ExitCode]
