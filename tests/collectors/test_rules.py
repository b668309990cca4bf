"""What is normalised, rule by rule: in the expected form, and in no other."""

from __future__ import annotations

import hashlib
import re

import pytest

from imagetest.collectors.rules import RULES, normalised
from tests.test_docs import ROOT

HEX = "0123456789abcdef" * 2
SHA = "a" * 64

REPLACED = [
    ("machine-id", "kernel", "machine-id", "value", HEX, "uninitialized"),
    ("hostname", "kernel", "hostname", "value", "web-1", "web 1"),
    ("hostname", "sysctl", "kernel.hostname", "value", "web-1.example", ""),
    ("hostname", "environment", "process 1: HOSTNAME", "value", "web", "$(web)"),
    ("host-key", "sshd", "host key ssh_host_rsa_key.pub", "key", "ssh-rsa AAAAB3Nz", "no key"),
    ("own-address", "listeners", "tcp <own-address>:22", "address", "172.17.0.2", "eth0"),
    ("fastopen-key", "sysctl", "net.ipv4.tcp_fastopen_key", "value", "00000000-1-2-abcdef", "by hand"),
    ("stable-secret", "sysctl", "net.ipv6.conf.eth0.stable_secret", "value", "2001:db8::1", "none at all"),
    ("boot-device", "kernel", "parameter root", "value", "UUID=5d1f9bd2-8e0f-4f4e", "/dev/sda1"),
    (
        "docker-injected", "files", "/etc/hosts", "content", f"mounted from /var/lib/docker/containers/{SHA}/hosts",
        "9 bytes, sha256 x",
    ),
    (
        "docker-injected", "mounts", "/etc/hosts", "source", f"/dev/sda1[/var/lib/docker/containers/{SHA}/hosts]",
        "/dev/sda1[/tmp/hosts]",
    ),
    ("overlay-paths", "mounts", "/", "layers", "lowerdir=/var/lib/x:/y,upperdir=/z,workdir=/w", "by hand"),
    ("container-cgroup", "mounts", "/sys/fs/cgroup/cpu", "source", f"cgroup[/docker/{SHA}]", "cgroup"),
    ("autofs-pipe", "mounts", "/x", "pipe", "fd=29,pgrp=1,pipe_ino=1234", "fd=x"),
    ("update-stamps", "files", "/etc/.updated", "content", "208 bytes, sha256 x", "mounted from /x"),
    ("clock-adjustment", "files", "/etc/adjtime", "content", "44 bytes, sha256 x", "44444 bytes"),
    ("boot-state", "files", "/boot/grub/grubenv", "content", "1024 bytes, sha256 x", "1025 bytes"),
    ("random-seed", "files", "/var/lib/systemd/random-seed", "content", "32 bytes", "99999 bytes"),
    ("leases", "files", "/var/lib/dhcp/dhclient.eth0.leases", "content", "300 bytes", "mounted from /x"),
    ("logs", "files", "/var/log/dpkg.log", "content", "5 bytes", "mounted from /x"),
    ("at-sequence", "files", "/var/spool/cron/atjobs/.SEQ", "content", "6 bytes, sha256 x", "60 bytes"),
]  # fmt: skip

