"""What one command tells of all names reads, for each, as the answer that its own command gives: byte for byte."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagetest.drivers.docker import DockerDriver
from imagetest.transport.questions.ahead import errands
from imagetest.transport.questions.families import FAMILIES, Facts
from imagetest.transport.questions.families.contents import Contents
from imagetest.transport.questions.families.packages import Packages
from imagetest.transport.questions.sudo import wrap
from imagetest.transport.shell import Answer, Shell
from tests.collectors.machines import Machine, booted
from tests.dockyard import Dockyard
from tests.drivers.images import INIT, server

SECONDS = 30.0

ODD = [
    "/etc", "/nowhere", "/etc/passwd/below", "/etc/shadow", "/bin", "/tmp/a b", "/tmp/it's", "/tmp/-x", "/tmp/grün",
    "/tmp/dangling", "/tmp/fifo", "/tmp/caf\udce9", "/run/systemd/private", "/root", "/tmp/tab\there",
]  # fmt: skip

PREPARE = """
cd /tmp
for name in 'a b' "it's" -x grün "$(printf 'caf\\351')" "$(printf 'tab\\there')"; do echo x >"./$name"; done
ln -s nowhere dangling; mkfifo fifo; useradd -M ghost; echo 'ghost:x' >>/etc/subuid
systemctl mask cron.service 2>/dev/null || true
ln -s /lib/systemd/system/systemd-journald.service /etc/systemd/system/journal-alias.service
printf '[Service]\\nExecStart=/bin/false\\n' >/etc/systemd/system/broken.service
wanted='[Install]\\nWantedBy=multi-user.target\\n'
printf "[Service]\\nExecStart=/bin/sleep infinity\\n$wanted" >/etc/systemd/system/up.service
systemctl daemon-reload; systemctl start up; systemctl start broken; systemctl enable up 2>/dev/null; sleep 0.3
"""


@pytest.fixture(scope="module")
def driver() -> Iterator[DockerDriver]:
    made = DockerDriver()
    yield made
    made.close()


@pytest.fixture(scope="module")
def prepared(driver: DockerDriver, dockyard: Dockyard, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """Give a machine with systemd, on which there is something of everything."""
    with booted(driver, dockyard.build(*INIT), tmp_path_factory.mktemp("machine")) as machine:
        machine.run(PREPARE)
        yield machine


@pytest.fixture
def login(driver: DockerDriver, dockyard: Dockyard, tmp_path: Path) -> Iterator[Machine]:
    """Give a machine on which an ordinary user asks."""
    with booted(
        driver, dockyard.build(*server("RUN useradd -m -s /bin/bash alice")), tmp_path, user="alice"
    ) as machine:
        yield machine


@pytest.fixture(scope="module")
def shell(prepared: Machine) -> Iterator[Shell]:
    opened = Shell(prepared.transport)
    yield opened
    opened.close()


def told_ahead(shell: Shell, questions: list[str]) -> dict[str, Answer]:
    found: dict[str, Answer] = {}
    asked = errands(questions)
    for errand, answer in zip(asked, shell.run_all([one.command for one in asked], timeout=SECONDS), strict=True):
        found |= errand.answers(answer)
    return found


def texts(kind: str, names: list[str]) -> list[str]:
    return [text for name in names for family in FAMILIES for text in family.texts(kind, name)]


def assert_alike(shell: Shell, questions: list[str], *, at_least: float) -> None:
    """Ask ahead, then each by itself; `at_least` is the share that must have been answered ahead."""
    ahead = told_ahead(shell, questions)
    direct = dict(zip(questions, shell.run_all(questions, timeout=SECONDS), strict=True))

    assert {text: answer for text, answer in ahead.items() if direct[text] != answer} == {}
    assert len(ahead) >= at_least * len(set(questions))


@pytest.mark.docker
def test_packages_installed_removed_absent_and_strange(shell: Shell, prepared: Machine) -> None:
    names = prepared.run("dpkg-query -W -f '${Package}\\n'").split()

    assert_alike(shell, texts("package", [*names, "absent", "lib", "libc6", "awk", "mail-transport-agent"]), at_least=1)


def test_what_dpkg_warns_of_stands_in_each_answer_of_its_own() -> None:
    warned = b"dpkg-query: warning: parsing file '/var/lib/dpkg/status' near line 9 package 'web'\n"
    absent = b"dpkg-query: no packages found matching absent\n"
    row = b"bash\tinstall ok installed\t5.2\n"
    packages = Packages()

    assert set(packages.facts(Answer(exit_code=1, stdout=row, stderr=absent), ["bash", "absent"])) == {"bash", "absent"}
    assert packages.facts(Answer(exit_code=0, stdout=row, stderr=warned), ["bash"]) == {}


@pytest.mark.docker
def test_files_of_every_kind(shell: Shell, prepared: Machine) -> None:
    """Of one that is not there, stat says so itself; a tab in a name is not asked together."""
    names = [name for name in prepared.run("find /etc -maxdepth 2").splitlines() if name != "/etc/mtab"][:150]

    assert_alike(shell, texts("file", [*names, *ODD]), at_least=0.9)


@pytest.mark.docker
def test_a_path_that_the_shell_completes_is_left_to_the_shell(shell: Shell) -> None:
    questions = ["test -f /etc/host*name", "test -d /et?", "stat -Lc %a /etc/passw?", "test -e '/etc/passw?'"]

    assert_alike(shell, questions, at_least=0)


@pytest.mark.docker
def test_units_in_every_state(shell: Shell, prepared: Machine) -> None:
    """Aliases, units that are not there and such as are on their way say it themselves."""
    listed = prepared.run("systemctl list-unit-files --no-legend --plain | cut -d' ' -f1").split()
    bare = [name.removesuffix(".service") for name in listed if name.endswith(".service")]

    assert_alike(shell, texts("service", [*listed, *bare[:20], "absent", "up", "broken", "getty@tty1"]), at_least=0.6)


@pytest.mark.docker
def test_a_unit_that_is_enabled_by_a_link_alone_is_enabled_at_once(shell: Shell, prepared: Machine) -> None:
    """What runs is loaded, and systemd goes on saying that it was not enabled until somebody has it reload."""
    unit = "[Install]\\nWantedBy=multi-user.target\\n[Service]\\nExecStart=/bin/sleep infinity\\n"
    prepared.run(f"printf '{unit}' >/etc/systemd/system/a.service; systemctl start a")
    assert_alike(shell, texts("service", ["a"]), at_least=1)
    prepared.run("systemctl show -p UnitFileState a; ln -s ../a.service /etc/systemd/system/multi-user.target.wants/")

    assert_alike(shell, texts("service", ["a"]), at_least=1)


@pytest.mark.docker
def test_users_and_groups(shell: Shell, prepared: Machine) -> None:
    users = prepared.run("cut -d: -f1 /etc/passwd").split()
    groups = prepared.run("cut -d: -f1 /etc/group").split()
    shadow = [f"getent shadow {name}" for name in [*users, "nobody-here"]]

    asked = texts("user", [*users, "nobody-here"]) + texts("group", [*groups, "no-group"]) + shadow
    assert_alike(shell, asked, at_least=0.98)


@pytest.mark.parametrize("names", [("app", "ghost", "web"), ("root", "ghost", "web")])
def test_of_a_getent_that_stops_at_the_first_that_is_not_there_only_what_it_said_counts(names: tuple[str, ...]) -> None:
    """As Alpine's does (NetBSD's getent.c leaves its loop), while glibc's goes on to the last."""
    (errand,) = errands([f"getent passwd {name}" for name in names])
    said = Answer(exit_code=2, stdout=f"{names[0]}:x:1:1::/:/bin/sh\n".encode(), stderr=b"")

    assert errand.answers(said) == {
        f"getent passwd {names[0]}": Answer(exit_code=0, stdout=said.stdout, stderr=b""),
    }


