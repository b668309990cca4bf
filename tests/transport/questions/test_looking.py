"""What only looks is known word by word; whatever else a shell would do makes a command a change."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import pytest
import testinfra.modules
from hypothesis import given
from hypothesis import strategies as st

from imagetest.transport.questions.looking import KNOWN, Look, look
from imagetest.transport.questions.sudo import innermost, peel, wrap
from imagetest.transport.questions.words import pipeline

MODULES = Path(testinfra.modules.__file__).parent

STATE, PASSING = Look.STATE, Look.PASSING


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("stat -Lc %a /etc/passwd", STATE),
        ("cat -- 'a b'", STATE),
        ("grep -qs -- 'it'\"'\"'s' /etc/motd", STATE),
        ("rpm -q --quiet bash 2>&1", STATE),
        ('systemctl list-unit-files | grep -q "^ssh"', STATE),
        ("find -L /etc/rc?.d/ -name 'S??ssh'", STATE),
        ("getent group root | cut -d':' -f3", STATE),
        ("/usr/sbin/sysctl -n kernel.hostname", STATE),
        ("ls -l /etc/*.conf", STATE),
        ("uname -r", STATE),
        ("cat /proc/mounts", PASSING),
        ("cat /etc/../proc/uptime", PASSING),
        ("sysctl -n kernel.random.uuid", PASSING),
        ("cat /pro?/uptime", PASSING),
        ("echo /proc/*", PASSING),
        ("find -L / -name x", PASSING),
        ("ls -R /", PASSING),
        ("cat proc/uptime", PASSING),
        ("echo a | cut -c1 /proc/uptime", None),
        ("echo a | cut -f1 queue", None),
        ("echo a | cut -d , -f 1", STATE),
        ("sysctl -n kernel", PASSING),
        ("sysctl -n fs.quota.lookups", PASSING),
        ("ps -Aww -o pid", PASSING),
        ("/sbin/ip -f inet addr show eth0", PASSING),
        ("systemctl show ssh", PASSING),
        ("/usr/bin/ss --numeric --listening --tcp", STATE),
        ("ss -tln", STATE),
        ("netstat -ltun", STATE),
        ("/usr/bin/ss --numeric --all --tcp", PASSING),
        ("ss -tn", PASSING),
        ("ss -tlnp", PASSING),
        ("netstat -an", PASSING),
        ("ss --kill --tcp", None),
        ("apk info -e curl", STATE),
        ("apk add info", None),
        ("apk del info", None),
        ("apk -v del info", None),
        ("", None),
        ("sysctl -n kernel.hostname=evil", None),
        ("sysctl -w kernel.hostname=evil", None),
        ("systemctl restart ssh", None),
        ("systemctl is-active --kill-who=all ssh", None),
        ("hostname evil", None),
        ("date -s 2000-01-01", None),
        ("env X=1 rm -r /", None),
        ("cat /etc/passwd | tee /etc/shadow", None),
        ("cat a | sort -o b", None),
        ("find /tmp -name x -delete", None),
        ("find -L /tmp -exec rm {} +", None),
        ("ip link set eth0 down", None),
        ("ip netns exec x ip link show", None),
        ("ls *", None),
        ("cat $HOME/x", None),
        ("cat `id`", None),
        ("cat x; rm x", None),
        ("cat x\nrm x", None),
        ("cat x & rm x", None),
        ("cat x && rm x", None),
        ("cat x || rm x", None),
        ("cat <x", None),
        ("cat x >y", None),
        ("cat x 2>&1 | rm x", None),
        ("cat ~/x", None),
        ("cat \\x", None),
        ('cat "$(rm x)"', None),
        ("X=1 cat x", None),
        ("/tmp/cat x", None),
        ("./cat x", None),
        ("cat 'open", None),
        ("cat x |", None),
        ("| cat", None),
        ("stat -Lc %a --help", None),
        ("cat --help", None),
        ("tail -f /var/log/syslog", None),
        ("test -e", None),
        ("test a -nt b", None),
    ],
)
def test_a_command_only_looks_or_may_change(text: str, found: Look | None) -> None:
    assert look(text) is found
    assert look(innermost(wrap(wrap(text, "www-data"), ""))) is found


OPERATORS = (
    ";",
    "&",
    "&&",
    "||",
    ">",
    ">>",
    "<",
    "$(rm x)",
    "`rm x`",
    "\n",
    "$x",
    "<(rm x)",
    "#",
    "(",
    ")",
    "{",
    "!",
    "\\",
)


@given(st.sampled_from(sorted(KNOWN)), st.text(max_size=6), st.sampled_from(OPERATORS), st.text(max_size=6))
def test_whatever_the_shell_has_to_decide_is_a_change(program: str, before: str, operator: str, after: str) -> None:
    text = f"{program} {shlex.quote(before)} {operator}{shlex.quote(after)}"

    assert look(text) is None


@given(st.lists(st.text(max_size=8).filter(lambda text: "\0" not in text), min_size=1, max_size=5))
def test_quoted_words_are_read_as_a_shell_reads_them(words: list[str]) -> None:
    found = pipeline(shlex.join(words))

    assert found in (None, [words]) or words == ["|"]


def test_a_long_word_is_read_in_no_time() -> None:
    """It is followed by what cannot be read, so that a pattern that tries all ways would never end."""
    assert look("cat " + "a" * 100_000 + ";") is None


@given(st.text().filter(lambda text: "\0" not in text), st.sampled_from(["", "root", "www-data", "o'neil"]))
def test_what_testinfra_wraps_for_sudo_is_unwrapped(inner: str, user: str) -> None:
    assert peel(wrap(inner, user)) == (user, inner)


@pytest.mark.parametrize(
    "text",
    [
        "sudo id",
        "sudo -n /bin/sh -c id",
        "sudo /bin/sh -c 'id",
        "sudo /bin/sh  -c id",
        "sudo -u x -n /bin/sh -c id",
        "id",
    ],
)
def test_anything_else_is_left_as_it_is(text: str) -> None:
    assert peel(text) == (None, text)


UNKNOWN = {
    "%s %s status", "%s status", "%s status %s", "%s -c %s status", "%s -c %s status %s", "status %s",
    "docker version", "lsb_release -a", "sw_vers", "puppet resource --types", "facter --json --puppet",
    "timeout 1 bash -c 'cat < /dev/null > /dev/tcp/%s/%s'", "systemd-analyze verify %s",
    "%s check", "%s show %s", "%s show %s | grep Version: | cut -d' ' -f2",
    "%s list --no-index --format=json", "%s list --no-index", "%s list -o --format=json", "%s list -o",
    'rpm -q --queryformat="%%{RELEASE}" %s', 'rpm -q --queryformat="%%{VERSION}" %s',
    "find /etc/runlevels/ -name %s", "service -e", "service %s onestatus",
}  # fmt: skip
"""They run a program that somebody names, ask others than the machine, or ask what nobody could try here."""

FOREIGN = re.compile(
    r"powershell|^pkg|^brew|^choco|^mount -p|^net user|^echo %|^rcctl|^ifconfig|^/etc/rc.d|^systeminfo|^stat -f|^cksum"
    r"|^md5 |^sha256 |^net localgroup|^Get-"
)


def asked_by_testinfra() -> list[str]:
    """Return what the Linux parts of its modules run, read from their source: whatever is a plain string there."""
    runners = {"run", "run_test", "run_expect", "check_output"}
    found = []
    for path in sorted(MODULES.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in runners:
                found += [
                    one.value for one in node.args[:2] if isinstance(one, ast.Constant) and isinstance(one.value, str)
                ]
    return sorted({text for text in found if text not in UNKNOWN and not FOREIGN.search(text)})


@pytest.mark.parametrize("template", asked_by_testinfra())
def test_what_testinfras_modules_ask_is_known_to_only_look(template: str) -> None:
    """A version of testinfra that asks otherwise shows here, and not as a suite that has become slow."""
    programs = {"%s -n %s": ("/usr/sbin/sysctl", "kernel.hostname")}
    count = len(re.findall(r"(?<!%)%s", template))
    text = template % programs.get(template, ("name",) * count) if count or "%%" in template else template

    assert look(text) is not None, text
