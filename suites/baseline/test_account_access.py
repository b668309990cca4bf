"""What an account can reach and be reached by."""

from __future__ import annotations

from testinfra.host import Host

from imagetest import control

FIRST_PERSON, NOBODY = 1000, 65534
NO_LOGIN = ("/nologin", "/false", "/bin/sync", "/sbin/halt", "/sbin/shutdown")
BEYOND_THE_OWNER = 0o027


@control("accounts-system-no-shell")
def test_system_accounts_have_no_shell(passwd: list[list[str]], allowed: dict[str, frozenset[str]]) -> None:
    """A service's account is for its processes: nobody can log in as it."""
    system = [row for row in passwd if 0 < int(row[2]) < FIRST_PERSON or int(row[2]) == NOBODY]
    shells = {row[0]: row[6] for row in system if not row[6].endswith(NO_LOGIN)}
    found = [f"{name} with {shell}" for name, shell in shells.items() if name not in allowed["shells"]]

    assert not found, f"can log in: {found}"


@control("accounts-shadow-group-empty")
def test_nobody_is_in_the_group_that_reads_passwords(host: Host, passwd: list[list[str]]) -> None:
    """No account belongs to the group shadow, which may read the password hashes."""
    _, _, gid, members = host.check_output("grep ^shadow: /etc/group").split(":")
    inside = [*filter(None, members.split(",")), *(row[0] for row in passwd if row[3] == gid)]

    assert not inside, f"in the group shadow: {inside}"


@control("accounts-private-homes")
def test_homes_are_private(host: Host, passwd: list[list[str]]) -> None:
    """The home of everybody who can log in exists, belongs to them and is closed to everybody else."""
    people = [row for row in passwd if int(row[2]) == 0 or FIRST_PERSON <= int(row[2]) < NOBODY]
    owners = {row[5]: row[2] for row in people if not row[6].endswith(NO_LOGIN)}
    script = 'for home; do if [ -d "$home" ]; then stat -Lc "%%u %%a %%n" "$home" || exit; fi; done'
    found = host.check_output(f"set -- {' '.join(['%s'] * len(owners))}; {script}", *owners)
    rows = [line.split(" ", 2) for line in found.splitlines()]
    missing = [home for home in owners if home not in {row[2] for row in rows}]
    loose = [" ".join(row) for row in rows if row[0] != owners[row[2]] or int(row[1], 8) & BEYOND_THE_OWNER]

    assert not missing + loose, f"missing: {missing}; of another owner or open to others: {loose}"
