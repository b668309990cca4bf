"""Machines that make it hard: strange names, chatty shells, refusals, missing and mad tools, and silence."""

from __future__ import annotations

import os
import re
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from imagetest.errors import MachineLostError
from imagetest.model.snapshot import Family, Snapshot
from imagetest.policy.drift import compare
from imagetest.transport.batch import PART_LIMIT
from tests.collectors.conftest import Boots
from tests.collectors.machines import Machine
from tests.dockyard import Dockyard, install
from tests.drivers.images import INIT, STAYS, server

pytestmark = pytest.mark.docker

ALICE = "RUN useradd -m -s /bin/bash alice"


def family(snapshot: Snapshot, name: str) -> Family:
    found = snapshot.family(name)
    assert found is not None
    return found


def gaps(snapshot: Snapshot, name: str) -> set[tuple[str, str, str]]:
    return {(one.key, one.attribute, one.reason) for one in family(snapshot, name).gaps}


# -- what an ordinary user cannot read


def test_an_ordinary_user_is_told_what_nobody_could_read(login: Machine) -> None:
    login.run("mkdir -p /etc/closed /etc/ssl/x && echo secret >/etc/closed/x && chmod 0700 /etc/closed")
    login.run(
        "echo secret >/etc/hidden && chmod 0600 /etc/hidden; echo x >/etc/cron.d/hidden; chmod 0600 /etc/cron.d/*"
    )
    snapshot = login.snapshot()

    assert snapshot.user == "alice"
    files = gaps(snapshot, "files")
    assert {("/root/", "", "Permission denied"), ("/etc/closed/", "", "Permission denied")} <= files
    assert ("/etc/hidden", "content", "Permission denied") in files
    assert family(snapshot, "files").facts["/etc/hidden"]["mode"] == "0600"
    assert "/etc/closed" in family(snapshot, "files").facts
    assert {one[1] for one in gaps(snapshot, "accounts")} == {"password", "ageing"}
    assert {one[1] for one in gaps(snapshot, "groups")} == {"administrators", "password"}
    assert ("root/", "", "Permission denied") in gaps(snapshot, "keys")
    assert ("tcp 0.0.0.0:22", "process", "Permission denied") in gaps(snapshot, "listeners")
    assert family(snapshot, "listeners").facts["tcp 0.0.0.0:22"] == {"user": "root"}
    assert ("/etc/cron.d/hidden: ", "", "Permission denied") in gaps(snapshot, "cron")
    assert [one[0] for one in gaps(snapshot, "sshd")] == [""]
    assert "process 1: " in {one[0] for one in gaps(snapshot, "environment")}
    assert any(key.startswith("net.ipv4.tcp_fastopen_key") for key, _, _ in gaps(snapshot, "sysctl"))


def test_what_a_user_sees_is_what_root_sees_but_for_the_gaps(dockyard: Dockyard, boots: Boots) -> None:
    image = dockyard.build(*server(ALICE))
    with boots(image) as one, boots(image, user="alice") as other:
        drift = compare(one.snapshot(), other.snapshot(), now=datetime.now(UTC))

    assert drift.differences == ()
    assert drift.compared > 1000
    assert drift.unread


# -- nothing is changed


def test_a_snapshot_leaves_nothing_on_the_machine(dockyard: Dockyard, boots: Boots) -> None:
    with boots(dockyard.build(*server(ALICE)), user="alice") as up:
        up.snapshot("packages")  # the first login leaves its traces, whoever it is
        before = {one["Path"] for one in up.container.diff()}
        up.snapshot()
        up.snapshot(listed=("/",), changed_since=1.0)
        after = {one["Path"] for one in up.container.diff()}

    assert before == after


# -- names


NAMES = {
    "new\nline": r"new\x0aline",
    "tab\there": r"tab\x09here",
    "back\\slash": "back\\\\slash",
    "bytes\udcff\udc80": r"bytes\xff\x80",
    "-dash": "-dash",
    "quote'\"`$(true)": "quote'\"`$(true)",
    "  blanks  ": "  blanks  ",
    "grün": "grün",
    "* [a]?": "* [a]?",
}


