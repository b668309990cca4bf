"""An instance that is cut off reaches nothing, and what it tries to reach is known."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import docker
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagetest.drivers import watcher
from imagetest.drivers.docker import DockerDriver
from imagetest.drivers.docker.isolation import HOLDER
from imagetest.model.instance import Attempt
from imagetest.model.plan import BootPlan
from imagetest.testing.contracts import ask, ignore, make_access
from tests.dockyard import SYSTEMD, Dockyard
from tests.drivers.conftest import Boot

real = pytest.mark.docker
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can look into a container's network")

CONFIG = "exec 3<>/dev/tcp/198.51.100.7/8443"
SIXTH = "exec 3<>/dev/tcp/2001:db8:1::7/443"
TRIES = (
    f'RUN printf \'#!/bin/bash\\ntimeout 0.3 bash -c "{CONFIG}"; timeout 0.3 bash -c "{SIXTH}"\\n'
    "timeout 0.3 getent hosts config.example.com\\necho tried >/tried\\nexec sleep infinity\\n' >/start"
    " && chmod +x /start"
)


@real
@as_root
def test_what_an_instance_tries_to_reach_is_listed(dockyard: Dockyard, boot: Boot) -> None:
    image = dockyard.build("FROM {plain}", TRIES, 'CMD ["/start"]')
    with boot(image, network="none", ready="test -e /tried") as up:
        tried = up.boot.attempts

    assert {replace_times(one) for one in tried} == {
        Attempt(address="198.51.100.7", protocol="tcp", port=8443),
        Attempt(address="2001:db8:1::7", protocol="tcp", port=443),
        Attempt(address="192.0.2.53", protocol="udp", port=53, name="config.example.com"),
    }
    assert [str(one) for one in tried][-1] == "DNS for config.example.com at 192.0.2.53"
    assert up.boot.notes == ("nothing outside could be reached",)


def replace_times(one: Attempt) -> Attempt:
    return Attempt(address=one.address, protocol=one.protocol, port=one.port, name=one.name)


@real
def test_a_systemd_that_is_cut_off_comes_up_and_nothing_is_left_of_it(
    dockyard: Dockyard, driver: DockerDriver, engine: docker.APIClient, tmp_path: Path
) -> None:
    image = driver.identify(dockyard.build("FROM {machine}", SYSTEMD), name="web")
    resource = "imagetest-test-cut-off"
    plan = BootPlan(network="none", timeout=30)
    try:
        up = driver.boot(image, plan, resource=resource, access=make_access(tmp_path / "a"), progress=ignore)
        answer = ask(up, "hostname; ls /sys/class/net | grep -c eth")
        back = driver.restart(up, image, plan, access=make_access(tmp_path / "b"), progress=ignore)
        again = ask(back, "hostname; ls /sys/class/net | grep -c eth")
        back.close()
    finally:
        driver.destroy(resource)

    assert up.boot.reached_by == "gateway"
    assert answer == again == (1, b"web\n0\n", b"")
    assert any(one.name == "multi-user.target" for one in up.boot.timeline)
    assert [one for one in engine.containers(all=True) if one["Names"][0][1:] in {resource, resource + HOLDER}] == []


@real
def test_where_nobody_can_watch_the_kernel_still_counts(
    dockyard: Dockyard, boot: Boot, monkeypatch: pytest.MonkeyPatch, engine: docker.APIClient
) -> None:
    image = dockyard.build("FROM {plain}", TRIES, 'CMD ["/start"]')
    monkeypatch.setattr(os, "geteuid", lambda: 1000)  # what an ordinary user of the engine would be told
    with boot(image, network="none", ready="test -e /tried") as up:
        (note,) = up.boot.notes
        names = [one["Names"][0] for one in engine.containers(all=True)]

    assert up.boot.attempts == ()
    assert note.startswith("nothing outside could be reached; what it tried could not be listed: only root can look")
    assert int(note.rpartition("; ")[2].partition(" packets found no way out")[0]) >= 1
    assert not any(name.endswith(HOLDER) for name in names)


@real
@as_root
def test_another_process_than_the_one_that_is_meant_is_not_entered(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["watcher", str(os.getpid()), "IMAGETEST_HOLDER=nobody"])
    code = watcher.main()

    assert (code, "the engine runs elsewhere" in capfd.readouterr().out) == (1, True)


def udp(port: int, payload: bytes) -> bytes:
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28 + len(payload), 0, 0, 64, 17, 0, b"\xc0\x00\x02\x01", b"\x08" * 4)
    return head + struct.pack("!HHHH", 4242, port, 8 + len(payload), 0) + payload


def tcp(flags: int) -> bytes:
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, 0, 0, 64, 6, 0, b"\xc0\x00\x02\x01", b"\x08" * 4)
    return head + struct.pack("!HHIIBBHHH", 4242, 80, 0, 0, 0x50, flags, 0, 0, 0)


def test_only_the_first_packet_of_a_connection_is_an_attempt() -> None:
    found = [watcher.read(tcp(flags)) for flags in (0x02, 0x10, 0x12, 0x04)]

    assert found == [{"address": "8.8.8.8", "protocol": "tcp", "port": 80, "name": ""}, None, None, None]


@pytest.mark.parametrize(
    ("message", "name"),
    [
        (b"\0" * 12 + b"\4time\7example\3com\0\0\1\0\1", "time.example.com"),
        (b"\0" * 12 + b"\2\xffx\0\0\1\0\1", "\\xffx"),
    ],
)
def test_a_question_to_a_name_server_says_what_it_is_about(message: bytes, name: str) -> None:
    assert watcher.read(udp(53, message)) == {"address": "8.8.8.8", "protocol": "udp", "port": 53, "name": name}


def test_what_the_kernel_says_by_itself_is_no_attempt() -> None:
    sixth = struct.pack("!IHBB16s16s", 0x60000000, 8, 58, 255, b"\xfe" * 16, b"\xff" * 16) + b"\x85" + bytes(7)

    assert watcher.read(sixth) is None


@given(packet=st.binary(max_size=80))
def test_no_packet_stops_the_watcher(packet: bytes) -> None:
    found = watcher.read(packet)

    assert found is None or {"address", "protocol", "port", "name"} == found.keys()
