"""The passwords of the image: that there are none, and how new ones are kept."""

from __future__ import annotations

from testinfra.host import Host

from imagetest import control

STRONG = {"yescrypt", "gost_yescrypt", "sha512", "blowfish", "bcrypt"}


@control("passwords-shadowed")
def test_password_hashes_are_out_of_sight(passwd: list[list[str]]) -> None:
    """No account keeps its password in /etc/passwd, which everybody may read."""
    exposed = [row[0] for row in passwd if row[1] not in {"x", "*", "!"}]

    assert not exposed, f"password in /etc/passwd: {exposed}"


@control("passwords-not-empty")
def test_no_password_is_empty(host: Host) -> None:
    """No account can be entered without a password."""
    empty = [name for name, kind in _shadow(host) if kind == "empty"]

    assert not empty, f"empty password: {empty}"


@control("passwords-not-baked")
def test_no_password_is_baked_in(host: Host) -> None:
    """No account has a password: every machine booted from the image would share it."""
    baked = [name for name, kind in _shadow(host) if kind == "usable"]

    assert not baked, f"with a password: {baked}"


@control("passwords-strong-hash")
def test_new_passwords_are_hashed_strongly(host: Host) -> None:
    """Both PAM and the shadow tools hash a new password with an algorithm that is slow to guess against."""
    sources = "/etc/login.defs /etc/pam.d/common-password"
    pattern = r"^[[:space:]]*(ENCRYPT_METHOD[[:space:]]|password[[:space:]].*pam_unix\.so)"
    lines = host.check_output(f"grep -hE '{pattern}' {sources}").lower().splitlines()
    weak = [line for line in lines if STRONG.isdisjoint(line.split())]

    assert not weak, f"weak: {weak}"
    assert {line.split()[0] for line in lines} == {"encrypt_method", "password"}, f"only found: {lines}"


def _shadow(host: Host) -> list[tuple[str, str]]:
    """Return the kind of each account's password; the hash itself stays on the machine and out of the report."""
    kinds = r"""awk -F: '{print $1, $2 == "" ? "empty" : $2 ~ /^[!*]/ ? "locked" : "usable"}' /etc/shadow"""
    rows = [line.split() for line in host.check_output(kinds).splitlines()]
    return [(name, kind) for name, kind in rows]
