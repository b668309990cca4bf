"""Keys that let somebody log in."""

from __future__ import annotations

from imagetest.collectors.keys import KeysCollector
from imagetest.execute import keys
from imagetest.model.plan import Scope
from imagetest.model.snapshot import Family, Gap
from tests.collectors.recorded import part, zeros

ONE, TWO = keys.generate(), keys.generate()


def read(content: str, brought: str = "", stderr: str = "") -> Family:
    authorized = part(zeros("root authorized_keys", content), stderr=stderr)
    return KeysCollector().read({"authorized": authorized, "brought": part(f"{brought}\n")})


def test_a_key_is_known_by_its_fingerprint() -> None:
    found = read(f"# a comment\n\n{ONE.public} bob@home\n").facts

    assert found == {
        f"root/{ONE.fingerprint}": {"file": "authorized_keys", "type": "ssh-ed25519", "comment": "bob@home"}
    }


def test_options_are_told() -> None:
    line = f'restrict,command="echo \\"a b\\"",from="10.0.0.0/8" {ONE.public}'
    (found,) = read(line).facts.values()

    assert found["options"].startswith("restrict,command=")
    assert found["options"].endswith('from="10.0.0.0/8"')


def test_the_key_that_was_brought_is_none_of_the_machines() -> None:
    found = read(f"{ONE.public}\n{TWO.public} imagetest\n", brought=ONE.public).facts

    assert list(found) == [f"root/{TWO.fingerprint}"]
    assert f"'{ONE.public}'" in KeysCollector().script(Scope(brought=(ONE.public,)))


def test_a_line_that_is_no_key_is_told_too() -> None:
    assert read("garbage\n").facts == {"root/garbage": {"file": "authorized_keys", "type": "not a key"}}


def test_a_home_that_is_closed_is_a_gap_for_that_account() -> None:
    assert read("", stderr="keys: /bob/: Permission denied").gaps == (Gap(key="bob/", reason="Permission denied"),)
