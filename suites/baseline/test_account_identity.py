"""That an id or a name stands for one account or group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from testinfra.host import Host

from imagetest import control


@control("accounts-only-root-is-uid-0")
def test_only_root_has_the_rights_of_root(passwd: list[list[str]]) -> None:
    """No second account has user id 0."""
    superusers = [name for name, _, uid, *_ in passwd if int(uid) == 0]

    assert superusers == ["root"], f"with user id 0: {superusers}"


@control("accounts-unique-uids")
def test_no_two_accounts_share_a_user_id(passwd: list[list[str]]) -> None:
    """What an account owns and does is its own; a second user id 0 is judged by a control of its own."""
    shared = _doubles(uid for _, _, uid, *_ in passwd if int(uid) != 0)
    names = [row[0] for row in passwd if row[2] in shared]

    assert not names, f"share {shared}: {names}"


@control("accounts-unique-gids")
def test_no_two_groups_share_a_group_id(host: Host) -> None:
    """What belongs to a group belongs to no other."""
    groups = [line.split(":") for line in host.check_output("cat /etc/group").splitlines()]
    shared = _doubles(gid for _, _, gid, *_ in groups)
    names = [row[0] for row in groups if row[2] in shared]

    assert not names, f"share {shared}: {names}"


@control("accounts-unique-names")
def test_no_name_is_given_twice(host: Host) -> None:
    """No two accounts and no two groups have the same name."""
    lines = host.check_output("sed 's/^/user /' /etc/passwd && sed 's/^/group /' /etc/group").splitlines()
    doubles = _doubles(line.partition(":")[0] for line in lines)

    assert not doubles, f"given twice: {doubles}"


def _doubles(values: Iterable[str]) -> list[str]:
    return [value for value, count in Counter(values).items() if count > 1]
