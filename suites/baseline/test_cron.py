"""Jobs that run by the clock, as root."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from testinfra.host import Host

from imagetest import control, not_applicable

TABLES = "/etc/crontab /etc/cron.hourly /etc/cron.daily /etc/cron.weekly /etc/cron.monthly /etc/cron.yearly /etc/cron.d"
JOBS = "/etc/cron.hourly/* /etc/cron.daily/* /etc/cron.weekly/* /etc/cron.monthly/* /etc/cron.yearly/* /etc/cron.d/*"


@pytest.fixture(autouse=True)
def cron(host: Host) -> None:
    """End a test where nothing reads the tables of cron."""
    if not host.check_output("for f in /usr/sbin/cron /usr/sbin/crond; do if [ -x $f ]; then echo $f; fi; done"):
        not_applicable("no cron: neither /usr/sbin/cron nor /usr/sbin/crond exists")


@control("cron-private-tables")
def test_the_tables_of_cron_are_private(loose: Callable[..., list[str]]) -> None:
    """Only root sees and changes what runs by the clock as root."""
    found = loose(TABLES, bits=0o077) + loose(f"/etc/crontab {JOBS}", bits=0o022)

    assert not found, f"too open or not root's: {found}"


@control("cron-named-users")
def test_only_named_users_have_tables_of_their_own(loose: Callable[..., list[str]], host: Host) -> None:
    """Who may run jobs by the clock is written down: by those who may, not by those who may not."""
    lists = host.check_output("for f in /etc/cron.allow /etc/cron.deny; do if [ -e $f ]; then echo $f; fi; done")

    assert lists.split() == ["/etc/cron.allow"], f"expected /etc/cron.allow alone, found {lists.split()}"
    found = loose("/etc/cron.allow", bits=0o137, owners=("root:root", "root:crontab"))

    assert not found, f"too open or not root's: {found}"