@pytest.mark.docker
def test_kernel_parameters(shell: Shell, prepared: Machine) -> None:
    """Those of several lines and those that nobody may read say it themselves; what moves is not asked ahead."""
    names = prepared.run("sysctl -aN 2>/dev/null").split()
    steady = [name for name in names if not name.startswith(("kernel.sched", "kernel.random", "vm.stat", "dev."))][:400]

    assert_alike(shell, [f"/usr/sbin/sysctl -n {name}" for name in [*steady, "no.such"]], at_least=0.8)


@pytest.mark.docker
def test_an_ordinary_user_and_one_behind_sudo(login: Machine) -> None:
    """What may not be read has no answer ahead of time, or the very refusal."""
    shell = Shell(login.transport)
    files = texts("file", ["/etc/shadow", "/root/x", "/etc/passwd"])
    questions = [*files, "cat -- /etc/shadow", "getent shadow root", "cat -- /etc/passwd", "command -v ls"]

    assert_alike(shell, questions, at_least=0.6)
    assert_alike(shell, [wrap("id -u", ""), wrap("stat -Lc %a /etc/passwd", "")], at_least=0)
    shell.close()


@pytest.mark.docker
def test_what_could_hang_or_flood_is_not_read_ahead(shell: Shell, prepared: Machine) -> None:
    prepared.run("truncate -s 1G /tmp/huge; ln -sf /tmp/fifo /tmp/to-fifo")
    questions = [
        "cat -- /tmp/fifo",
        "grep -qs -- x /tmp/to-fifo",
        "cat -- /tmp/huge",
        "cat -- /dev/zero",
        "cat -- /etc/hostname",
    ]

    assert list(told_ahead(shell, questions)) == ["cat -- /etc/hostname"]


