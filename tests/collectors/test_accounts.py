"""Accounts, without a single password hash."""

from __future__ import annotations

import re

import pytest

from imagetest.collectors.accounts import AccountsCollector
from imagetest.model.snapshot import Gap
from tests.collectors.recorded import DENIED, part, recorded

HASH = "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7"


def test_a_recorded_debian_tells_its_accounts() -> None:
    found = AccountsCollector().read(recorded("accounts"))

    assert found.gaps == ()
    assert found.facts["sshd"]["shell"] == "/usr/sbin/nologin"
    assert found.facts["sshd"]["password"] == "locked"
    assert found.facts["daemon"]["group"] == "daemon (1)"
    assert found.facts["root"]["ageing"] == "min 0, max 99999, warn 7"


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("!", "locked"),
        ("*", "locked"),
        (f"!{HASH}", "locked"),
        ("", "none is asked for"),
        (HASH, "set, yescrypt, since 2025-01-01"),
        ("$6$salt$hash", "set, SHA-512, since 2025-01-01"),
        ("$2b$05$xx", "set, bcrypt, since 2025-01-01"),
        ("abJnggxhB/yWI", "set, by DES or something unknown, since 2025-01-01"),
    ],
)
def test_a_password_is_told_by_its_kind(field: str, words: str) -> None:
    shadow = part(f"root:{field}:20089:0:99999:7:::\n")
    found = AccountsCollector().read(recorded("accounts", shadow=shadow))

    said = re.sub(r", \[secret\] [0-9a-f]{8}", "", found.facts["root"]["password"])
    assert said == words
    assert "hash" not in repr(found)
    assert "F5Jx5f" not in repr(found)


def test_a_hash_in_passwd_itself_is_not_told_either() -> None:
    found = AccountsCollector().read({"asked": part(), "passwd": part("old:abJnggxhB/yWI:1:1::/:/bin/sh\n")})

    assert found.facts["old"]["password"].startswith("set, by DES or something unknown, [secret] ")
    assert "abJngg" not in repr(found)


def test_an_account_that_asks_for_nothing_is_told_without_shadow() -> None:
    found = AccountsCollector().read({"asked": part(), "passwd": part("guest::1:1::/:/bin/sh\n")})

    assert found.facts["guest"]["password"] == "none is asked for"


def test_a_closed_shadow_hides_passwords_and_nothing_else() -> None:
    found = AccountsCollector().read(recorded("accounts", shadow=DENIED))

    reason = "cat: /etc/x: Permission denied"
    assert found.gaps == (Gap(attribute="password", reason=reason), Gap(attribute="ageing", reason=reason))
    assert found.facts["root"]["shell"] == "/bin/bash"


def test_subordinate_ids_belong_to_their_account() -> None:
    found = AccountsCollector().read(recorded("accounts", subuid=part("root:100000:65536\nnobody-here:1:1\n")))

    assert found.facts["root"]["subuid"] == "65536 from 100000"


def test_a_line_in_front_of_an_account_takes_its_place_and_both_are_told() -> None:
    passwd = part("daemon:x:0:0::/root:/bin/bash\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n")
    shadow = part(f"daemon:{HASH}:20089:0:99999:7:::\ndaemon:*:20089:0:99999:7:::\n")
    facts = AccountsCollector().read({"asked": part(), "passwd": passwd, "shadow": shadow}).facts

    assert (facts["daemon"]["uid"], facts["daemon (2)"]["uid"]) == ("0", "1")
    assert facts["daemon"]["password"].startswith("set, yescrypt")


def test_a_line_that_is_no_account_is_told_by_a_digest() -> None:
    facts = AccountsCollector().read({"asked": part(), "passwd": part("# x\nhunter22:x:0:0\n")}).facts

    assert [*facts] == ["/etc/passwd: what is no account"]
    assert "hunter22" not in repr(facts)


def test_a_password_that_is_replaced_on_the_same_day_differs() -> None:
    one, two = (
        AccountsCollector().read(recorded("accounts", shadow=part(f"root:{field}:20089:0:99999:7:::\n"))).facts
        for field in ("$6$salt$hash", "$6$salt$other")
    )

    assert one["root"]["password"] != two["root"]["password"]
