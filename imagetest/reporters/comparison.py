"""What differs between machines, as lines for a terminal: how much first, then what nobody explains."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from imagetest.model.drift import Allowance, Difference, Drift, Kind, Side, Unread
from imagetest.model.parity import Comparison, Outcome, Parity
from imagetest.policy.changelog import Change, change, tallies
from imagetest.policy.standing import alike, missing, unallowed, unread_words_of, verdict_words
from imagetest.policy.wording import unread_words, words
from imagetest.reporters.terminal import Line, Style
from imagetest.reporters.text import WORDS, line, plural, short

AT_MOST = 30
"""How many lines of one list are shown where not all are asked for."""

WIDEST = 44
"""Characters of a column, but the last, that are shown in a table."""

TITLES = ("HOST", "AGAINST", "FACTS", "EQUAL", "ALLOWED", "UNEXPLAINED", "UNREAD", "CHECKS", "")

T = TypeVar("T")


def drift_lines(drift: Drift, *, everything: bool = False) -> list[Line]:
    """Return the change log from one machine to another."""
    left, right = (" ".join(filter(None, (one.subject, short(one.digest)))) for one in (drift.left, drift.right))
    most = None if everything else AT_MOST
    found = [
        Line(Style.TITLE, f"from {left} to {right}"),
        *_counts(drift),
        *_tallies(drift),
        *_list("unexplained", unallowed(drift), difference_words, most, Style.BAD),
        *_list("not read", missing(drift), _unread_of(drift), most, Style.WARN),
        *_excused(drift, most),
        *_list("allowances that have expired", drift.expired, allowance_words, most, Style.WARN),
        *_list("allowances that match nothing", drift.unused, allowance_words, most, Style.WARN),
    ]
    return [Line(style, line(text)) for style, text in found]


def parity_lines(parities: Sequence[Parity], *, everything: bool = False) -> list[Line]:
    """Return for each parity a table of its machines, and under it what is between those that are not alike."""
    found: list[Line] = []
    for parity in parities:
        found += [*_parity(parity, None if everything else AT_MOST), Line(Style.PLAIN, "")]
    return [Line(style, line(text)) for style, text in found[:-1]]


def allowance_words(one: Allowance) -> str:
    """Return an allowance, why it is there and who answers for it."""
    attribute = f" {one.attribute}" if one.attribute != "*" else ""
    until = f", until {one.expires}" if one.expires else ""
    where = f", {one.origin}" if one.origin else ""
    return f"{one.pattern}{attribute}: {one.reason} ({one.owner}{until}{where})"


def difference_words(one: Difference) -> str:
    """Return a difference as a sentence, and for a version which way it went."""
    what = change([one])
    return words(one) + (f" ({what.value})" if what in {Change.UPGRADED, Change.DOWNGRADED} else "")


def side_words(one: Difference, side: Side) -> str:
    """Return one side of a difference; where it is not there, that is said."""
    absent = Kind.ADDED if side is Side.LEFT else Kind.REMOVED
    value = one.left if side is Side.LEFT else one.right
    return value or ("(absent)" if one.kind is absent else "(there)" if not one.attribute else "(empty)")


def fact_words(one: Difference) -> str:
    """Return which fact, and which attribute of it, a difference is about."""
    return " ".join(filter(None, (one.noun, one.key, one.attribute)))


def _counts(drift: Drift) -> Iterator[Line]:
    unread = len(missing(drift))
    said = f"{plural(drift.compared, 'fact')} compared: {drift.equal:,} equal, {drift.allowed:,} allowed, "
    said += f"{drift.unexplained:,} unexplained" + (f"; {unread:,} not read" if unread else "")
    yield Line(Style.GOOD if drift.explained else Style.BAD, f"  {said}")


def _tallies(drift: Drift) -> Iterator[Line]:
    found = tallies(drift.differences)
    width = max((len(one.family) for one in found), default=0)
    for one in found:
        changes = ", ".join(f"{one.changes[kind]:,} {kind.value}" for kind in Change if one.changes.get(kind))
        allowed = one.total - one.unexplained
        rest = f" ({allowed:,} allowed)" if allowed else ""
        yield Line(Style.PLAIN if one.unexplained else Style.MUTED, f"  {one.family:{width}}  {changes}{rest}")


def _list(title: str, items: Sequence[T], show: Callable[[T], str], most: int | None, style: Style) -> Iterator[Line]:
    if not items:
        return
    yield Line(style, f"{title}:")
    shown = items if most is None or len(items) <= most else items[: most - 1]
    yield from (Line(Style.PLAIN, f"  {show(one)}") for one in shown)
    if len(shown) < len(items):
        yield Line(Style.MUTED, f"  ... and {len(items) - len(shown):,} more; --all shows them")


def _unread_of(drift: Drift) -> Callable[[Unread], str]:
    return lambda one: unread_words(one, (drift.left if one.side is Side.LEFT else drift.right).subject)


def _excused(drift: Drift, most: int | None, name: str = "") -> Iterator[Line]:
    """Give what is allowed, under who allows it and why."""
    unread = _unread_of(drift)
    excused = [(one.allowance, difference_words(one)) for one in drift.differences if one.allowance]
    excused += [(one.allowance, unread(one)) for one in drift.unread if one.allowance]
    for allowance in dict.fromkeys(one for one, _ in excused):
        under = [said for one, said in excused if one == allowance]
        yield from _list(f"{name}allowed by {allowance_words(allowance)}", under, str, most, Style.MUTED)


def _parity(parity: Parity, most: int | None) -> Iterator[Line]:
    style = Style.GOOD if parity.holds else Style.BAD
    yield Line(style, f"{parity.kind.value} parity of {parity.name}: {verdict_words(parity)}")
    yield from _machines(parity.comparisons)
    yield from _between(parity.comparisons, most)
    yield from _list("allowances that match nothing", parity.unused, allowance_words, most, Style.WARN)


def _machines(comparisons: Sequence[Comparison]) -> Iterator[Line]:
    """Give a line of numbers for each machine."""
    rows = [(Style.MUTED, TITLES), *((Style.PLAIN if one.holds else Style.BAD, _row(one)) for one in comparisons)]
    widths = [max(len(row[column]) for _, row in rows) for column in range(len(TITLES))]
    for style, row in rows if comparisons else []:
        cells = [
            cell.rjust(width) if 1 < column < len(TITLES) - 1 else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield Line(style, f"  {'  '.join(cells).rstrip()}")


def _row(one: Comparison) -> tuple[str, ...]:
    drift = one.drift
    if drift is None:
        return (one.right, one.left, "-", "-", "-", "-", "-", "-", "ERROR")
    checks = f"{one.checks - len(one.outcomes)}/{one.checks}" if one.checks or one.outcomes else "-"
    counts = (drift.compared, drift.equal, drift.allowed, drift.unexplained, len(missing(drift)))
    differs = drift.unexplained or one.outcomes
    mark = "" if one.holds else "ERROR" if one.error else "ODD" if differs else "NOT READ"
    return (one.right, one.left, *(f"{number:,}" for number in counts), checks, mark)


def _between(comparisons: Sequence[Comparison], most: int | None) -> Iterator[Line]:
    """Give what stands between machines: errors, then what nobody explains, side by side, then the rest."""
    errors = [one for one in comparisons if one.error]
    yield from _list("errors", errors, lambda one: f"{one.right}: {one.error}", most, Style.BAD)
    for group in alike(comparisons):
        title = f"unexplained on {', '.join(group.machines)}, against {', '.join(group.against)}"
        yield from _table(title, group.differences, most)
    for one in comparisons:
        yield from _list(f"checks that conclude differently on {one.right}", one.outcomes, _outcome, most, Style.BAD)
    yield from _list("not read", unread_words_of(comparisons), str, most, Style.WARN)
    for one in comparisons:
        if one.drift is not None:
            yield from _rest(one.right, one.drift, most)


def _table(title: str, differences: Sequence[Difference], most: int | None) -> Iterator[Line]:
    """Give differences as three columns: the fact, and its value on either side."""
    rows = [(fact_words(one), side_words(one, Side.LEFT), side_words(one, Side.RIGHT)) for one in differences]
    first, second = (min(max(len(row[column]) for row in rows[:most]), WIDEST) for column in (0, 1))
    yield from _list(
        title, rows, lambda row: f"{_cell(row[0], first)}  {_cell(row[1], second)}  {row[2]}", most, Style.BAD
    )


def _cell(text: str, width: int) -> str:
    return line(text if len(text) <= width else f"{text[: width - 3]}...").ljust(width)


def _outcome(one: Outcome) -> str:
    said = f": {one.message}" if one.message else ""
    return f"{one.check}  {WORDS[one.left]}  {WORDS[one.right]}{said}"


def _rest(name: str, drift: Drift, most: int | None) -> Iterator[Line]:
    yield from _excused(drift, most, f"{name}: ")
    yield from _list(f"{name}: allowances that have expired", drift.expired, allowance_words, most, Style.WARN)
