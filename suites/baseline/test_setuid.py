"""Programs that run with other rights than those of whoever starts them."""

from __future__ import annotations

from collections.abc import Callable

from imagetest import control

SETUID = """
    /usr/bin/chfn /usr/bin/chsh /usr/bin/fusermount /usr/bin/fusermount3 /usr/bin/gpasswd /usr/bin/mount
    /usr/bin/newgidmap /usr/bin/newgrp /usr/bin/newuidmap /usr/bin/passwd /usr/bin/pkexec /usr/bin/su
    /usr/bin/sudo /usr/bin/umount /usr/lib/dbus-1.0/dbus-daemon-launch-helper /usr/lib/openssh/ssh-keysign
    /usr/lib/cargo/bin/su /usr/lib/cargo/bin/sudo /usr/lib/policykit-1/polkit-agent-helper-1
    /usr/lib/polkit-1/polkit-agent-helper-1 /usr/lib/snapd/snap-confine
    """
SETGID = """
    /usr/bin/chage /usr/bin/crontab /usr/bin/dotlockfile /usr/bin/expiry /usr/bin/plocate /usr/bin/ssh-agent
    /usr/bin/wall /usr/bin/write /usr/bin/write.ul /usr/lib/openssh/ssh-agent /usr/sbin/pam_extrausers_chkpwd
    /usr/sbin/unix_chkpwd /usr/sbin/postdrop /usr/sbin/postqueue
    /usr/lib/x86_64-linux-gnu/utempter/utempter /usr/lib/aarch64-linux-gnu/utempter/utempter
    """


@control("files-known-setuid")
def test_set_uid_programs_are_known(search: Callable[[str], list[str]], allowed: dict[str, frozenset[str]]) -> None:
    """No program lends the rights of its owner except those that the distribution needs for it."""
    found = _unknown(search("-type f -perm -4000"), allowed["setuid"].union(SETUID.split()))

    assert not found, f"unknown: {found}"


@control("files-known-setgid")
def test_set_gid_programs_are_known(search: Callable[[str], list[str]], allowed: dict[str, frozenset[str]]) -> None:
    """No program lends the rights of its group except those that the distribution needs for it."""
    found = _unknown(search("-type f -perm -2000"), allowed["setgid"].union(SETGID.split()))

    assert not found, f"unknown: {found}"


def _unknown(paths: list[str], known: frozenset[str]) -> list[str]:
    """Return the paths that are not known, with or without the /usr that a merged file system puts before them."""
    return [path for path in paths if path not in known and f"/usr{path}" not in known]
