"""What an SSH session may do and how long it may last."""

from __future__ import annotations

from imagetest import control

FORWARDING = (
    "x11forwarding",
    "allowtcpforwarding",
    "allowagentforwarding",
    "allowstreamlocalforwarding",
    "permittunnel",
)
MOST_TRIES = 4
LONGEST_LOGIN = 60


@control("sshd-login-tries")
def test_a_connection_gets_few_tries(sshd: dict[str, str]) -> None:
    """A connection is closed after four failed tries at the latest."""
    assert 1 <= int(sshd["maxauthtries"]) <= MOST_TRIES, f"MaxAuthTries is {sshd['maxauthtries']}"


@control("sshd-login-grace-time")
def test_a_login_has_to_be_done_within_a_minute(sshd: dict[str, str]) -> None:
    """A connection that does not log in within a minute is closed; 0 would mean that it never is."""
    assert 1 <= int(sshd["logingracetime"]) <= LONGEST_LOGIN, f"LoginGraceTime is {sshd['logingracetime']}"


@control("sshd-idle-sessions")
def test_a_dead_session_ends(sshd: dict[str, str]) -> None:
    """A client that no longer answers loses its session."""
    unset = [name for name in ("clientaliveinterval", "clientalivecountmax") if int(sshd[name]) <= 0]

    assert not unset, f"set to 0: {unset}"


@control("sshd-no-forwarding")
def test_a_session_forwards_nothing(sshd: dict[str, str]) -> None:
    """A session is no tunnel into the network behind the machine."""
    ways = [way for way in FORWARDING if sshd[way] != "no"]

    assert sshd["disableforwarding"] == "yes" or not ways, f"open: {ways}"


@control("sshd-log-level")
def test_logins_are_logged(sshd: dict[str, str]) -> None:
    """Every login is logged, and no debug output, which shows what users do, is."""
    assert sshd["loglevel"] in {"INFO", "VERBOSE"}, f"LogLevel is {sshd['loglevel']}"
