"""How an instance came up, asked of it afterwards: what drivers share."""

from __future__ import annotations

from dataclasses import dataclass, replace

from imagetest.drivers import timeline
from imagetest.errors import BootError, MachineLostError
from imagetest.model.instance import Attempt, Moment
from imagetest.transport.shell import CommandTimeoutError, Shell

SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What an instance that is up tells of its boot."""

    timeline: tuple[Moment, ...]
    attempts: tuple[Attempt, ...] = ()
    notes: tuple[str, ...] = ()


def look_back(
    shell: Shell, *, init: str, reachable: float, ready: float, container: bool = True, before: float = 0.0
) -> Seen:
    """Return when each part was up: systemd's units where it is process 1, and what was seen from outside.

    `before` is how many seconds the machine ran before its kernel did.
    """
    moments: tuple[Moment, ...] = ()
    try:
        if init == "systemd":
            answer = shell.run(timeline.SCRIPT, timeout=SECONDS)
            found = timeline.moments(answer.stdout.decode(errors="replace"), container=container)
            moments = tuple(replace(one, seconds=round(one.seconds + before, 3)) for one in found)
    except (CommandTimeoutError, MachineLostError) as error:
        raise BootError(f"the instance was up and stopped answering: {error}") from error
    outside = (Moment(name="reachable", seconds=round(reachable, 3)), Moment(name="ready", seconds=round(ready, 3)))
    return Seen(timeline=tuple(sorted((*moments, *outside), key=lambda one: one.seconds)))
