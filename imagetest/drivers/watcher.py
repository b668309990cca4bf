"""See what a machine that is cut off tries to reach: a program of its own, which needs the standard library alone.

Usage: python watcher.py PID MARK, as root

It enters the network namespace of a process whose environment holds MARK, routes everything there into an interface of
its own (TUN, https://docs.kernel.org/networking/tuntap.html), answers nothing, and notes where each packet was to go.
It says `ready` once that is so, and what it noted, as JSON on one line, for each line that it is sent; it ends with its
input. When it ends, the interface and its routes are gone.
"""

from __future__ import annotations

import ctypes
import fcntl
import ipaddress
import json
import os
import select
import signal
import socket
import struct
import sys
from pathlib import Path

CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000

INTERFACE = "outside"
OWN = ("192.0.2.1", "2001:db8::1")
"""Addresses that are nobody's (RFC 5737, RFC 3849): without one, a machine would not even try."""

NEWLINK, NEWADDR, NEWROUTE = 16, 20, 24
"""This and what follows is of rtnetlink(7) and linux/rtnetlink.h."""
REQUEST, ACK, EXCL, CREATE = 0x1, 0x4, 0x200, 0x400
NLMSG_ERROR = 2
IFF_UP = 0x1
IFA_ADDRESS, IFA_LOCAL, IFA_F_NODAD = 1, 2, 0x02
RTA_OIF = 4
MAIN_TABLE, BY_BOOT, UNICAST, LINK_SCOPE = 254, 3, 1, 253

TCP, UDP, IGMP, ICMPV6 = 6, 17, 2, 58
CHORES = {IGMP, ICMPV6}
"""What the kernel says by itself on every link."""
HOP_BY_HOP = 0
SYN, ACKNOWLEDGES = 0x02, 0x10
DNS_PORTS = {53, 5353, 5355}
DNS_HEADER = 12
LONGEST_PACKET = 65535

Attempt = dict[str, "str | int | None"]


def read(packet: bytes) -> Attempt | None:
    """Return where an IP packet was to go (RFC 791, RFC 8200); None for one that says nothing."""
    if not packet:
        return None
    try:
        return _read(packet)
    except (struct.error, IndexError, ValueError):
        return None  # cut short


def _read(packet: bytes) -> Attempt | None:
    if packet[0] >> 4 == 4:  # noqa: PLR2004 - the version of IP
        protocol, address, payload = packet[9], packet[16:20], packet[(packet[0] & 0x0F) * 4 :]
    else:
        protocol, address, payload = packet[6], packet[24:40], packet[40:]
        if protocol == HOP_BY_HOP:
            protocol, payload = payload[0], payload[(payload[1] + 1) * 8 :]
    if protocol in CHORES:
        return None
    found: Attempt = {
        "address": str(ipaddress.ip_address(address)),
        "protocol": str(protocol),
        "port": None,
        "name": "",
    }
    if protocol in {TCP, UDP}:
        found["protocol"] = "tcp" if protocol == TCP else "udp"
        (found["port"],) = struct.unpack_from("!H", payload, 2)
        if protocol == TCP and payload[13] & (SYN | ACKNOWLEDGES) != SYN:
            return None
        if found["port"] in DNS_PORTS:
            found["name"] = _question(payload[20 if protocol == TCP else 8 :]) if protocol == UDP else ""
    return found


def _question(message: bytes) -> str:
    """Return the first name that a message of DNS asks for (RFC 1035, 4.1.2)."""
    labels, at = [], DNS_HEADER
    while message[at]:
        labels.append(message[at + 1 : at + 1 + message[at]].decode("ascii", "backslashreplace"))
        at += message[at] + 1
    return ".".join(labels)


def _enter(pid: str, mark: str) -> None:
    if mark.encode() not in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
        raise OSError(f"process {pid} of this machine is not the one that is meant: the engine runs elsewhere")
    namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, CLONE_NEWNET):
        raise OSError(f"its network cannot be entered: {os.strerror(ctypes.get_errno())}")
    os.close(namespace)


def _open() -> int:
    tunnel = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tunnel, TUNSETIFF, struct.pack("16sH22x", INTERFACE.encode(), IFF_TUN | IFF_NO_PI))
    index = socket.if_nametoindex(INTERFACE)
    Path(f"/proc/sys/net/ipv6/conf/{INTERFACE}/disable_ipv6").write_text("0")
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as link:
        _ask(link, NEWLINK, struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, IFF_UP, IFF_UP))
        for family, address in zip((socket.AF_INET, socket.AF_INET6), OWN, strict=True):
            raw = socket.inet_pton(family, address)
            head = struct.pack("=BBBBI", family, len(raw) * 8, IFA_F_NODAD, 0, index)
            _ask(link, NEWADDR, head + _attribute(IFA_LOCAL, raw) + _attribute(IFA_ADDRESS, raw))
            scope = LINK_SCOPE if family == socket.AF_INET else 0
            head = struct.pack("=BBBBBBBBI", family, 0, 0, 0, MAIN_TABLE, BY_BOOT, scope, UNICAST, 0)
            _ask(link, NEWROUTE, head + _attribute(RTA_OIF, struct.pack("=I", index)))
    return tunnel


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", len(value) + 4, kind) + value  # every value here fills whole words


def _ask(link: socket.socket, kind: int, body: bytes) -> None:
    flags = REQUEST | ACK | (0 if kind == NEWLINK else CREATE | EXCL)
    link.send(struct.pack("=IHHII", len(body) + 16, kind, flags, 1, 0) + body)
    answer = link.recv(4096)
    (said,) = struct.unpack_from("=H", answer, 4)
    (error,) = struct.unpack_from("=i", answer, 16)
    if said == NLMSG_ERROR and error:
        raise OSError(-error, os.strerror(-error))


def _watch(tunnel: int) -> None:
    noted: dict[tuple[tuple[str, str | int | None], ...], int] = {}
    while True:
        ready, _, _ = select.select([tunnel, 0], [], [])
        if tunnel in ready:
            found = read(os.read(tunnel, LONGEST_PACKET))
            if found is not None:
                key = tuple(found.items())
                noted[key] = noted.get(key, 0) + 1
        elif not os.read(0, 4096):
            return
        else:
            _say(json.dumps([{**dict(key), "times": times} for key, times in noted.items()]))


def _say(line: str) -> None:
    os.write(1, line.encode() + b"\n")


def main() -> int:
    """Watch until the input ends; say why not, and end with 1, where that cannot be done."""
    pid, mark = sys.argv[1:]
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    try:
        _enter(pid, mark)
        tunnel = _open()
    except OSError as error:
        _say(str(error))
        return 1
    _say("ready")
    _watch(tunnel)
    return 0


if __name__ == "__main__":
    sys.exit(main())
