"""When each part of a machine was up, as systemd tells it (org.freedesktop.systemd1(5)): what drivers share."""

from __future__ import annotations

from collections.abc import Iterator

from imagetest.model.instance import Moment

_MANAGER = {"UserspaceTimestampMonotonic": "kernel", "FinishTimestampMonotonic": "systemd"}

SCRIPT = (
    "systemctl show --property=UserspaceTimestampMonotonic --property=FinishTimestampMonotonic; echo; "
    "systemctl show --property=Id --property=ActiveEnterTimestampMonotonic '*.service' '*.target'"
)
"""What to run on the machine once it is up."""

MICROSECONDS = 1_000_000


def moments(said: str, *, container: bool) -> tuple[Moment, ...]:
    """Return what was up when, the earliest first; nothing where systemd does not say.

    A virtual machine counts here from the start of its own kernel. A container has the kernel of its host, which counts
    from long ago: there, the start of systemd is the beginning, and there is no moment for the kernel.
    """
    head, *blocks = said.strip().split("\n\n")
    manager = dict(_fields(head))
    begun = int(manager.get("UserspaceTimestampMonotonic") or 0)
    if not begun:
        return ()
    zero = begun if container else 0
    reached = {
        name: int(manager.get(key) or 0) for key, name in _MANAGER.items() if not (container and name == "kernel")
    }
    for block in blocks:
        unit = dict(_fields(block))
        reached[unit.get("Id", "")] = int(unit.get("ActiveEnterTimestampMonotonic") or 0)
    found = [
        Moment(name=name, seconds=round((at - zero) / MICROSECONDS, 3)) for name, at in reached.items() if name and at
    ]
    return tuple(sorted(found, key=lambda one: (one.seconds, one.name)))


def _fields(block: str) -> Iterator[tuple[str, str]]:
    for line in block.splitlines():
        name, _, value = line.partition("=")
        yield name, value if value.isdigit() or name == "Id" else ""
