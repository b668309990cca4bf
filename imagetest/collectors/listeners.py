"""Sockets that wait for somebody, and the programs behind them (proc_net(5), proc_pid_fd(5))."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from imagetest.collectors.reading import complaints, gap, legible, refusal, rows, told
from imagetest.collectors.rules import normalised
from imagetest.model.plan import Scope
from imagetest.model.snapshot import Family, Gap, Part

SCRIPT = r"""
tables() {
    for table in tcp tcp6 udp udp6; do
        [ -e /proc/net/$table ] || continue
        echo "table $table"
        cat /proc/net/$table || return
    done
}
holders() {
    ls -l /proc/[0-9]*/fd | grep -e '^/proc' -e 'socket:'
}
names() {
    grep -H '' /proc/[0-9]*/comm
    return 0
}
ask tables tables
ask holders holders
ask names names
ask passwd cat /etc/passwd
ask ephemeral cat /proc/sys/net/ipv4/ip_local_port_range
"""

LISTENING, UNCONNECTED = "0A", "07"
"""States of TCP and UDP sockets that wait (include/net/tcp_states.h)."""


@dataclass(frozen=True, slots=True)
class Socket:
    """A row of the kernel's tables."""

    protocol: str
    address: str
    port: int
    uid: str
    inode: str


class ListenersCollector:
    """One fact an address and port at which somebody listens: the program's name and the user."""

    name = "listeners"

    def script(self, _scope: Scope) -> str:
        """Ask the kernel, as ss(8) would, which not every machine has."""
        return SCRIPT

    def read(self, parts: Mapping[str, Part]) -> Family:
        """Read who listens; an ordinary user sees of others' sockets only that they are there."""
        holders = _holders(told(parts, "holders"), told(parts, "names"))
        blind = bool(complaints(told(parts, "holders")).denied) or "holders" not in parts
        users = {row[2]: row[0] for row in rows(told(parts, "passwd"), 7, b":")}
        first, last = _range(told(parts, "ephemeral"))
        facts: dict[str, dict[str, str]] = {}
        unseen: dict[str, None] = {}
        for socket in _sockets(told(parts, "tables")):
            process = holders.get(socket.inode, "")
            key, attributes = _fact(socket, process, ephemeral=first <= socket.port <= last)
            attributes["user"] = users.get(socket.uid, f"uid {socket.uid}")
            if process or not blind:
                attributes["process"] = process or "the kernel"
            else:
                unseen[key] = None
            _add(facts, key, attributes)
        gaps = [*gap(parts, "tables"), *gap(parts, "ephemeral"), *gap(parts, "passwd", attribute="user")]
        gaps += [Gap(key=key, attribute="process", reason="Permission denied") for key in unseen]
        gaps += [Gap(attribute="process", reason=why)] if (why := _unseeing(parts)) else []
        return normalised(self.name, "listener", _without_engine(facts), gaps)


def _unseeing(parts: Mapping[str, Part]) -> str:
    """Return why no process at all could be named; grep(1) says 1 when there is no socket, ls(1) when one vanished."""
    return refusal(parts, "holders", accepted=frozenset({0, 1})) or refusal(parts, "names")


def _fact(socket: Socket, process: str, *, ephemeral: bool) -> tuple[str, dict[str, str]]:
    """Return where it listens; a UDP port that the kernel chose by itself is no more than that."""
    port = str(socket.port)
    if ephemeral and socket.protocol == "udp":
        port = f"<ephemeral-port> {process}".strip()
    address = ipaddress.ip_address(socket.address)
    mapped = getattr(address, "ipv4_mapped", None)
    if (mapped or address).is_unspecified or (mapped or address).is_loopback:
        shown = f"[{address}]" if address.version == 6 and not mapped else str(mapped or address)  # noqa: PLR2004
        return f"{socket.protocol} {shown}:{port}", {}
    return f"{socket.protocol} <own-address>:{port}", {"address": str(mapped or address)}


def _add(facts: dict[str, dict[str, str]], key: str, attributes: dict[str, str]) -> None:
    """Add a fact; several sockets with one address, as of several processes, are one."""
    known = facts.get(key)
    if known is None:
        facts[key] = attributes
    elif known != attributes:
        words = {name: sorted({*known.get(name, "").split(", "), attributes.get(name, "")} - {""}) for name in (
            {*known, *attributes})}  # fmt: skip
        facts[key] = {name: ", ".join(values) for name, values in words.items()}


def _without_engine(facts: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    """Leave out Docker's own name server, which is in a container's network and in no process of it."""
    return {
        key: attributes for key, attributes in facts.items()
        if not (re.fullmatch(r"(tcp|udp) 127\.0\.0\.11:.*", key) and attributes.get("process") == "the kernel")
    }  # fmt: skip


def _sockets(part: Part) -> Iterator[Socket]:
    table = ""
    for line in part.stdout.decode("ascii", "replace").splitlines():
        words = line.split()
        if words[:1] == ["table"]:
            table = words[-1]
        elif len(words) > 9 and words[3] == (LISTENING if table.startswith("tcp") else UNCONNECTED):  # noqa: PLR2004
            address, _, port = words[1].partition(":")
            numbers = all(re.fullmatch(r"[0-9]{1,20}", word) for word in (words[7], words[9]))
            if (
                numbers
                and re.fullmatch(r"[0-9A-F]{8}([0-9A-F]{24})?", address)
                and re.fullmatch(r"[0-9A-F]{1,4}", port)
            ):
                yield Socket(table.removesuffix("6"), _address(address), int(port, 16), words[7], words[9])


def _address(field: str) -> str:
    """Return an address of the kernel's table, where each word of 32 bits has the byte order of little machines."""
    raw = b"".join(bytes.fromhex(field[at : at + 8])[::-1] for at in range(0, len(field), 8))
    return str(ipaddress.ip_address(raw))


def _holders(listing: Part, names: Part) -> dict[str, str]:
    """Return the names of the processes that hold a socket, by its inode."""
    comm = dict(re.findall(rb"^/proc/(\d+)/comm:(.*)$", names.stdout, re.MULTILINE))
    found: dict[str, set[str]] = {}
    pid = b""
    for line in listing.stdout.split(b"\n"):
        if heading := re.fullmatch(rb"/proc/(\d+)/fd:", line):
            pid = heading[1]
        elif (socket := re.search(rb"socket:\[(\d+)\]", line)) and pid in comm:
            found.setdefault(socket[1].decode(), set()).add(legible(comm[pid]))
    return {inode: ", ".join(sorted(held)) for inode, held in found.items()}


def _range(part: Part) -> tuple[int, int]:
    numbers = [int(word) for word in part.stdout.split()[:2] if word.isdigit() and len(word) < 7]  # noqa: PLR2004
    return (numbers[0], numbers[1]) if len(numbers) > 1 else (32768, 60999)
