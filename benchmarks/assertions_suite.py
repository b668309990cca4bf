"""A suite of ordinary testinfra tests, one assertion each, about what a machine has; and the same checks for goss."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SHARES = {
    "package": 24, "file": 36, "content": 10, "service": 8, "sysctl": 6, "user": 6, "socket": 5, "command": 5
}  # fmt: skip
"""Of a hundred assertions."""

MODULE = 100
"""Tests in one module."""

WRONG = 50
"""Each fiftieth assertion expects what is not so."""

INVENTORY = r"""
part() { printf '\n== %s\n' "$1"; }
part package; dpkg-query -W -f '${db:Status-Status} ${Package} ${Version}\n' | sed -n 's/^installed //p'
part file; find /etc /usr /opt /srv /root -xdev -type f -printf '%p %m %u %g\n'
part content; find /etc -xdev -type f -size -8k -exec grep -HIm1 -oE '^[A-Za-z][A-Za-z_-]{3,}' {} +
part service; systemctl list-unit-files --type=service --no-legend --no-pager
part active; systemctl list-units --type=service --state=active --plain --no-legend --no-pager
part sysctl; sysctl -a 2>/dev/null
part user; getent passwd
part socket; ss -lntuH
part command; uname -r; uname -m
"""

PORTS = (23, 25, 53, 80, 111, 139, 443, 445, 631, 2049, 3306, 5432, 6379, 8080, 8443, 9090, 9200, 11211, 27017)


@dataclass(frozen=True, slots=True)
class Claim:
    """What may be asserted of a machine: of a kind and a name, that a property has a value."""

    kind: str
    name: str
    property: str
    value: Any


@dataclass(frozen=True, slots=True)
class Assertion:
    """One test; its number makes its name."""

    number: int
    claim: Claim
    fails: bool


def claims(said: str) -> set[Claim]:
    """Return all that may be asserted of the machine on which INVENTORY said this."""
    parts: dict[str, list[str]] = {}
    for part in said.split("\n== ")[1:]:
        name, _, rest = part.partition("\n")
        parts[name] = rest.splitlines()
    made = [reader(parts) for reader in READERS]
    return {claim for claim in itertools.chain(*made) if PLAIN.fullmatch(claim.name)}


PLAIN = re.compile(r"[\w ./:+@~-]+")
"""Names that need no quoting anywhere, so that nobody reads them differently."""

COUNTERS = re.compile(
    r"[._-]nr$|count|pid|random|state|quota|stat$|drop_caches|sched_domain|entropy|numa|boot_id|uuid|hostname"
)
"""Kernel parameters that move by themselves, or are called after the machine."""

Parts = dict[str, list[str]]


def _packages(parts: Parts) -> Iterator[Claim]:
    for line in parts["package"]:
        name, _, version = line.partition(" ")
        if version:
            yield Claim("package", name, "is_installed", value=True)
            yield Claim("package", f"{name}-absent", "is_installed", value=False)
            yield Claim("package", name, "version", version)


def _files(parts: Parts) -> Iterator[Claim]:
    for path, mode, user, group in (words for line in parts["file"] if len(words := line.split(" ")) == 4):  # noqa: PLR2004
        yield Claim("file", path, "exists", value=True)
        yield Claim("file", path, "mode", int(mode, 8))
        yield Claim("file", path, "user", user)
        yield Claim("file", path, "group", group)
        yield Claim("file", f"{path}.absent", "exists", value=False)


def _contents(parts: Parts) -> Iterator[Claim]:
    for line in parts["content"]:
        path, _, word = line.rpartition(":")
        yield Claim("content", path, "contains", word)


def _services(parts: Parts) -> Iterator[Claim]:
    active = {line.split()[0] for line in parts["active"] if line.strip()}
    for line in parts["service"]:
        unit, state, *_ = [*line.split(), "", ""]
        name = unit.removesuffix(".service")
        if state in {"enabled", "disabled"} and "@" not in name:
            yield Claim("service", name, "is_enabled", state == "enabled")
            yield Claim("service", name, "is_running", unit in active)


def _parameters(parts: Parts) -> Iterator[Claim]:
    said = [line.partition(" = ") for line in parts["sysctl"]]
    lines = Counter(name for name, _, _ in said)
    for name, _, value in said:
        if re.fullmatch(r"[\w.:/-]+", value) and lines[name] == 1 and not COUNTERS.search(name):
            yield Claim("sysctl", name, "value", int(value) if re.fullmatch(r"-?\d+", value) else value)


def _users(parts: Parts) -> Iterator[Claim]:
    for line in (line for line in parts["user"] if line.count(":") == 6):  # noqa: PLR2004 - as passwd(5) has it
        name, _, uid, gid, _, home, shell = line.split(":")
        for what, value in (("exists", True), ("uid", int(uid)), ("gid", int(gid)), ("home", home), ("shell", shell)):
            yield Claim("user", name, what, value)
        yield Claim("user", f"{name}-absent", "exists", value=False)
        yield Claim("command", f"id -u {name}", "output", uid)
        yield Claim("command", f"getent passwd {name}", "output", line)


def _sockets(parts: Parts) -> Iterator[Claim]:
    listening = {(words[0], words[4].rpartition(":")[2]) for line in parts["socket"] if len(words := line.split()) > 4}  # noqa: PLR2004
    for protocol, port, host in itertools.product(("tcp", "udp"), (22, *PORTS), ("0.0.0.0", "127.0.0.1")):  # noqa: S104
        yield Claim("socket", f"{protocol}://{host}:{port}", "is_listening", (protocol, str(port)) in listening)


def _commands(parts: Parts) -> Iterator[Claim]:
    release, machine = (line for line in parts["command"] if line)
    yield Claim("command", "uname -r", "output", release)
    yield Claim("command", "uname -m", "output", machine)


READERS: tuple[Callable[[Parts], Iterator[Claim]], ...] = (
    _packages, _files, _contents, _services, _parameters, _users, _sockets, _commands
)  # fmt: skip


def choose(known: set[Claim], count: int) -> list[Assertion]:
    """Return so many assertions, each kind its share, the same ones for the same machine.

    Where a machine has less to be asked about, claims come again, as they do in suites.
    """
    rows = {kind: itertools.cycle(_spread([one for one in known if one.kind == kind])) for kind in SHARES}
    wanted = {kind: count * share // 100 for kind, share in SHARES.items()}
    wanted["file"] += count - sum(wanted.values())
    chosen = [next(rows[kind]) for kind, some in wanted.items() for _ in range(some)]
    return [Assertion(number, one, fails=number % WRONG == WRONG - 1) for number, one in enumerate(chosen)]


def _spread(known: list[Claim]) -> list[Claim]:
    """Put claims into an order in which neighbours have nothing to do with each other."""
    ordered = sorted(known, key=lambda one: (one.name, one.property, str(one.value)))
    step = next(step for step in (613, 617, 619, 631) if len(ordered) % step)
    return [ordered[number * step % len(ordered)] for number in range(len(ordered))]


def expected(one: Assertion) -> Any:
    """Return what a test expects: what is so, or where it shall fail something else."""
    value = one.claim.value
    if not one.fails:
        return value
    return not value if isinstance(value, bool) else value + 1 if isinstance(value, int) else f"{value}-other"


EXPRESSIONS = {
    "content": "{value} in host.file({name}).content_string",
    "sysctl": "host.sysctl({name}) == {value}",
    "command": "host.check_output({name}) == {value}",
}


def expression(one: Assertion, name: str, value: str) -> str:
    """Return the assertion in Python, of a name and a value that are Python too."""
    pattern = EXPRESSIONS.get(one.claim.kind, f"host.{one.claim.kind}({{name}}).{one.claim.property} == {{value}}")
    return pattern.format(name=name, value=value)


def write(folder: Path, suite: list[Assertion], *, empty: bool = False) -> None:
    """Write the suite: modules of one kind each, of each property one half literally, the other parametrised.

    For every failure pytest reads the whole module once more, so that large modules would be what is measured.
    """
    folder.mkdir(parents=True)
    (folder / "pytest.ini").write_text("[pytest]\n")
    for kind in SHARES:
        mine = [one for one in suite if one.claim.kind == kind]
        for number, first in enumerate(range(0, len(mine), MODULE)):
            module = _module(mine[first : first + MODULE], empty=empty)
            (folder / f"test_{kind}{number}.py").write_text(module)


def _module(mine: list[Assertion], *, empty: bool) -> str:
    lines = ["import pytest", ""]
    for what in sorted({one.claim.property for one in mine}):
        some = [one for one in mine if one.claim.property == what]
        lines += [_literal(one, empty=empty) for one in some[::2]]
        lines += [_parametrised(some[1::2], empty=empty)]
    return "\n".join(lines)


def _body(statement: str, *, empty: bool) -> str:
    return "    pass" if empty else f"    assert {statement}"


def _literal(one: Assertion, *, empty: bool) -> str:
    statement = expression(one, repr(one.claim.name), repr(expected(one)))
    return f"\ndef test_a{one.number:05}(host):\n{_body(statement, empty=empty)}\n"


def _parametrised(some: list[Assertion], *, empty: bool) -> str:
    if not some:
        return ""
    rows = [f"    pytest.param({one.claim.name!r}, {expected(one)!r}, id='a{one.number:05}')," for one in some]
    body = _body(expression(some[0], "name", "value"), empty=empty)
    what = f"{some[0].claim.kind}_{some[0].claim.property}"
    decorator = ["\n@pytest.mark.parametrize(('name', 'value'), [", *rows, "])"]
    return "\n".join([*decorator, f"def test_{what}(host, name, value):", body, ""])


def goss(suite: list[Assertion]) -> str:
    """Return the same checks for goss, as JSON, which is YAML too; of claims that come twice, one.

    https://github.com/goss-org/goss/blob/master/docs/gossfile.md
    """
    found: dict[str, dict[str, dict[str, Any]]] = {section: {} for section in set(SECTIONS.values())}
    for one in suite:
        kind, value = one.claim.kind, expected(one)
        name = one.claim.name
        if kind == "socket":  # goss asks for a port, whatever the address
            name = re.sub("://.*:", ":", name)
        about = found[SECTIONS[kind]].setdefault(name, dict(ALWAYS.get(kind, {})))
        what = PROPERTIES.get(one.claim.property, one.claim.property)
        about[what] = f"{value:04o}" if what == "mode" else [value] if what in LISTS else value
    return json.dumps(found, indent=1)


SECTIONS = {
    "package": "package", "file": "file", "content": "file", "service": "service", "sysctl": "kernel-param",
    "user": "user", "socket": "port", "command": "command",
}  # fmt: skip
PROPERTIES = {
    "is_installed": "installed", "version": "versions", "user": "owner", "contains": "contents",
    "is_enabled": "enabled", "is_running": "running", "is_listening": "listening", "output": "stdout",
}  # fmt: skip
LISTS = {"versions", "contents", "stdout"}
ALWAYS: dict[str, dict[str, Any]] = {
    "package": {"installed": True}, "file": {"exists": True}, "content": {"exists": True}, "user": {"exists": True},
    "command": {"exit-status": 0},
}  # fmt: skip
"""What goss wants said whatever else is."""
