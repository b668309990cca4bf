"""How the services come up after a cold boot."""

from __future__ import annotations

from testinfra.host import Host

from imagetest import control

KEEPERS = "/var/log/journal /usr/sbin/rsyslogd /usr/sbin/syslog-ng"


@control("logs-survive-a-reboot")
def test_logs_survive_a_reboot(systemd: Host) -> None:
    """The journal is kept on disk, or a syslog daemon keeps what it says."""
    lines = systemd.check_output("systemd-analyze cat-config systemd/journald.conf").splitlines()
    storage = ["auto", *(line.partition("=")[2].strip() for line in lines if line.startswith("Storage="))][-1]
    kept = systemd.check_output(f"for f in {KEEPERS}; do if [ -e $f ]; then echo $f; fi; done").splitlines()
    syslog = [path for path in kept if path.startswith("/usr/sbin")]

    assert storage == "persistent" or syslog or (storage == "auto" and kept), f"Storage={storage}, found {kept}"


@control("services-none-failed")
def test_no_unit_failed(systemd: Host) -> None:
    """Everything that the image starts, starts."""
    failed = systemd.check_output("systemctl list-units --state=failed --plain --no-legend --no-pager")

    assert not failed, failed
