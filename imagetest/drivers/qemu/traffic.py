"""What a guest sent, read from the packets that QEMU noted: in libpcap's format, on Ethernet.

The format: https://datatracker.ietf.org/doc/draft-ietf-opsawg-pcap/. Addresses are those of QEMU's user-mode network.
"""

from __future__ import annotations

import ipaddress
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from imagetest.drivers import watcher
from imagetest.model.instance import Attempt

FILE = "packets.pcap"

LONGEST = 160
"""Bytes that are noted of a packet: its headers, and the name in a question to DNS."""

MAC = "52:54:00:12:34:56"

HEADER, RECORD, ETHERNET = struct.Struct("<IHHiIII"), struct.Struct("<IIII"), struct.Struct("!6s6sH")
MAGIC = 0xA1B2C3D4
IPV4, IPV6, ARP = 0x0800, 0x86DD, 0x0806

NETWORK = (ipaddress.ip_network("10.0.2.0/24"), ipaddress.ip_network("fec0::/64"))
NAME_SERVERS = {"10.0.2.3", "fec0::3"}
DHCP = {67, 547}

TCP, SSH, RST = 6, 22, 0x04

IPV4_BYTES = 4

SHORTEST = 20
"""Bytes of a header of IPv4: a guest may send less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What became of a guest's network."""

    addressed: bool = False
    """Whether it spoke with an address of the network that it was given."""
    elsewhere: str = ""
    """An address of another network with which it spoke: one that was baked in, or that it gave itself."""
    refused: bool = False
    """Whether it answered that nothing listens at its SSH server's port."""
    attempts: tuple[Attempt, ...] = ()
    """What it tried to reach outside."""


def read(capture: bytes, *, port: int = SSH) -> Traffic:
    """Return what a capture tells; one that is cut off tells what stands before."""
    spoke, refused, tried = set[ipaddress.IPv4Address](), False, Counter[Attempt]()
    for kind, payload in _sent(capture):
        own = payload[14:18] if kind == ARP else payload[12:16] if kind == IPV4 else b""
        if any(own) and len(own) == IPV4_BYTES:
            spoke.add(ipaddress.IPv4Address(own))
        if kind == ARP:
            continue
        refused = refused or _refuses(kind, payload, port)
        found = _attempt(watcher.read(payload))
        if found is not None:
            tried[found] += 1
    attempts = (Attempt(address=one.address, protocol=one.protocol, port=one.port, name=one.name, times=times)
                for one, times in tried.items())  # fmt: skip
    elsewhere = sorted(one for one in spoke if one not in NETWORK[0])
    return Traffic(
        addressed=len(elsewhere) < len(spoke), elsewhere=str(elsewhere[0]) if elsewhere else "", refused=refused,
        attempts=tuple(attempts),
    )  # fmt: skip


def _sent(capture: bytes) -> Iterator[tuple[int, bytes]]:
    """Give the type and the payload of each frame that the guest sent."""
    if len(capture) < HEADER.size or HEADER.unpack_from(capture)[0] != MAGIC:
        return
    own, at = bytes.fromhex(MAC.replace(":", "")), HEADER.size
    while at + RECORD.size <= len(capture):
        size = RECORD.unpack_from(capture, at)[2]
        frame = capture[at + RECORD.size : at + RECORD.size + size]
        at += RECORD.size + size
        if len(frame) > ETHERNET.size:
            _, source, kind = ETHERNET.unpack_from(frame)
            if source == own and kind in {IPV4, IPV6, ARP}:
                yield kind, frame[ETHERNET.size :]


def _refuses(kind: int, packet: bytes, port: int) -> bool:
    if kind != IPV4 or len(packet) < SHORTEST or packet[9] != TCP:
        return False
    segment = packet[(packet[0] & 0x0F) * 4 :]
    return len(segment) > 13 and struct.unpack_from("!H", segment)[0] == port and bool(segment[13] & RST)  # noqa: PLR2004 - the flags


def _attempt(found: dict[str, Any] | None) -> Attempt | None:
    """Return what was outside; the guest's own small network, and whatever is for all of a link, is not."""
    if found is None or found["port"] in DHCP:
        return None
    address = ipaddress.ip_address(found["address"])
    inside = any(address in one for one in NETWORK) or address.is_link_local or address.is_multicast
    if inside and not (found["name"] and found["address"] in NAME_SERVERS):
        return None
    return Attempt(**found)