def test_files_of_any_name_are_facts_with_their_content(login: Machine, dockyard: Dockyard, boots: Boots) -> None:
    with boots(dockyard.build(*server(ALICE))) as up:
        for name in NAMES:
            octal = "".join(f"\\{byte:03o}" for byte in os.fsencode(name))
            up.run(f"""name=$(printf '{octal}.'); name=${{name%.}}; mkdir -p "/srv/d$name"; echo x >"/srv/$name"
                ln -s -- "$name" "/srv/l$name"; chmod 0700 "/srv/d$name"; echo y >"/srv/d$name/$name" """)
        found = family(up.snapshot("files", roots=("/srv",)), "files")

    for name in NAMES.values():
        assert re.fullmatch("2 bytes, sha256 [0-9a-f]{64}", found.facts[f"/srv/{name}"]["content"]), name
        assert found.facts[f"/srv/d{name}/{name}"]["type"] == "file"
        assert found.facts[f"/srv/l{name}"]["target"] == name
    assert found.gaps == ()
    assert login.container.id


def test_folders_of_any_name_that_are_closed_are_gaps_of_that_name(login: Machine) -> None:
    for name in NAMES:
        octal = "".join(f"\\{byte:03o}" for byte in os.fsencode(name))
        login.run(f"""name=$(printf '{octal}.'); mkdir -p -m 0700 "/srv/${{name%.}}" """)

    found = family(login.snapshot("files", roots=("/srv",)), "files")

    for name in NAMES.values():
        assert any(one.covers(f"/srv/{name}/anything") for one in found.gaps), name
    assert not any(one.key in {"", "/", "/srv/"} for one in found.gaps)


# -- shells and sudo


def test_a_login_shell_that_talks_is_not_listened_to(dockyard: Dockyard, boots: Boots) -> None:
    chatty = "RUN for f in /etc/bash.bashrc /home/alice/.bashrc; do sed -i '1i echo WELCOME; echo BEWARE >&2' $f; done"
    with boots(dockyard.build(*server(ALICE, chatty)), user="alice") as up:
        snapshot = up.snapshot("packages", "accounts")

    assert len(family(snapshot, "packages").facts) > 50
    assert "alice" in family(snapshot, "accounts").facts
    assert "WELCOME" not in repr(snapshot)


@pytest.fixture(scope="module")
def with_sudo(dockyard: Dockyard, boots: Boots) -> Iterator[Machine]:
    lines = (install("sudo", "cron", "at"), ALICE, "RUN echo alice:secret1 | chpasswd")
    with boots(dockyard.build(*server(*lines)), user="alice") as up:
        yield up


def test_sudo_that_asks_for_a_password_is_one_clear_line(with_sudo: Machine) -> None:
    with_sudo.run("echo 'alice ALL=(ALL) ALL' >/etc/sudoers.d/alice; chmod 0440 /etc/sudoers.d/alice")
    with pytest.raises(MachineLostError, match=r"'web' did not tell its state: sudo: a password is required") as caught:
        with_sudo.snapshot(sudo=True)

    assert "NOPASSWD" in caught.value.hint


def test_sudo_that_asks_for_nothing_reads_everything(with_sudo: Machine) -> None:
    with_sudo.run("echo 'alice ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/alice; chmod 0440 /etc/sudoers.d/alice")
    snapshot = with_sudo.snapshot(sudo=True)

    assert snapshot.user == "root"
    assert "alice ALL=(ALL) NOPASSWD: ALL" in family(snapshot, "sudo").facts
    assert family(snapshot, "accounts").facts["alice"]["password"].startswith("set, yescrypt, since 20")
    assert family(snapshot, "listeners").facts["tcp 0.0.0.0:22"]["process"] == "sshd"
    assert not [one for found in snapshot.families for one in found.gaps]
    assert "secret1" not in repr(snapshot)


def test_root_needs_no_sudo(machine: Machine) -> None:
    assert machine.snapshot("packages", sudo=True).user == "root"


def test_without_sudo_it_is_said_that_there_is_none(login: Machine) -> None:
    with pytest.raises(MachineLostError, match="sudo: not found"):
        login.snapshot(sudo=True)


# -- tools


MISSING = {
    "dpkg-query": "packages", "dpkg": "package-files", "find": "files", "sha256sum": "files", "systemctl": "units",
    "grep": "sysctl",
}  # fmt: skip


@pytest.mark.parametrize("tool", MISSING)
def test_a_tool_that_is_missing_is_a_gap_of_its_family(dockyard: Dockyard, boots: Boots, tool: str) -> None:
    with boots(dockyard.build(*INIT)) as up:
        up.run(f"rm $(readlink -f $(command -v {tool}))")
        snapshot = up.snapshot()

    assert family(snapshot, MISSING[tool]).gaps
    assert family(snapshot, "accounts").facts
    assert family(snapshot, "accounts").gaps == ()


