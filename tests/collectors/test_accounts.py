"""Accounts, without a single password hash."""

from __future__ import annotations

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

    assert found.facts["root"]["password"] == words
    assert "hash" not in repr(found)
    assert "F5Jx5f" not in repr(found)


def test_a_hash_in_passwd_itself_is_not_told_either() -> None:
    found = AccountsCollector().read({"asked": part(), "passwd": part("old:abJnggxhB/yWI:1:1::/:/bin/sh\n")})

    assert found.facts["old"]["password"] == "set, by DES or something unknown"
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
