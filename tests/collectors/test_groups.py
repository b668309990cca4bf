"""Groups, but for those that are an account's own."""

from __future__ import annotations

from imagetest.collectors.groups import GroupsCollector
from imagetest.model.snapshot import Gap
from tests.collectors.recorded import DENIED, part, recorded

PASSWD = part("bob:x:1000:1000::/home/bob:/bin/sh\n")


def test_a_recorded_debian_tells_its_groups() -> None:
    found = GroupsCollector().read(recorded("groups"))

    assert found.gaps == ()
    assert found.facts["adm"] == {"gid": "4", "members": ""}
    assert "root" not in found.facts


def test_an_accounts_own_group_is_told_once_it_has_members_or_another_number() -> None:
    for line, told in (("bob:x:1000:", False), ("bob:x:1000:alice", True), ("bob:x:1001:", True)):
        found = GroupsCollector().read({"asked": part(), "passwd": PASSWD, "group": part(f"{line}\n")})

        assert ("bob" in found.facts) is told


def test_members_are_told_in_one_order() -> None:
    found = GroupsCollector().read({"asked": part(), "group": part("adm:x:4:zoe,adam\n")})

    assert found.facts["adm"]["members"] == "adam, zoe"


def test_a_group_with_a_password_or_an_administrator_is_told() -> None:
    gshadow = part("bob:$6$salt$hash:alice:\nadm:*::\n")
    parts = {"asked": part(), "passwd": PASSWD, "group": part("bob:x:1000:\nadm:x:4:\n"), "gshadow": gshadow}
    found = GroupsCollector().read(parts)

    assert found.facts["bob"] == {"gid": "1000", "members": "", "administrators": "alice", "password": "set"}
    assert found.facts["adm"] == {"gid": "4", "members": ""}


def test_a_closed_gshadow_hides_what_only_it_says() -> None:
    found = GroupsCollector().read(recorded("groups", gshadow=DENIED))

    reason = "cat: /etc/x: Permission denied"
    assert set(found.gaps) == {Gap(attribute="administrators", reason=reason), Gap(attribute="password", reason=reason)}


def test_of_two_groups_of_one_name_the_first_counts_and_both_are_told() -> None:
    gshadow = part("adm:!:alice:\nadm:!::\n")
    found = GroupsCollector().read({"asked": part(), "group": part("adm:x:0:mallory\nadm:x:4:\n"), "gshadow": gshadow})

    assert found.facts["adm"]["gid"] == "0"
    assert found.facts["adm"]["administrators"] == "alice"
    assert found.facts["adm (2)"]["gid"] == "4"


def test_a_line_that_is_no_group_is_told_by_a_digest() -> None:
    facts = GroupsCollector().read({"asked": part(), "group": part("adm:x:4:\nhunter22\n")}).facts

    assert [*facts] == ["adm", "/etc/group: what is no group"]
    assert "hunter22" not in repr(facts)
