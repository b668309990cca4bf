"""Which commands only look: those that testinfra's modules ask with, and others that are known to change nothing.

What is not known here counts as a change of the machine. That costs time, and never an answer.
"""

from __future__ import annotations

import enum
import functools
import re
from collections.abc import Callable

from imagetest.transport.questions.words import pipeline


class Look(enum.Enum):
    """How long the answer of a command that only looks is good for."""

    STATE = "state"
    """It tells the state of the machine: good until somebody changes it."""
    PASSING = "passing"
    """It tells of what moves by itself, such as processes and counters: good only when it is asked."""


Judge = Callable[[list[str]], Look | None]
"""Says what a program does that is given these arguments; None where it may change something."""

MOVING = re.compile(r"(\A|/)(proc|sys|dev)/|/(proc|sys|dev)\Z|(\A|/)\.\.(/|\Z)|\A/+\Z|\A/[^/]*[?*]")
"""Paths that may lead to where files move by themselves, or are not files."""

MOVING_PARAMETERS = re.compile(
    r"\A[^./]*\Z|fs[./]quota|net[./]netfilter\Z|kernel[./](random|ns_last_pid|pty[./]nr|tainted|perf_event_max_sample_rate|hung_task_detect_count)|fs[./].*(state|nr|count)|net[./].*(count|nr)\Z"
)
"""Kernel parameters that count or are drawn by lot, and whole families that such are part of."""


@functools.lru_cache(maxsize=4096)
def look(text: str) -> Look | None:
    """Say whether a shell command only looks; None where it may change something."""
    commands = pipeline(text)
    if commands is None:
        return None
    looks = [_judge(command) for command in commands[:1]] + [_filter(command) for command in commands[1:]]
    if None in looks:
        return None
    moves = any(MOVING.search(word) for command in commands for word in command[1:])
    return Look.PASSING if moves or Look.PASSING in looks else Look.STATE


def _judge(words: list[str]) -> Look | None:
    program, arguments = words[0], words[1:]
    folder, _, name = program.rpartition("/")
    if folder not in {"", "/bin", "/sbin", "/usr/bin", "/usr/sbin"}:
        return None
    known = KNOWN.get(name)
    return known(arguments) if known is not None else None


def _filter(words: list[str]) -> Look | None:
    """Judge what stands behind a pipe, which reads what comes through it."""
    known = FILTERS.get(words[0])
    return known(words[1:]) if known is not None else None


def _options(letters: str = "", *words: str, operands: bool = True, look: Look = Look.STATE) -> Judge:
    """Allow these letters behind a `-`, these words, and operands, behind a `--` also such as begin with `-`."""

    def judge(arguments: list[str]) -> Look | None:
        rest = list(arguments)
        while rest and rest[0].startswith("-") and rest[0] != "-":
            one = rest.pop(0)
            if one == "--":
                break
            if one not in words and not (len(one) > 1 and set(one[1:]) <= set(letters)):
                return None
        else:
            if any(one.startswith("-") for one in rest):
                return None
        return look if operands or not rest else None

    return judge


def _words(*allowed: str, look: Look = Look.STATE) -> Judge:
    """Allow a first word out of some, and behind it operands."""
    operands = _options()

    def judge(arguments: list[str]) -> Look | None:
        return look if arguments and arguments[0] in allowed and operands(arguments[1:]) else None

    return judge


def _test(arguments: list[str]) -> Look | None:
    if len(arguments) != 2 or not re.fullmatch("-[bcdefghkprsuwxLS]", arguments[0]):  # noqa: PLR2004 - operator, path
        return None
    return Look.STATE


def _stat(arguments: list[str]) -> Look | None:
    if len(arguments) != 3 or arguments[0] not in {"-Lc", "-c"} or arguments[2].startswith("-"):  # noqa: PLR2004
        return None
    return Look.STATE


def _sysctl(arguments: list[str]) -> Look | None:
    """`sysctl -n NAME=VALUE` would set it."""
    if len(arguments) != 2 or arguments[0] != "-n" or not re.fullmatch(r"\w[\w./-]*", arguments[1]):  # noqa: PLR2004
        return None
    return Look.PASSING if MOVING_PARAMETERS.search(arguments[1]) else Look.STATE


def _dpkg_query(arguments: list[str]) -> Look | None:
    rest = list(arguments)
    if rest[:1] == ["-f"]:
        del rest[:2]
    return _options("", "-W", "-s", "-l", "-L", "-S")(rest) if rest and rest[0].startswith("-") else None


def _rpm(arguments: list[str]) -> Look | None:
    asks = bool(arguments) and arguments[0].startswith("-q")
    formats = [one for one in arguments if one.startswith("--queryformat=")]
    return _options("qailRcdf", "--quiet", *formats)(arguments) if asks else None


def _systemctl(arguments: list[str]) -> Look | None:
    quiet = {"--no-pager", "--no-legend", "--plain", "--all", "--value"}
    rest = [one for one in arguments if one not in quiet and not one.startswith("--property=")]
    if not rest or rest[0] not in UNIT_QUESTIONS or any(one.startswith("-") for one in rest[1:]):
        return None
    return UNIT_QUESTIONS[rest[0]]


