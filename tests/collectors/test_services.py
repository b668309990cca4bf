"""Units, what runs by the clock, the environment of services, and the SSH server."""

from __future__ import annotations

import re

import pytest

from imagetest.collectors.cron import CronCollector
from imagetest.collectors.discretion import discreet, masked
from imagetest.collectors.environment import EnvironmentCollector
from imagetest.collectors.sshd import SshdCollector
from imagetest.collectors.units import UnitsCollector
from imagetest.model.snapshot import Family, Gap
from tests.collectors.conftest import Boots
from tests.collectors.recorded import DENIED, OK, part, recorded, zeros
from tests.dockyard import Dockyard
from tests.drivers.images import server

LIB, ETC = "/usr/lib/systemd/system", "/etc/systemd/system"


def units(*places: tuple[str, str], states: str = "", installable: str = "", files: bytes = b"") -> Family:
    listed = b"".join(zeros(("l " if target else "f ") + path, target) for path, target in places)
    parts = {
        "places": part(listed), "installable": part(installable), "timers": OK, "files": part(files),
        "scripts": part("/etc/rc?.d/[SK]??*\n"),
    }  # fmt: skip
    return UnitsCollector().read(parts | ({"states": part(states)} if states else {}))


def test_a_recorded_debian_tells_its_units() -> None:
    found = UnitsCollector().read(recorded("units"))

    assert found.gaps == ()
    assert found.facts["ssh.service"]["enablement"].startswith("enabled, ")
    assert found.facts["apt-daily.timer"]["schedule"].startswith("OnCalendar=*-*-* 6,18:00")
    assert found.facts["ssh.service"]["init script"] == "started at 2345"


@pytest.mark.parametrize(
    ("places", "installable", "enablement"),
    [
        ([(f"{LIB}/x.service", "")], "", "static"),
        ([(f"{LIB}/x.service", "")], f"{LIB}/x.service\n", "disabled"),
        (
            [(f"{LIB}/x.service", ""), (f"{ETC}/multi-user.target.wants/x.service", f"{LIB}/x.service")],
            "",
            "enabled, wanted by multi-user.target",
        ),
        ([(f"{LIB}/x.service", ""), (f"{ETC}/y.service", f"{LIB}/x.service")], "", "enabled, called y.service"),
        ([(f"{LIB}/x.service", ""), (f"{ETC}/x.service", "/dev/null")], f"{LIB}/x.service\n", "masked"),
        ([(f"{ETC}/x.service", "/dev/null")], "", "masked"),
        ([(f"{LIB}/x.service", ""), (f"{LIB}/a.target.wants/x.service", "../x.service")], "", "static"),
    ],
)
def test_enablement_is_read_from_the_files(places: list[tuple[str, str]], installable: str, enablement: str) -> None:
    assert units(*places, installable=installable).facts["x.service"]["enablement"] == enablement


def test_states_are_told_where_systemd_runs_and_what_it_forgot_is_inactive() -> None:
    states = (
        "Id=x.service\nLoadState=loaded\nActiveState=failed\n\nId=z.service\nLoadState=loaded\nActiveState=active\n"
    )
    found = units((f"{LIB}/x.service", ""), (f"{LIB}/y.service", ""), states=states).facts

    assert {name: one["state"] for name, one in found.items()} == {
        "x.service": "failed", "y.service": "inactive", "z.service": "active",
    }  # fmt: skip
    assert found["z.service"]["file"] == "none"


def test_states_that_were_refused_are_a_gap() -> None:
    found = UnitsCollector().read(recorded("units", states=part(stderr="Failed to connect to bus", code=1)))

    assert found.gaps == (Gap(attribute="state", reason="Failed to connect to bus"),)


def test_what_is_written_for_a_unit_here_shows_but_for_its_environment() -> None:
    quiet = zeros(f"{ETC}/x.service.d/a.conf", "# why\n[Service]\nEnvironment=A=1\n")
    loud = zeros(f"{ETC}/x.service.d/a.conf", "[Service]\nNice=5\n")

    assert "content" not in units((f"{LIB}/x.service", ""), files=quiet).facts["x.service"]
    assert units((f"{LIB}/x.service", ""), files=loud).facts["x.service"]["content"].startswith("sha256 ")


