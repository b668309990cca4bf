"""Who listens where."""

from __future__ import annotations

from imagetest.collectors.listeners import ListenersCollector
from imagetest.model.snapshot import Family, Part
from tests.collectors.recorded import part, recorded

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
HOLDERS = "/proc/7/fd:\nlrwx------ 1 0 0 64 Nov 22 21:34 3 -> socket:[70]\nlrwx------ 1 0 0 64 x 4 -> 'socket:[71]'\n"


def row(local: str, state: str = "0A", uid: int = 0, inode: int = 70) -> str:
    return f"   0: {local} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000 {uid:5d} 0 {inode} 1 0 100\n"


def read(table: str, *rows: str, **instead: Part) -> Family:
    parts = {
        "tables": part(f"table {table}\n{HEAD}{''.join(rows)}"),
        "holders": part(HOLDERS),
        "names": part("/proc/7/comm:nginx\n"),
        "passwd": part("root:x:0:0::/:/bin/sh\nwww-data:x:33:33::/:/bin/sh\n"),
        "ephemeral": part("32768\t60999\n"),
    }
    return ListenersCollector().read(parts | instead)


def test_a_recorded_debian_tells_its_ssh_server_and_no_connection() -> None:
    found = ListenersCollector().read(recorded("listeners"))

    assert found.gaps == ()
    assert found.facts == {
        "tcp 0.0.0.0:22": {"user": "root", "process": "sshd"}, "tcp [::]:22": {"user": "root", "process": "sshd"},
    }  # fmt: skip


def test_loopback_is_told_apart_and_users_have_names() -> None:
    found = read("tcp", row("0100007F:1F90", uid=33)).facts

    assert found == {"tcp 127.0.0.1:8080": {"user": "www-data", "process": "nginx"}}


def test_ipv6_and_a_mapped_address_are_read() -> None:
    found = read(
        "tcp6", row("00000000000000000000000001000000:0050"), row("0000000000000000FFFF00000100007F:0051", inode=71)
    ).facts

    assert set(found) == {"tcp [::1]:80", "tcp 127.0.0.1:81"}


def test_the_machines_own_address_is_unique_to_it() -> None:
    found = read("tcp", row("020011AC:0050"))

    assert found.facts["tcp <own-address>:80"]["address"] == "<own-address>"
    assert list(found.unique["own-address"]) == ["tcp <own-address>:80"]


def test_a_udp_port_that_the_kernel_chose_is_known_by_its_process() -> None:
    assert list(read("udp", row("00000000:D431", "07")).facts) == ["udp 0.0.0.0:<ephemeral-port> nginx"]
    assert list(read("udp", row("00000000:0035", "07")).facts) == ["udp 0.0.0.0:53"]
    assert list(read("tcp", row("00000000:D431")).facts) == ["tcp 0.0.0.0:54321"]


def test_a_socket_of_nobody_is_the_kernels() -> None:
    assert read("tcp", row("00000000:0801", inode=99)).facts["tcp 0.0.0.0:2049"]["process"] == "the kernel"


def test_a_process_that_cannot_be_seen_is_a_gap_of_that_socket() -> None:
    denied = part(HOLDERS, stderr="ls: cannot open directory '/proc/1/fd': Permission denied", code=0)
    found = read("tcp", row("00000000:0050"), row("00000000:0051", inode=99), holders=denied)

    assert found.facts["tcp 0.0.0.0:80"]["process"] == "nginx"
    assert found.facts["tcp 0.0.0.0:81"] == {"user": "root"}
    assert [(one.key, one.attribute) for one in found.gaps] == [("tcp 0.0.0.0:81", "process")]


def test_dockers_name_server_is_not_the_machines() -> None:
    assert read("tcp", row("0B00007F:9C40", inode=99)).facts == {}
    assert list(read("tcp", row("0B00007F:9C40")).facts) == ["tcp 127.0.0.11:40000"]


def test_a_row_whose_numbers_are_none_is_no_socket() -> None:
    broken = row("00000000:0050").replace("    0 0 70", "    \0 0 70")

    assert read("tcp", broken).facts == {}
