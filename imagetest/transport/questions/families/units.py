"""Units of systemd."""

from __future__ import annotations

import re
from collections.abc import Sequence

from imagetest.transport.questions.families.family import Facts, Question, lines, said
from imagetest.transport.shell import Answer

ACTIVE = {"active": 0, "inactive": 3, "failed": 3}
"""Exit codes of `systemctl is-active` for units that are loaded and in no transition."""

ENABLED = {"enabled": 0, "static": 0, "indirect": 0, "disabled": 1, "masked": 1}
"""Exit codes of `systemctl is-enabled` (systemctl(1), table 1), of states that need no look at old init scripts."""

PROPERTIES = ("Id", "LoadState", "ActiveState")
"""Without UnitFileState, which systemd keeps as it was when somebody first asked, until `daemon-reload`."""

NAME = re.compile(r"(?!.*@(\.|\Z))[A-Za-z0-9:_.][A-Za-z0-9:_.@-]*")
"""A unit's name, and not that of a template such as `getty@.service`, which `systemctl show` refuses."""

SUFFIX = re.compile(r".*\.(service|socket|device|mount|automount|swap|target|path|timer|slice|scope)")


class Units:
    """Whether units are active and enabled."""

    def read(self, words: list[str]) -> Question | None:
        """Read `systemctl is-active NAME` and `systemctl is-enabled NAME`."""
        match words:
            case ["systemctl", ("is-active" | "is-enabled") as facet, name] if NAME.fullmatch(name):
                return Question("", name, facet)
        return None

    def command(self, group: str, names: Sequence[str]) -> str:  # noqa: ARG002 - one group
        """Show three properties of each, of a name that no unit has as well; beside that, list what is in files now."""
        units = " ".join(map(_full, names))
        listed = f"systemctl list-unit-files --no-legend --no-pager --plain -- {units}"
        shown = f"systemctl show -p {','.join(PROPERTIES)} -- {' '.join(names)} </dev/null"
        return f"{listed} | {{ {shown} && echo && echo && cat; }}"

    def facts(self, answer: Answer, names: Sequence[str]) -> Facts:
        """Read a block for each name, in their order. An alias, or a unit that is not there, has no certain answer."""
        shown_all, separator, listed = answer.stdout.partition(b"\n\n\n")
        blocks = "\n".join(lines(shown_all + b"\n")).split("\n\n")
        if answer.exit_code or not separator or len(blocks) != len(names):
            return {}
        states = {row[0]: row[1] for row in map(str.split, lines(listed)) if len(row) > 1}
        found: Facts = {}
        for name, block in zip(names, blocks, strict=True):
            shown = dict(row.split("=", 1) for row in block.splitlines() if "=" in row)
            unit = _full(name)
            if shown.get("Id") == unit and shown.get("LoadState") in {"loaded", "masked"}:
                found[name] = (shown.get("ActiveState", ""), states.get(unit, ""))
        return found

    def tell(self, question: Question, fact: tuple[str, ...]) -> Answer | None:
        """Tell the state, unless it is about to change or is told in another way."""
        active, enabled = fact
        state, codes = (active, ACTIVE) if question.facet == "is-active" else (enabled, ENABLED)
        return said(f"{state}\n", code=codes[state]) if state in codes else None

    def texts(self, kind: str, name: str) -> list[str]:
        """Return what `host.service(NAME)` may ask."""
        if kind != "service" or not NAME.fullmatch(name):
            return []
        return [f"systemctl is-active {name}", f"systemctl is-enabled {name}"]


def _full(name: str) -> str:
    """Return a unit's name with its suffix, which systemctl(1) adds where there is none."""
    return name if SUFFIX.fullmatch(name) else f"{name}.service"