def test_a_tool_that_says_100_mb_is_cut_off_and_the_others_are_whole(dockyard: Dockyard, boots: Boots) -> None:
    mad = (
        "RUN printf '#!/bin/sh\\nyes | head -c 100000000\\n' >/usr/local/bin/dpkg-query "
        "&& chmod +x /usr/local/bin/dpkg-query"
    )
    with boots(dockyard.build(*server(mad))) as up:
        tracemalloc.start()
        snapshot = up.snapshot()
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert gaps(snapshot, "packages") == {("", "", "it said more than 16 MiB")}
    assert {one.name for one in snapshot.families if one.gaps} == {"packages"}
    assert len(family(snapshot, "sysctl").facts) > 100
    assert PART_LIMIT < most < 6 * PART_LIMIT


def test_a_machine_whose_every_tool_is_mad_is_given_up(dockyard: Dockyard, boots: Boots) -> None:
    mad = "RUN printf '#!/bin/sh\\nexec yes\\n' >/usr/local/bin/head && chmod +x /usr/local/bin/head"
    with boots(dockyard.build(*server(mad))) as up, pytest.raises(MachineLostError, match="more of its state than"):
        up.snapshot(timeout=240)


# -- silence


def test_a_machine_that_stops_answering_in_the_middle_is_lost(dockyard: Dockyard, boots: Boots) -> None:
    stuck = (
        "RUN printf '#!/bin/sh\\ntouch /stuck; exec sleep 1000\\n' >/usr/local/bin/dpkg-query "
        "&& chmod +x /usr/local/bin/dpkg-query"
    )
    with (
        boots(dockyard.build(*server(stuck))) as up,
        pytest.raises(MachineLostError, match="'web' did not tell its state within 2 seconds"),
    ):
        up.snapshot(timeout=2)


def test_a_machine_that_is_frozen_in_the_middle_is_lost(dockyard: Dockyard, boots: Boots) -> None:
    slow = (
        "RUN printf '#!/bin/sh\\ntouch /begun; exec sleep 1000\\n' >/usr/local/bin/dpkg-query "
        "&& chmod +x /usr/local/bin/dpkg-query"
    )
    with boots(dockyard.build(*server(slow))) as up, ThreadPoolExecutor(max_workers=1) as pool:
        asked = pool.submit(up.snapshot, timeout=8)
        up.run("until [ -e /begun ]; do sleep 0.05; done")
        answering = not asked.done()
        up.container.pause()
        try:
            error = asked.exception(timeout=60)
        finally:
            up.container.unpause()

    assert answering
    assert isinstance(error, MachineLostError)
    assert "'web' did not tell its state within 8 seconds" in str(error)


# -- almost nothing there


@pytest.fixture(scope="module")
def busybox(dockyard: Dockyard, boots: Boots) -> Iterator[Machine]:
    """Give a machine of nothing but busybox, without so much as a list of accounts."""
    lines = (
        "FROM {plain} AS built", install("busybox-static"), "FROM scratch",
        "COPY --from=built /bin/busybox /bin/busybox", 'RUN ["/bin/busybox", "--install", "-s", "/bin"]',
        "RUN mkdir -p /etc /root /tmp /proc; echo root:x:0:0::/root:/bin/sh >/etc/passwd; echo root:x:0: >/etc/group",
        STAYS,
    )  # fmt: skip
    with boots(dockyard.build(*lines)) as up:
        yield up


def test_a_machine_of_nothing_but_busybox_tells_what_there_is(busybox: Machine) -> None:
    busybox.run("""echo x >/etc/plain; printf 'y' >"/etc/new
line"; ln -s plain /etc/link; chmod 4711 /etc/plain""")
    snapshot = busybox.snapshot()

    facts = family(snapshot, "files").facts
    assert facts["/etc/plain"]["mode"] == "4711"
    assert re.fullmatch("2 bytes, sha256 [0-9a-f]{64}", facts["/etc/plain"]["content"])
    assert facts["/etc/link"]["target"] == "plain"
    assert facts[r"/etc/new\x0aline"]["type"] == "file"
    assert family(snapshot, "accounts").facts["root"]["home"] == "/root"
    assert len(family(snapshot, "sysctl").facts) > 100
    for name in ("packages", "package-files", "units", "sshd", "sudo", "cron"):
        assert (dict(family(snapshot, name).facts), family(snapshot, name).gaps) == ({}, ()), name
    assert gaps(snapshot, "files") == {
        ("", "capabilities", "neither perl nor getcap is there"),
        (r"/etc/new\x0aline", "content", "it could not be read"),
    }  # fmt: skip


def test_two_looks_at_busybox_are_equal(busybox: Machine) -> None:
    drift = compare(busybox.snapshot(), busybox.snapshot(), now=datetime.now(UTC))

    assert drift.differences == ()
    assert drift.compared > 100
