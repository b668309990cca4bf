"""The exit code of a run, as the table in docs/running.md has it."""

from __future__ import annotations

import pytest

from imagetest.model.assessment import Objection, Verdict
from imagetest.model.drift import Allowance, Drift, Party, Side, Unread
from imagetest.model.finding import Status
from imagetest.model.parity import Comparison, Outcome, Parity, ParityKind
from imagetest.model.snapshot import Gap
from imagetest.policy.exit_code import ExitCode, of_drift, of_parities, of_run
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


ALIKE, DIFFERS, UNREAD = 0, 1, 3
PARTY = Party(subject="web", taken=NOW)


def drift(*, unexplained: int = 0, unread: int = 0, allowed: int = 0) -> Drift:
    leave = Allowance(pattern="a:*", reason="known", owner="maria")
    gaps = [Unread(side=Side.LEFT, family="a", gap=Gap(reason="denied")) for _ in range(unread)]
    gaps += [Unread(side=Side.LEFT, family="a", gap=Gap(reason="denied"), allowance=leave) for _ in range(allowed)]
    return Drift(
        left=PARTY, right=PARTY, compared=9, equal=9 - unexplained, allowed=0, unexplained=unexplained,
        unread=tuple(gaps),
    )  # fmt: skip


def parity(*comparisons: Comparison) -> Parity:
    return Parity(kind=ParityKind.GROUP, name="web", comparisons=comparisons)


def compared(of: Drift | None = None, error: str = "", *outcomes: Outcome) -> Comparison:
    return Comparison(left="a", right="b", drift=of, error=error, outcomes=outcomes)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (drift(), ALIKE),
        (drift(allowed=1), ALIKE),
        (drift(unexplained=1), DIFFERS),
        (drift(unread=1), UNREAD),
        (drift(unexplained=1, unread=1), DIFFERS),
    ],
)
def test_the_table_of_a_comparison(found: Drift, expected: int) -> None:
    assert of_drift(found) == expected
    assert of_parities([parity(compared(found))]) == expected


OUTCOME = Outcome(check="a", left=Status.PASSED, right=Status.FAILED)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([], UNREAD),
        ([parity()], UNREAD),
        ([parity(compared(drift())), parity()], UNREAD),
        ([parity(compared(drift()), compared(drift()))], ALIKE),
        ([parity(compared(drift()), compared(error="it is down"))], UNREAD),
        ([parity(compared(drift(), "its checks did not run"))], UNREAD),
        ([parity(compared())], UNREAD),
        ([parity(compared(drift(unexplained=1)), compared(error="it is down"))], DIFFERS),
        ([parity(compared(drift(), "", OUTCOME))], DIFFERS),
        ([parity(compared(drift())), parity(compared(drift(unexplained=1)))], DIFFERS),
    ],
)
def test_the_table_of_parities(found: list[Parity], expected: int) -> None:
    assert of_parities(found) == expected
