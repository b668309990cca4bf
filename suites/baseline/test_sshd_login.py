"""Who may log in over SSH, and by what; judged from the configuration that sshd itself reports."""

from __future__ import annotations

from imagetest import control


@control("sshd-no-root-login")
def test_root_cannot_log_in(sshd: dict[str, str]) -> None:
    """Nobody logs in as root: people log in as themselves and are accountable."""
    assert sshd["permitrootlogin"] == "no", f"PermitRootLogin is {sshd['permitrootlogin']!r}"


@control("sshd-no-password-login")
def test_nobody_logs_in_with_a_password(sshd: dict[str, str]) -> None:
    """Nobody logs in with a password, neither directly nor as an answer to a challenge."""
    methods = ("passwordauthentication", "kbdinteractiveauthentication", "challengeresponseauthentication")
    offered = [method for method in methods if sshd.get(method, "no") != "no"]

    assert "passwordauthentication" in sshd
    assert not offered, f"offered: {offered}"


@control("sshd-no-empty-passwords")
def test_an_empty_password_opens_nothing(sshd: dict[str, str]) -> None:
    """An account without a password cannot be entered."""
    assert sshd["permitemptypasswords"] == "no", f"PermitEmptyPasswords is {sshd['permitemptypasswords']!r}"


@control("sshd-no-host-based-login")
def test_no_host_vouches_for_its_users(sshd: dict[str, str]) -> None:
    """A login never rests on the word of another machine."""
    wanted = {"hostbasedauthentication": "no", "ignorerhosts": "yes"}
    wrong = {name: sshd[name] for name, value in wanted.items() if sshd[name] != value}

    assert not wrong, f"set to {wrong}"


@control("sshd-no-user-environment")
def test_users_cannot_set_the_environment_of_their_login(sshd: dict[str, str]) -> None:
    """A key file cannot set variables such as LD_PRELOAD for the session that it opens."""
    assert sshd["permituserenvironment"] == "no", f"PermitUserEnvironment is {sshd['permituserenvironment']!r}"