CRONTAB = """SHELL=/bin/sh
# comment
17 *\t* * *\troot  cd / && run-parts /etc/cron.hourly
@reboot root /usr/local/bin/x --password=hunter22
"""


def cron(file: str, content: str, stderr: str = "") -> Family:
    return CronCollector().read({"tables": part(zeros(file, content), stderr=stderr)})


def test_a_line_of_a_crontab_is_known_by_its_command() -> None:
    found = cron("/etc/crontab", CRONTAB).facts

    assert found["/etc/crontab: SHELL"] == {"value": "/bin/sh"}
    assert found["/etc/crontab: cd / && run-parts /etc/cron.hourly"] == {"schedule": "17 * * * *", "user": "root"}
    assert any(one["schedule"] == "@reboot" for one in found.values() if "schedule" in one)
    assert "hunter22" not in repr(found)


def test_a_crontab_that_would_cost_too_much_is_a_gap() -> None:
    file = "/var/spool/cron/crontabs/bob"
    found = cron(file, "".join(f"* * * * * x --token {number}0000\n" for number in range(2000)))

    assert found.facts == {}
    assert found.gaps == (Gap(key=f"{file}: ", reason="it has more than 1000 lines"),)


def test_of_many_secrets_in_a_line_the_line_is_sealed_as_one() -> None:
    many = "x " + " ".join(f"token={number}0000" for number in range(400))
    (key,) = cron("/var/spool/cron/crontabs/bob", f"* * * * * {many}\n").facts

    assert re.fullmatch(r"/var/spool/cron/crontabs/bob: \[secret\] [0-9a-f]{8}", key)


@pytest.mark.docker
def test_a_link_among_the_crontabs_is_not_followed(dockyard: Dockyard, boots: Boots) -> None:
    with boots(dockyard.build(*server())) as up:
        up.run("mkdir -p /var/spool/cron/crontabs; echo 'A=hunter22' >/root/x")
        up.run("ln -s /root/x /var/spool/cron/crontabs/bob")
        found = up.snapshot("cron").family("cron")

    assert found is not None
    assert found.gaps == (Gap(key="/var/spool/cron/crontabs/bob: ", reason="it is a link"),)
    assert "hunter22" not in repr(found)


def test_a_users_crontab_has_no_user_in_its_lines() -> None:
    assert cron("/var/spool/cron/crontabs/bob", "* * * * * /bin/x y\n").facts == {
        "/var/spool/cron/crontabs/bob: /bin/x y": {"schedule": "* * * * *"}
    }


def test_anacron_and_at_are_read() -> None:
    job = "#!/bin/sh\n# atrun uid=1000 gid=1000\numask 22\ncd /home/bob || {\n\t echo x >&2\n\t exit 1\n}\n/bin/x\n"

    assert cron("/etc/anacrontab", "7 10 weekly run-parts /etc/cron.weekly\n").facts == {
        "/etc/anacrontab: run-parts /etc/cron.weekly": {"schedule": "every 7 days", "delay": "10", "id": "weekly"}
    }
    assert cron("/var/spool/cron/atjobs/a0001", job).facts == {
        "/var/spool/cron/atjobs/a0001: /bin/x": {"schedule": "once", "user": "uid 1000"}
    }


def test_tables_that_are_closed_are_gaps() -> None:
    stderr = "cron: /var/spool/cron/crontabs/: Permission denied\ncron: /etc/cron.d/x: Permission denied\n"

    assert [one.key for one in cron("/etc/crontab", "", stderr).gaps] == [
        "/etc/cron.d/x: ", "/var/spool/cron/crontabs/",
    ]  # fmt: skip


def environment(units_said: str = "", files: bytes = b"", first: bytes = b"") -> Family:
    return EnvironmentCollector().read({"units": part(units_said), "files": part(files), "first": part(first)})


