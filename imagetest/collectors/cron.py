"""What runs by the clock (crontab(5), anacrontab(5), at(1)); timers are told by `units`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from imagetest.collectors.discretion import discreet, masked
from imagetest.collectors.reading import Distinct, complaints, digest, excess, gap, legible, pairs, told
from imagetest.collectors.rules import normalised
from imagetest.model.plan import Scope
from imagetest.model.snapshot import Family, Gap, Part

SCRIPT = r"""
refused() {
    printf 'cron: %s: Permission denied\n' "$1" >&2
}
tables() {
    for folder in /etc/cron.d /var/spool/cron /var/spool/cron/crontabs /var/spool/cron/tabs /etc/crontabs \
        /var/spool/cron/atjobs /var/spool/cron/atspool /var/spool/at; do
        [ -d $folder ] && { [ -r $folder ] && [ -x $folder ] || refused $folder/; }
    done
    for file in /etc/crontab /etc/anacrontab /etc/cron.d/* /etc/crontabs/* /var/spool/cron/* \
        /var/spool/cron/crontabs/* /var/spool/cron/tabs/* /var/spool/cron/atjobs/* /var/spool/at/*; do
        [ -f "$file" ] || continue
        case $file in /var/spool/*) # cron follows no link there either: its owner is a user
            [ -L "$file" ] && { printf 'cron: %s: it is a link\n' "$file" >&2; continue; } ;;
        esac
        case $file in */.placeholder | */.SEQ) continue ;; esac
        [ -r "$file" ] || { refused "$file"; continue; }
        printf '%s\0' "$file"
        cat "$file"
        printf '\0'
    done
    return 0
}
ask tables tables
"""

VARIABLE = re.compile(r"""(["']?)(?P<name>[A-Za-z_]\w*)\1\s*=\s*(?P<value>.*)""")
JOBS = ("/var/spool/cron/atjobs/", "/var/spool/at/")
SYSTEM = ("/etc/crontab", "/etc/cron.d/")

Told = Iterator[tuple[str, dict[str, str]]]


class CronCollector:
    """One fact a line that runs something, one a variable that it is given, one a job that runs once."""

    name = "cron"

    def script(self, _scope: Scope) -> str:
        """Ask for every table; the scripts in /etc/cron.daily and its like are told by `files`."""
        return SCRIPT

    def read(self, parts: Mapping[str, Part]) -> Family:
        """Read the tables."""
        facts, gaps = Distinct(), list(gap(parts, "tables"))
        for name, content in pairs(told(parts, "tables")):
            file = legible(name)
            if why := excess(content):
                gaps.append(Gap(key=f"{file}: ", reason=why))
                continue
            for key, attributes in _job(content) if file.startswith(JOBS) else _table(file, content):
                facts.add(f"{file}: {key}", attributes)
        for path, why in sorted(complaints(told(parts, "tables")).denied.items()):
            key = legible(path)
            gaps.append(Gap(key=key if key.endswith("/") else f"{key}: ", reason=why))
        return normalised(self.name, "cron line", facts, gaps)


def _table(file: str, content: bytes) -> Told:
    for line in map(legible, content.split(b"\n")):
        text = line.replace("\\x09", " ").strip()
        if not text or text.startswith("#"):
            continue
        if found := VARIABLE.fullmatch(text):
            yield found["name"], {"value": masked(found["name"], found["value"].strip("\"'"))}
        elif file == "/etc/anacrontab":
            words = [*text.split(None, 3), "", "", ""][:4]
            yield discreet(words[3]), {"schedule": f"every {words[0]} days", "delay": words[1], "id": words[2]}
        else:
            yield _line(text, by_user=file.startswith(SYSTEM))


def _line(text: str, *, by_user: bool) -> tuple[str, dict[str, str]]:
    """Read a line of a crontab: five fields or a word that begins with @, a user in the system's own, a command."""
    times = 1 if text.startswith("@") else 5
    words = text.split(None, times + by_user)
    attributes = {"schedule": " ".join(words[:times])}
    if by_user:
        attributes["user"] = words[times] if len(words) > times else ""
    command = words[times + by_user] if len(words) > times + by_user else ""
    return discreet(command), attributes


def _job(content: bytes) -> Told:
    """Read a job of at(1): its commands stand behind the environment in which it was given."""
    head, found, body = content.rpartition(b"\n}\n")
    user = re.search(rb"^# atrun uid=(\d+)", head, re.MULTILINE)
    commands = "; ".join(map(legible, filter(None, body.splitlines()))) if found else digest(content)
    yield discreet(commands), {"schedule": "once", "user": f"uid {user[1].decode()}" if user else "unknown"}