EMPTY = {"type": "file", "mode": "0600", "owner": "root", "group": "root", "content": "0 bytes"}
TRANSIENT = {"file": "none", "state": "active"}
DROPPED = [
    ("kernel-counters", "sysctl", "fs.dentry-state", {"value": "1 2 3"}, {"value": "by hand"}),
    ("kernel-counters", "sysctl", "kernel.random.uuid", {"value": "5d1f9bd2-8e0f"}, {"value": "x!"}),
    ("login-mounts", "mounts", "/run/user/1000", {"type": "tmpfs"}, None),
    ("credentials-mounts", "mounts", "/run/credentials/x.service", {"type": "ramfs"}, None),
    ("login-units", "units", "user@1000.service", {"state": "active"}, None),
    ("connection-units", "units", "ssh@0-10.0.0.1:22-10.0.0.2:999.service", {"state": "active"}, None),
    ("expiry-timer", "units", "imagetest-expiry.timer", TRANSIENT, TRANSIENT | {"file": "/etc/systemd/system/x"}),
    ("docker-marker", "files", "/.dockerenv", EMPTY | {"mode": "0755"}, EMPTY | {"content": "9 bytes"}),
    ("lock-files", "files", "/etc/.pwd.lock", EMPTY, EMPTY | {"mode": "0666"}),
    ("account-backups", "files", "/etc/passwd-", EMPTY | {"mode": "0644"}, EMPTY | {"mode": "4755"}),
    ("account-backups", "files", "/etc/shadow-", EMPTY | {"group": "shadow"}, EMPTY | {"mode": "0644"}),
    ("private-tmp", "files", f"/tmp/systemd-private-{HEX}-x.service-a1B2/tmp", EMPTY, EMPTY | {"mode": "4755"}),
    ("stamps", "files", "/var/lib/systemd/timers/stamp-x.timer", EMPTY, EMPTY | {"content": "9 bytes"}),
    ("journal", "files", f"/var/log/journal/{HEX}/system.journal", EMPTY, {"type": "file", "mode": "4755"}),
]

KEPT = [
    ("sysctl", "kernel.randomize_va_space"),
    ("sysctl", "net.ipv4.ip_forward"),
    ("mounts", "/run/user"),
    ("mounts", "/srv"),
    ("units", "ssh@mallory.service"),
    ("units", "user@mallory.service"),
    ("files", "/tmp/systemd-private-x"),
    ("files", "/etc/passwd"),
    ("files", "/.dockerenv2"),
    ("files", f"/srv/log/journal/{HEX}"),
]


@pytest.mark.parametrize(("rule", "family", "key", "attribute", "value", "other"), REPLACED)
def test_a_value_of_the_expected_form_is_replaced_and_no_other(
    *, rule: str, family: str, key: str, attribute: str, value: str, other: str
) -> None:
    replaced = normalised(family, "x", {key: {attribute: value, "also": "1"}})
    kept = normalised(family, "x", {key: {attribute: other, "also": "1"}})

    assert replaced.facts == {key: {attribute: f"<{rule}>", "also": "1"}}
    assert kept.facts == {key: {attribute: other, "also": "1"}}
    unique = any(one.unique for one in RULES if one.name == rule and one.family == family)
    assert replaced.unique == ({rule: {key: hashlib.sha256(value.encode()).hexdigest()}} if unique else {})
    assert kept.unique == {}


@pytest.mark.parametrize(("rule", "family", "key", "attributes", "other"), DROPPED)
def test_a_fact_that_comes_and_goes_is_dropped_in_its_expected_form(
    rule: str, family: str, key: str, attributes: dict[str, str], other: dict[str, str] | None
) -> None:
    assert rule in {one.name for one in RULES}
    assert normalised(family, "x", {key: attributes}).facts == {}
    if other is not None:
        assert normalised(family, "x", {key: other}).facts == {key: other}


@pytest.mark.parametrize(("family", "key"), KEPT)
def test_what_is_not_volatile_is_kept(family: str, key: str) -> None:
    facts = {key: {"value": "1"}}

    assert normalised(family, "x", facts).facts == facts


def test_every_rule_is_tried_here() -> None:
    tried = {(one[0], one[1]) for one in REPLACED} | {(one[0], one[1]) for one in DROPPED}

    assert {(one.name, one.family) for one in RULES} == tried


def test_every_rule_is_documented_and_no_other() -> None:
    text = (ROOT / "docs" / "collectors.md").read_text()
    shown = set(re.findall(r"^\| `([\w-]+)` \| `([\w-]+)` \|", text, re.MULTILINE))

    assert shown == {(one.name, one.family) for one in RULES}


def test_every_rule_says_why() -> None:
    for one in RULES:
        assert len(one.why) > 10
        assert one.key
        assert one.attribute or not one.unique