@pytest.mark.docker
def test_ten_thousand_names_are_asked_in_portions(shell: Shell) -> None:
    questions = [f"test -e /tmp/{'x' * 40}{number}" for number in range(10_000)]
    found = told_ahead(shell, questions)

    assert {answer.exit_code for answer in found.values()} == {1}
    assert len(found) == len(questions)


@pytest.mark.parametrize(
    "text",
    [
        "rm -rf /",
        "host is up",
        "cat /proc/uptime",
        "ps",
        "find -L /etc -name x",
        "sysctl -n kernel.random.uuid",
        "echo $HOME",
        "",
    ],
)
def test_only_what_looks_and_lasts_is_asked_ahead(text: str) -> None:
    assert errands([text]) == []
    assert errands([wrap(text, "")]) == []


def readings(names: list[str]) -> list[str]:
    quoted = [shlex.quote(name) for name in names]
    return [
        text
        for name in quoted
        for text in (
            f"cat -- {name}", f"cat {name}", f"sha256sum {name} | cut -d ' ' -f 1", f"md5sum {name} | cut -d' ' -f1",
        )
    ]  # fmt: skip


@pytest.mark.docker
def test_what_is_in_files_of_every_kind(shell: Shell, prepared: Machine) -> None:
    """What cannot be read is left to its own command, and so is what only an odd name reaches."""
    prepared.run("printf 'no end' >/tmp/open; : >/tmp/empty; head -c 70000 /dev/urandom >/tmp/noise; echo >/tmp/line")
    prepared.run("head -c 300000 /dev/zero >/tmp/large; printf '\\n\\nx\\n\\n' >/tmp/gaps; ln -sf gaps /tmp/link")
    there = prepared.run("find /etc -maxdepth 2 -type f ! -name '.*' | head -n 150").split()
    odd = ["/tmp/open", "/tmp/empty", "/tmp/noise", "/tmp/line", "/tmp/gaps", "/tmp/link", "/etc/mtab"]

    assert_alike(shell, readings([*there, *odd]), at_least=0.99)
    assert_alike(shell, readings([*(one for one in ODD if "fifo" not in one), "/tmp/large"]), at_least=0)
    assert told_ahead(shell, readings(["/tmp/fifo"])) == {}
    assert "cat /tmp/large" not in told_ahead(shell, ["cat /tmp/large"])


def test_a_file_that_changed_while_it_was_read_is_not_told() -> None:
    before, now = (hashlib.sha256(text).hexdigest().encode() for text in (b"one", b"two\n"))
    sums = before + b"  /a\n" + now + b"  /b\n"
    contents = Contents()

    def facts(told: bytes) -> Facts:
        return contents.facts(Answer(exit_code=0, stdout=told, stderr=b""), ["/a", "/b"])

    assert facts(b"  3 /a\n  4 /b\n  7 total\n\n" + sums + b"\nonetwo\n") == {"/a": ("one",), "/b": ("two\n",)}
    assert facts(b"  3 /a\n  4 /b\n  7 total\n\n" + sums + b"\noneTwo\n") == {"/a": ("one",)}
    assert facts(b"  2 /a\n  4 /b\n  6 total\n\n" + sums + b"\nonetwo\n") == {}
    assert facts(b"") == {}
