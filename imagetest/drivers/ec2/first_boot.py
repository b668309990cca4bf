"""What an instance is told before it boots, by cloud-init: its host key, and when it must end.

A timer in the machine ends it, because nobody else may be left to do so: with
InstanceInitiatedShutdownBehavior=terminate, to power off is to be terminated. `shutdown +N` is no such timer: where
logind does not answer, and so early in a boot it does not, it powers off at once. So systemd itself starts a transient
timer, which leaves no file. It must not wait for anything else of the boot, for which systemd-run would wait (with
`--no-block` too), while the boot waits for cloud-init: hence no default dependencies.

What an image has cloud-init do is to be done here as well. Of a setting that is a list, such as `runcmd`, `bootcmd`,
`users` or `ssh_authorized_keys`, user-data's replaces the image's own (https://docs.cloud-init.io, "Instance metadata
layers", and canonical/cloud-init#2611); so nothing here is one. The timer is a boothook, which runs on every boot
before all of those, and the run's key is that of the instance's key pair.
"""

from __future__ import annotations

import json
from datetime import datetime
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText

from imagetest.ports import Access

ARMED = "/run/imagetest-expiry.$(sed 's/.*) //' /proc/1/stat | cut -d ' ' -f 20)"
"""The file that says until when the machine lives, in seconds since 1970.

It is called after the start of process 1 (proc(5), field 22), because a timer does not outlive that.
"""

BOUNDARY = "==imagetest=="

END = "shutdown -P now || poweroff || halt -p || kill 1"

START_SECONDS = 20
"""How long the timer may take to start: a boot is not held up by it."""

BOUND = """
if ( set -C; echo {until} >"{armed}" ) 2>/dev/null; then
  left=$(( {until} - $(date +%s) ))
  [ "$left" -le {most} ] || left={most}
  [ "$left" -gt 0 ] || left=1
  if [ -d /run/systemd/system ] && command -v systemd-run >/dev/null; then
    timeout {start} systemd-run --quiet --no-block --unit=imagetest-expiry --on-active="$left" \\
      --timer-property=AccuracySec=1s --timer-property=DefaultDependencies=no /bin/sh -c '{end}' || rm "{armed}"
  else
    ( trap "" HUP; sleep "$left"; {end} ) </dev/null >/dev/null 2>&1 &
  fi
fi
"""


def expiry(until: datetime, *, most: float) -> str:
    """Return shell commands that end the machine at a time, and after `most` seconds if its clock is wrong.

    They do nothing when they did it since it booted, and leave no file that says so when they cannot.
    """
    return BOUND.format(
        until=int(until.timestamp()), armed=ARMED, most=max(1, int(most)), end=END, start=START_SECONDS
    ).strip()


def user_data(access: Access, *, user: str, until: datetime, most: float) -> str:
    """Return user-data in two parts (cloud-init's MIME multi part archive).

    The host key replaces those that a first boot would make. Root is let in only where the checks are to run as root:
    cloud-init else keeps root out and gives the key to the image's default user.
    """
    settings: dict[str, object] = {
        "ssh_deletekeys": True,
        "ssh_keys": {"ed25519_private": access.host.private, "ed25519_public": access.host.public},
    }
    if user == "root":
        settings["disable_root"] = False
    parts = {
        "cloud-config": "#cloud-config\n" + json.dumps(settings, indent=1) + "\n",  # JSON is YAML
        "cloud-boothook": f"#cloud-boothook\n#!/bin/sh\n{expiry(until, most=most)}\n",
    }
    whole = MIMEMultipart(boundary=BOUNDARY)
    for kind, text in parts.items():
        whole.attach(MIMEText(text, kind, "us-ascii"))
    return whole.as_string()
