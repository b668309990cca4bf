"""Take the snapshot of a machine: all collectors in one round trip."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from imagetest.errors import MachineLostError
from imagetest.model.plan import Scope
from imagetest.model.snapshot import Family, Gap, Part, Snapshot
from imagetest.ports import Collector
from imagetest.transport.batch import TOTAL_LIMIT, Batch
from imagetest.transport.shell import CommandTimeoutError, Shell, TooMuchOutputError

SECONDS = 120.0
"""How long a machine may take to answer."""


def take(
    shell: Shell,
    collectors: Sequence[Collector],
    *,
    subject: str,
    digest: str = "",
    scope: Scope = Scope(),  # noqa: B008 - immutable
    sudo: bool = False,
    timeout: float = SECONDS,
    begin: Callable[[], object] | None = None,
) -> Snapshot:
    """Ask every collector of the scope at once.

    Raises MachineLostError when the machine does not answer to the end within `timeout` seconds, or says more than can
    be held. A collector that fails is a gap. `begin` is called when the answer is there, before it is read.
    """
    asked = [one for one in collectors if not scope.only or one.name in scope.only]
    batch = batch_of(asked, scope)
    taken, clock = datetime.now(UTC), time.monotonic()
    try:
        answer = shell.run(batch.script(sudo=sudo, seconds=timeout), timeout=timeout, limit=TOTAL_LIMIT)
    except CommandTimeoutError as error:
        raise MachineLostError(
            f"{subject!r} did not tell its state within {timeout:g} seconds", hint="is one of its file systems stuck?"
        ) from error
    except TooMuchOutputError as error:
        raise MachineLostError(f"{subject!r} told more of its state than can be held: {error}") from error
    seconds = time.monotonic() - clock
    if begin is not None:
        begin()
    parts = batch.parts(answer)
    if "user" not in parts["machine"]:
        said = answer.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        refused = "let the user become root without a password (NOPASSWD in sudoers), or do without sudo"
        hint = refused if sudo else "is there a /bin/sh with head(1)?"
        raise MachineLostError(f"{subject!r} did not tell its state: {said[-1]}", hint=hint)
    return Snapshot(
        subject=subject,
        digest=digest,
        user=parts["machine"]["user"].stdout.decode(errors="replace").strip(),
        taken=taken,
        seconds=round(seconds, 3),
        families=tuple(_read(one, parts[one.name]) for one in asked),
    )


def batch_of(collectors: Sequence[Collector], scope: Scope) -> Batch:
    """Return the one script that asks for everything."""
    scripts = {"machine": "ask user id -un", **{one.name: one.script(scope) for one in collectors}}
    return Batch(scripts, slow=[one.name for one in collectors if getattr(one, "slow", False)])


def _read(collector: Collector, parts: Mapping[str, Part]) -> Family:
    """Return a family; an answer that its collector cannot make sense of tells nothing."""
    try:
        return collector.read(parts)
    except (ValueError, LookupError) as error:
        gap = Gap(reason=f"its answer makes no sense: {error}")
        return Family(name=collector.name, noun=collector.name, facts={}, gaps=(gap,))
