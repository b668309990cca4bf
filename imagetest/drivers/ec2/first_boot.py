"""What an instance is told before it boots, as cloud-init's settings: the run's keys, and when it must end.

A timer in the machine ends it, because nobody else may be left to do so: with
InstanceInitiatedShutdownBehavior=terminate, to power off is to be terminated. `shutdown +N` is no such timer: where
logind does not answer, and so early in a boot it does not, it powers off at once. `runcmd` runs on the first boot
alone. So `bootcmd`, which runs on every boot, has systemd itself start a transient timer, which leaves no file.
"""

from __future__ import annotations

import json
from datetime import datetime

from imagetest.ports import Access

ARMED = "/run/imagetest-expiry.$(sed 's/.*) //' /proc/1/stat | cut -d ' ' -f 20)"
"""The file that says until when the machine lives, in seconds since 1970.

It is called after the start of process 1 (proc(5), field 22), because a timer does not outlive that.
"""

END = "shutdown -P now || poweroff || halt -p || kill 1"

BOUND = """
if ( set -C; echo {until} >"{armed}" ) 2>/dev/null; then
  left=$(( {until} - $(date +%s) ))
  [ "$left" -le {most} ] || left={most}
  [ "$left" -gt 0 ] || left=1
  if [ -d /run/systemd/system ] && command -v systemd-run >/dev/null; then
    systemd-run --quiet --no-block --unit=imagetest-expiry --on-active="$left" --timer-property=AccuracySec=1s \\
      /bin/sh -c '{end}' || rm "{armed}"
  else
    ( trap "" HUP; sleep "$left"; {end} ) </dev/null >/dev/null 2>&1 &
  fi
fi
"""


def expiry(until: datetime, *, most: float) -> str:
    """Return shell commands that end the machine at a time, and after `most` seconds if its clock is wrong.

    They do nothing when they did it since it booted, and leave no file that says so when they cannot.
    """
    return BOUND.format(until=int(until.timestamp()), armed=ARMED, most=max(1, int(most)), end=END).strip()


def user_data(access: Access, *, user: str, until: datetime, most: float) -> str:
    """Return cloud-init's settings (cloud-config).

    The host key replaces those that a first boot would make. Root is let in only where the checks are to run as root:
    cloud-init else keeps root out and gives the key to the image's default user.
    """
    end = ["sh", "-c", expiry(until, most=most)]
    settings: dict[str, object] = {
        "ssh_deletekeys": True,
        "ssh_keys": {"ed25519_private": access.host.private, "ed25519_public": access.host.public},
        "ssh_authorized_keys": [access.user.public],
        "bootcmd": [end],
        "runcmd": [end],
    }
    if user == "root":
        settings["disable_root"] = False
    return "#cloud-config\n" + json.dumps(settings, indent=1) + "\n"  # JSON is YAML
