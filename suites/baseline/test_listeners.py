"""What answers on the network."""

from __future__ import annotations

from testinfra.host import Host

from imagetest import control

LISTENING = {"tcp": "0A", "udp": "07"}
USUAL = frozenset({"tcp/22", "udp/68", "udp/546"})
"""SSH, and the two ports on which a machine asks for its own address."""
READ = 'for p in tcp tcp6 udp udp6; do if [ -e /proc/net/$p ]; then sed "1d;s/^/$p /" /proc/net/$p || exit; fi; done'


@control("network-known-listeners")
def test_only_what_is_declared_answers(host: Host, allowed: dict[str, frozenset[str]]) -> None:
    """Nothing can be reached from outside except what the project declares; loopback is inside."""
    rows = [line.split() for line in host.check_output(READ).splitlines()]
    outside = [row for row in rows if row[4] == LISTENING[row[0][:3]] and not _is_loopback(row[2])]
    found = {f"{row[0][:3]}/{int(row[2].split(':')[1], 16)}" for row in outside}
    unknown = sorted(found - USUAL - allowed["listeners"])

    assert not unknown, f"not declared: {unknown}"


def _is_loopback(local: str) -> bool:
    """Say whether an address of /proc/net, little-endian words in hex, is 127.0.0.0/8 or ::1, mapped or not."""
    address = local.partition(":")[0]
    mapped = address.removeprefix("0000000000000000FFFF0000")
    return address == "0" * 24 + "01000000" or (len(mapped) == len("0100007F") and mapped.endswith("7F"))
