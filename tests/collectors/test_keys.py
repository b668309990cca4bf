"""Keys that let somebody log in."""

from __future__ import annotations

import pytest

from imagetest.collectors.keys import KeysCollector
from imagetest.execute import keys
from imagetest.model.plan import Scope
from imagetest.model.snapshot import Family, Gap
from tests.collectors.conftest import Boots
from tests.collectors.recorded import part, zeros
from tests.dockyard import Dockyard
from tests.drivers.images import server

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


def test_of_lines_that_are_no_keys_nothing_is_told_but_a_digest() -> None:
    body = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW"
    one, two = (read(f"-----BEGIN OPENSSH PRIVATE KEY-----\n{body}{end}\n").facts for end in "AB")

    assert [*one] == [*two] == ["root/what is no key"]
    assert one != two
    assert one["root/what is no key"]["type"] == "not a key"
    assert one["root/what is no key"]["content"].startswith("2 lines, [secret] ")
    assert body[:8] not in repr(one)


@pytest.mark.parametrize(
    "content",
    [
        '"' + '\\"' * 4000,
        "x" * 16_000 + " y",
        "garbage\n" * 100_000,
        "\n".join(f"token={number}" for number in range(100_000)),
        "\n".join(f"ssh-ed25519 AAAA{number}" for number in range(5000)),
        "ssh-ed25519 AAAA\n" * 30_000,
    ],
    ids=["quotes", "long", "same", "secrets", "unreadable", "repeated"],
)
@pytest.mark.timeout(20)
def test_no_file_takes_longer_to_read_than_its_size(content: str) -> None:
    assert read(content).facts


def test_a_line_that_is_too_long_is_no_key() -> None:
    assert [*read(f"{ONE.public} {'x' * 20_000}").facts] == ["root/what is no key"]


@pytest.mark.docker
def test_what_a_user_puts_in_the_place_of_the_file_is_not_read_as_root(dockyard: Dockyard, boots: Boots) -> None:
    users = "RUN for one in ann bob cid dan; do useradd -m $one && mkdir /home/$one/.ssh; done"
    with boots(dockyard.build(*server(users))) as up:
        up.run("ssh-keygen -q -t ed25519 -N '' -f /root/id && ln -s /root/id.pub /home/ann/.ssh/authorized_keys")
        up.run("mkfifo /home/bob/.ssh/authorized_keys")
        up.run("cp /root/id.pub /home/cid/mine && ln -s ../mine /home/cid/.ssh/authorized_keys")
        up.run("cp /root/id.pub /home/dan/.ssh/authorized_keys")
        found = up.snapshot("keys").family("keys")

    assert found is not None
    assert sorted(key.partition("/")[0] for key in found.facts) == ["cid", "dan"]
    assert set(found.gaps) == {
        Gap(key="ann/", reason="a link leads out of the home"),
        Gap(key="bob/", reason="it is no regular file"),
    }


def test_a_home_that_is_closed_is_a_gap_for_that_account() -> None:
    assert read("", stderr="keys: /bob/: Permission denied").gaps == (Gap(key="bob/", reason="Permission denied"),)