def test_a_recorded_debian_tells_its_environment() -> None:
    found = EnvironmentCollector().read(recorded("environment"))

    assert found.gaps == ()
    assert found.facts["process 1: HOSTNAME"] == {"value": "<hostname>"}
    assert found.facts["e2scrub@.service: SERVICE_MODE"] == {"value": "1"}


def test_variables_of_units_are_told_with_their_quotes_taken_off() -> None:
    said = f'{LIB}/x.service:Environment="A=1 2" B=3\n{ETC}/x.service.d/o.conf:Environment=B=4\n'
    said += f"{LIB}/x.service:EnvironmentFile=-/etc/default/x\n"
    found = environment(said).facts

    assert found["x.service: A"] == {"value": "1 2"}
    assert set(found) == {"x.service: A", "x.service: B", "x.service: EnvironmentFile -/etc/default/x"}


def test_every_line_of_a_file_is_told() -> None:
    found = environment(files=zeros("/etc/default/x", "# c\nexport A='1'\nif true; then\nfi\n")).facts

    assert found == {
        "/etc/default/x: A": {"value": "1"}, "/etc/default/x: if true; then": {"value": "set"},
        "/etc/default/x: fi": {"value": "set"},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value", "hidden"),
    [
        ("DB_PASSWORD", "hunter22", True),
        ("API_TOKEN", "x", True),
        ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI", True),
        ("password", "/hunter/22", True),
        ("DATABASE_URL", "postgres://u:hunter22@db/x", True),
        ("KEYBOARD", "us", False),
        ("SSL_KEY_FILE", "/etc/ssl/private/x.pem", False),
        ("PATH", "/usr/bin", False),
        ("AUTHOR", "me", False),
        ("EMPTY_PASSWORD", "", False),
    ],
)
def test_a_secret_is_masked_and_its_change_still_shows(name: str, value: str, hidden: bool) -> None:  # noqa: FBT001
    shown = masked(name, value)

    assert (value not in shown) if hidden else (shown == value)
    assert masked(name, value) == shown
    assert masked(name, f"{value}-other") != shown


def test_a_line_keeps_what_is_no_secret() -> None:
    shown = discreet("curl --token hunter22 https://u:hunter22@x.org/ -o /tmp/x")

    assert "hunter22" not in shown
    assert shown.startswith("curl --token [secret] ")


def test_the_first_processs_environment_may_be_closed() -> None:
    denied = part(stderr="cat: /proc/1/environ: Permission denied", code=1)
    found = EnvironmentCollector().read({"units": OK, "files": OK, "first": denied})

    assert found.gaps == (Gap(key="process 1: ", reason="Permission denied"),)


def test_a_refusal_without_a_reason_still_has_one() -> None:
    refused = part(stderr=": ", code=1)
    (found,) = EnvironmentCollector().read({"units": OK, "files": OK, "first": refused}).gaps

    assert found.reason == ": "


def test_a_recorded_debian_tells_its_ssh_server() -> None:
    found = SshdCollector().read(recorded("sshd"))

    assert found.gaps == ()
    assert found.facts["permitrootlogin"] == {"value": "without-password"}
    assert found.facts["listenaddress"] == {"value": "[::]:22, 0.0.0.0:22"}
    assert [one for one in found.unique["host-key"] if one.endswith("_key.pub")]


def test_what_holds_for_some_connections_is_told_too() -> None:
    matches = part("Port 22\nMatch User bob\n  PasswordAuthentication yes\n# no\nMatch all\nX11Forwarding no\n")
    found = SshdCollector().read(recorded("sshd", matches=matches))

    assert [key for key in found.facts if key.startswith("Match")] == ["Match User bob: PasswordAuthentication yes"]


def test_a_server_that_does_not_tell_is_a_gap_and_none_is_none() -> None:
    assert SshdCollector().read(recorded("sshd", effective=DENIED)).gaps[0].key == ""
    assert SshdCollector().read({"asked": OK}).gaps == ()
