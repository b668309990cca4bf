"""What an instance is asked once it is reached: who it is, since when it runs, and that it will end by itself."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from datetime import UTC, datetime

from imagetest.drivers.ec2 import first_boot
from imagetest.errors import BootError, MachineLostError
from imagetest.transport.shell import CommandTimeoutError, Shell

SECONDS = 20.0

MARK = "cat /proc/sys/kernel/random/boot_id; cut -d ' ' -f 22 /proc/1/stat"
"""What differs after a reboot: the id of the boot, and when process 1 started (random(4), proc(5))."""

ASK = (
    "test -d /run/systemd/system && echo systemd || echo command; cat /proc/1/comm 2>/dev/null || echo unknown; "
    "cut -d ' ' -f 1 /proc/uptime; sed 's/.*) //' /proc/1/stat | cut -d ' ' -f 20; getconf CLK_TCK || echo 100"
)
"""Whether systemd runs it, what process 1 is, seconds since boot, and when process 1 started, in ticks (proc(5))."""

NO_TIMER = (
    "let boot.user be root or use sudo without a password; or set boot.ec2.timer = 'optional' and have "
    "'imagetest reap --expired' run now and then"
)

IDENTITY = """
at=http://169.254.169.254/latest
ask() { curl -sf --noproxy '*' --connect-timeout 1 -m 3 "$@"; }
if command -v curl >/dev/null; then
  token=$(ask -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' $at/api/token) &&
  ask -H "X-aws-ec2-metadata-token: $token" $at/dynamic/instance-identity/document
fi
"""
"""Read the instance identity document by a token, as IMDSv2 demands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What a machine says of how it runs."""

    init: str
    process_1: str
    age: float
    """Seconds since its process 1 started."""


def mark(shell: Shell) -> bytes:
    """Return what tells one boot of a machine from another."""
    return shell.run(MARK, timeout=SECONDS).stdout


def ask(shell: Shell) -> Answers:
    """Return what it says. Raises BootError when it stops answering, or answers as no Linux machine does."""
    said = _run(shell, ASK).splitlines()
    try:
        init, process_1, uptime, started, ticks = said
        return Answers(init=init, process_1=process_1, age=float(uptime) - int(started) / int(ticks))
    except (ValueError, ZeroDivisionError) as error:
        raise BootError("it was reached and does not answer as a Linux machine does") from error


def identity(shell: Shell, *, instance: str, image: str, region: str) -> str:
    """Return in words what the identity document says, which must be what the API said.

    Raises BootError when it is that of another machine.
    """
    text = _run(shell, IDENTITY)
    if not text.strip():
        return "its identity document was not read: there is no curl in it, or no metadata service"
    try:
        said = json.loads(text)
        found = (said["instanceId"], said["imageId"], said["region"])
    except (ValueError, KeyError, TypeError):
        return "its metadata service answers with no identity document"
    if found != (instance, image, region):
        raise BootError(f"the machine that answers says that it is {found[0]} of {found[1]} in {found[2]}")
    return f"its identity document says the same, and account {said.get('accountId')}, by IMDSv2"


def see_to_its_end(shell: Shell, until: datetime, *, root: bool, must: bool) -> str:
    """Return in words when the machine ends by itself; a timer that its boot did not set is set now.

    Raises BootError where none can be set, and it `must` have one.
    """
    at = until.isoformat(timespec="seconds")
    if _armed(shell, until):
        return f"it ends by itself at {at}"
    script = first_boot.expiry(until, most=max(1.0, (until - datetime.now(UTC)).total_seconds()))
    _run(shell, f"{'' if root else 'sudo -n '}sh -c {shlex.quote(script)}")
    if _armed(shell, until):
        return f"it ends by itself at {at}: the timer was set over SSH, as its boot had set none"
    if must:
        raise BootError(
            "nothing in it would end it: neither cloud-init nor its user can set a timer that powers it off",
            hint=NO_TIMER,
        )
    return f"nothing in it ends it at {at}: only 'imagetest reap' does, with or without a lease"


def _armed(shell: Shell, until: datetime) -> bool:
    return _run(shell, f'cat "{first_boot.ARMED}" 2>/dev/null').strip() == str(int(until.timestamp()))


def _run(shell: Shell, command: str) -> str:
    try:
        return shell.run(command, timeout=SECONDS).stdout.decode(errors="replace")
    except (CommandTimeoutError, MachineLostError) as error:
        raise BootError(f"it was reached and stopped answering: {error}") from error