UNIT_QUESTIONS = {
    "is-active": Look.STATE, "is-enabled": Look.STATE, "is-failed": Look.STATE, "show": Look.PASSING, "cat": Look.STATE,
    "list-unit-files": Look.STATE, "get-default": Look.STATE, "list-units": Look.PASSING,
    "is-system-running": Look.PASSING, "list-timers": Look.PASSING, "list-sockets": Look.PASSING,
}  # fmt: skip


def _ip(arguments: list[str]) -> Look | None:
    rest = [one for one in arguments if one not in {"-o", "--json", "-j"}]
    if rest[:1] == ["-f"]:
        del rest[:2]
    objects = {"link", "addr", "address", "route", "rule", "neigh"}
    shows = len(rest) > 1 and rest[0] in objects and rest[1] in {"show", "ls", "list"}
    return Look.PASSING if shows and not any(one.startswith("-") for one in rest) else None


def _find(arguments: list[str]) -> Look | None:
    """`find -L FOLDER -name PATTERN`, and nothing that acts on what is found."""
    rest = arguments[1:] if arguments[:1] == ["-L"] else arguments
    if len(rest) != 3 or rest[1] != "-name" or rest[0].startswith("-"):  # noqa: PLR2004 - a folder and one test
        return None
    return Look.STATE


def _command(arguments: list[str]) -> Look | None:
    return Look.STATE if len(arguments) == 2 and arguments[0] == "-v" else None  # noqa: PLR2004 - `command -v NAME`


def _apk(arguments: list[str]) -> Look | None:
    """`apk info`, with options on both sides of it; `apk del info` would remove a package of that name."""
    words = [one for one in arguments if one not in {"-e", "-v"}]
    return _options()(words[1:]) if words[:1] == ["info"] else None


def _pacman(arguments: list[str]) -> Look | None:
    return _options("Q")(arguments) if arguments[:1] == ["-Q"] else None


def _sockets(arguments: list[str]) -> Look | None:
    """Those that listen stay; connections come and go by themselves, and so do the processes that hold sockets."""
    words = "--unix", "--numeric", "--listening", "--all", "--tcp", "--udp"
    letters = "".join(one[1:] for one in arguments if one[:2] != "--")
    listens = ("--listening" in arguments or "l" in letters) and not ("--all" in arguments or set(letters) & set("ap"))
    return _options("lntuaxpH", *words, operands=False, look=Look.STATE if listens else Look.PASSING)(arguments)


def _cut(arguments: list[str]) -> Look | None:
    """Allow options, and no file: it reads what comes through its pipe."""
    rest = iter(arguments)
    for one in rest:
        if one in {"-d", "-f", "-c", "-b"}:
            next(rest, None)
        elif one != "-s" and not re.fullmatch(r"-[dfcb].+", one):
            return None
    return Look.STATE


def _processes(_arguments: list[str]) -> Look:
    return Look.PASSING


def _anything(_arguments: list[str]) -> Look:
    return Look.STATE


SUMS = dict.fromkeys(("md5sum", "sha1sum", "sha256sum", "sha512sum"), _options("b"))

KNOWN: dict[str, Judge] = {
    **SUMS,
    "apk": _apk,
    "arch": _options(operands=False),
    "blockdev": _options("", "--report"),
    "cat": _options(),
    "command": _command,
    "date": _options("uRI", operands=False, look=Look.PASSING),
    "df": _options("hkPTi", look=Look.PASSING),
    "docker": _words("inspect", look=Look.PASSING),
    "dpkg": _options("slLS", "--print-architecture"),
    "dpkg-query": _dpkg_query,
    "echo": _anything,
    "env": _options("0", operands=False),
    "false": _anything,
    "find": _find,
    "free": _options("bkmh", operands=False, look=Look.PASSING),
    "getconf": _options(),
    "getent": _words("passwd", "group", "shadow", "services", "protocols", "networks"),
    "grep": _options("EFGPchilnoqsvwx"),
    "head": _options("q", "-n", "-c"),
    "hostname": _options("fsdI", operands=False),
    "id": _options("ugGnr"),
    "ip": _ip,
    "ls": _options("1ALadhilnqR"),
    "lsb_release": _options("aidrcs", operands=False),
    "lsmod": _options(operands=False, look=Look.PASSING),
    "netstat": _sockets,
    "nproc": _options(operands=False),
    "pacman": _pacman,
    "podman": _words("inspect", look=Look.PASSING),
    "printenv": _options(),
    "ps": _processes,
    "pwd": _options("LP", operands=False),
    "readlink": _options("efmn"),
    "realpath": _options("ems"),
    "rpm": _rpm,
    "ss": _sockets,
    "stat": _stat,
    "sysctl": _sysctl,
    "systemctl": _systemctl,
    "tail": _options("q", "-n", "-c"),
    "test": _test,
    "true": _anything,
    "uname": _options("asnrvmpio", operands=False),
    "uptime": _options("ps", operands=False, look=Look.PASSING),
    "wc": _options("lwcm"),
    "which": _options("a"),
    "whoami": _options(operands=False),
}

FILTERS: dict[str, Judge] = {
    "cut": _cut,
    "grep": _options("EFGPchilnoqsvwx"),
    "head": _options("", *(f"-{count}" for count in range(1, 100))),
    "sort": _options("nrufbV", operands=False),
    "tail": _options("", *(f"-{count}" for count in range(1, 100))),
    "uniq": _options("cdu", operands=False),
    "wc": _options("lwcm", operands=False),
}
