"""Files whose content another collector reads in full: a change to one of them is told once, and by its meaning."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

UNIT = r"[^/]+\.(service|socket|timer|path|mount|automount|swap|target|slice)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """Files that a collector reads."""

    path: str
    """A regular expression for the whole path."""
    collector: str
    usual: tuple[str, ...] = ()
    """Type, mode, owner and group in one word each; a file that has them is no fact at all, since whether it is there
    is told by the collector too. One that has others is, so that a mode set by hand still shows."""


TABLE = (
    Elsewhere(path=r"/etc/(passwd|shadow|subuid|subgid)", collector="accounts"),
    Elsewhere(path=r"/etc/(group|gshadow)", collector="groups"),
    Elsewhere(path=r"(/.*)?/\.ssh/authorized_keys2?", collector="keys"),
    Elsewhere(path=r"/etc/sudoers", collector="sudo"),
    Elsewhere(path=r"/etc/sudoers\.d/[^/.]*[^/.~]", collector="sudo", usual=("file 0440 root root",)),
    Elsewhere(path=r"/etc/(crontab|anacrontab)", collector="cron"),
    Elsewhere(path=r"/etc/cron\.d/(?!\.placeholder)[^/]+", collector="cron", usual=("file 0644 root root",)),
    Elsewhere(path=r"/var/spool/cron/(crontabs/|tabs/)?[^/.]+", collector="cron"),
    Elsewhere(path=r"/var/spool/(cron/atjobs|at)/[^/.]+", collector="cron"),
    Elsewhere(path=r"/etc/(machine-id|hostname|os-release)", collector="kernel"),
    Elsewhere(path=r"/etc/ssh/sshd_config", collector="sshd"),
    Elsewhere(path=r"/etc/ssh/sshd_config\.d/[^/.]+\.conf", collector="sshd", usual=("file 0644 root root",)),
    Elsewhere(path=r"/etc/ssh/ssh_host_\w+_key(\.pub)?", collector="sshd"),
    Elsewhere(
        path=r"/etc/(locale\.conf|default/(locale|keyboard)|vconsole\.conf|timezone|localtime)", collector="locale"
    ),
    Elsewhere(path=r"/etc/environment", collector="environment"),
    Elsewhere(path=r"/etc/(default|sysconfig|conf\.d)/[^/]+", collector="environment", usual=("file 0644 root root",)),
    Elsewhere(
        path=rf"/etc/systemd/system/({UNIT}|{UNIT}\.d/[^/]+\.conf)", collector="units",
        usual=("file 0644 root root",),
    ),
    Elsewhere(
        path=rf"/etc/systemd/system/({UNIT}\.(wants|requires|upholds)/)?{UNIT}", collector="units",
        usual=("link root root",),
    ),
    Elsewhere(
        path=rf"/etc/systemd/system/{UNIT}\.(wants|requires|upholds|d)", collector="units",
        usual=("directory 0755 root root",),
    ),
    Elsewhere(path=r"/etc/rc[0-6S]\.d/[SK]\d\d.+", collector="units", usual=("link root root",)),
)  # fmt: skip
"""The order counts: of two that fit, both are asked."""

_COMPILED = tuple((re.compile(one.path), one) for one in TABLE)
_ANY = re.compile("|".join(f"(?:{one.path})" for one in TABLE))


def responsible(path: str, asked: Iterable[str]) -> list[Elsewhere]:
    """Return what is told of a file by the collectors that were asked."""
    if not _ANY.fullmatch(path):
        return []
    return [one for pattern, one in _COMPILED if one.collector in asked and pattern.fullmatch(path)]


def usual(attributes: Mapping[str, str]) -> str:
    """Return type, mode, owner and group of a file in one line."""
    return " ".join(attributes[name] for name in ("type", "mode", "owner", "group") if name in attributes)
