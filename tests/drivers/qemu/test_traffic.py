"""What a guest sent, read from recorded captures and from packets that were made for the purpose."""

from __future__ import annotations

import ipaddress
import struct
from pathlib import Path

import pytest

from imagetest.drivers.qemu import traffic
from imagetest.model.instance import Attempt

DATA = Path(__file__).parent / "data"
OWN = bytes.fromhex(traffic.MAC.replace(":", ""))
OTHER = bytes.fromhex("52550a000202")


def capture(*frames: bytes) -> bytes:
    head = traffic.HEADER.pack(traffic.MAGIC, 2, 4, 0, 0, 65535, 1)
    return head + b"".join(traffic.RECORD.pack(0, 0, len(one), len(one)) + one for one in frames)


def ethernet(payload: bytes, *, kind: int = traffic.IPV4, source: bytes = OWN) -> bytes:
    return traffic.ETHERNET.pack(OTHER, source, kind) + payload


def ip(payload: bytes, *, to: str, protocol: int, source: str = "10.0.2.15") -> bytes:
    addresses = ipaddress.ip_address(source).packed + ipaddress.ip_address(to).packed
    return struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0) + addresses + payload


def tcp(to: str, *, port: int = 443, own: int = 40000, flags: int = 0x02) -> bytes:
    return ip(struct.pack("!HHIIBBHHH", own, port, 0, 0, 0x50, flags, 0, 0, 0), to=to, protocol=6)


def udp(to: str, port: int, payload: bytes = b"", *, source: str = "10.0.2.15") -> bytes:
    return ip(struct.pack("!HHHH", 40000, port, 8 + len(payload), 0) + payload, to=to, protocol=17, source=source)


def question(name: str) -> bytes:
    labels = b"".join(bytes([len(one)]) + one.encode() for one in name.split("."))
    return bytes(12) + labels + b"\0\0\1\0\1"


def test_a_machine_with_a_network_and_no_ssh_server_refuses() -> None:
    found = traffic.read((DATA / "no-ssh.pcap").read_bytes())

    assert (found.addressed, found.refused) == (True, True)
    assert not traffic.read((DATA / "no-ssh.pcap").read_bytes(), port=2222).refused


@pytest.mark.parametrize("address", ["192.168.1.50", "169.254.7.9"])
def test_an_address_that_was_baked_in_or_made_up_is_none_of_the_network(address: str) -> None:
    asks = bytes(14) + ipaddress.ip_address(address).packed + bytes(10)
    found = traffic.read(capture(ethernet(asks, kind=traffic.ARP), ethernet(udp("1.2.3.4", 53, source=address))))

    assert (found.addressed, found.elsewhere) == (False, address)


def test_a_machine_without_a_network_never_has_an_address() -> None:
    found = traffic.read((DATA / "no-network.pcap").read_bytes())

    assert (found.addressed, found.refused) == (False, False)


@pytest.mark.parametrize(
    ("packet", "attempt"),
    [
        (tcp("93.184.216.34"), Attempt(address="93.184.216.34", protocol="tcp", port=443)),
        (udp("8.8.8.8", 123), Attempt(address="8.8.8.8", protocol="udp", port=123)),
        (
            udp("10.0.2.3", 53, question("time.example.com")),
            Attempt(address="10.0.2.3", protocol="udp", port=53, name="time.example.com"),
        ),
    ],
)
def test_what_was_to_go_outside_is_listed(packet: bytes, attempt: Attempt) -> None:
    frame = ethernet(packet)

    assert traffic.read(capture(frame)).attempts == (attempt,)
    assert traffic.read(capture(frame, frame, frame)).attempts[0].times == 3


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(ethernet(udp("255.255.255.255", 67, source="0.0.0.0")), id="dhcp"),  # noqa: S104 - not bound to
        pytest.param(ethernet(tcp("10.0.2.2", port=50000, own=22, flags=0x12)), id="ssh-answers"),
        pytest.param(ethernet(tcp("93.184.216.34", flags=0x10)), id="not-the-first"),
        pytest.param(ethernet(udp("224.0.0.251", 5353, question("web.local"))), id="mdns"),
        pytest.param(ethernet(tcp("93.184.216.34"), source=OTHER), id="not-the-guests"),
        pytest.param(ethernet(b"\0" * 28, kind=traffic.ARP), id="arp"),
        pytest.param(ethernet(b"\0" * 28, kind=0x88CC), id="lldp"),
        pytest.param(ethernet(b"\x45"), id="cut-off"),
        pytest.param(b"", id="empty"),
    ],
)
def test_what_stays_inside_is_not(frame: bytes) -> None:
    assert traffic.read(capture(frame)).attempts == ()


@pytest.mark.parametrize(
    ("frame", "addressed"),
    [
        (ethernet(udp("255.255.255.255", 67, source="0.0.0.0")), False),  # noqa: S104 - not bound to
        (ethernet(tcp("10.0.2.2", port=50000, own=22)), True),
        (ethernet(bytes(14) + bytes([10, 0, 2, 15]) + bytes(10), kind=traffic.ARP), True),
        (ethernet(bytes(28), kind=traffic.ARP), False),
    ],
)
def test_a_guest_has_an_address_once_it_speaks_with_one(frame: bytes, *, addressed: bool) -> None:
    assert traffic.read(capture(frame)).addressed == addressed


@pytest.mark.parametrize(
    ("flags", "own", "refused"), [(0x14, 22, True), (0x12, 22, False), (0x14, 80, False), (0x02, 22, False)]
)
def test_a_reset_from_the_ssh_port_is_a_refusal(flags: int, own: int, *, refused: bool) -> None:
    frame = ethernet(tcp("10.0.2.2", port=50000, own=own, flags=flags))

    assert traffic.read(capture(frame)).refused == refused


def test_no_capture_however_it_ends_is_an_error() -> None:
    whole = capture(ethernet(tcp("93.184.216.34")), ethernet(udp("10.0.2.3", 53, question("a.example"))))
    found = [traffic.read(whole[:length]) for length in range(len(whole) + 1)]

    assert [len(one.attempts) for one in found] == sorted(len(one.attempts) for one in found)
    assert len(found[-1].attempts) == 2
    assert traffic.read(b"\0" * 100) == traffic.Traffic()
