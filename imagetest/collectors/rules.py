"""What differs between two boots of one image, by name: a value of the expected form is replaced, a fact is dropped.

Each rule is as narrow as can be: what a change by hand could hide behind is no good rule.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from imagetest.collectors.reading import digest
from imagetest.model.snapshot import Family, Gap

Facts = dict[str, dict[str, str]]

HEX = "[0-9a-f]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One thing that is not the same on two machines that are."""

    name: str
    family: str
    key: str
    """A regular expression for the whole key."""
    attribute: str = ""
    """Whose value is replaced by the rule's name; empty when the fact itself is dropped."""
    form: str = ".*"
    """A regular expression for the whole value; of a fact that is dropped, for each of its values."""
    unique: bool = False
    """Whether every machine must have a value of its own."""
    why: str

    def drops(self, key: str, attributes: Mapping[str, str]) -> bool:
        """Say whether the fact is one that comes and goes by itself."""
        if self.attribute or not re.fullmatch(self.key, key):
            return False
        return all(re.fullmatch(self.form, value) for value in attributes.values())

    def replaces(self, key: str, attributes: Mapping[str, str]) -> bool:
        """Say whether the fact has the attribute, and in the expected form."""
        value = attributes.get(self.attribute) if self.attribute else None
        return value is not None and bool(re.fullmatch(self.key, key) and re.fullmatch(self.form, value))


COUNTERS = (
    r"fs\.(dentry-state|file-nr|inode-nr|inode-state|aio-nr|quota\..*)|kernel\.(ns_last_pid|pty\.nr)"
    r"|kernel\.random\.(uuid|boot_id|entropy_avail)|net\.netfilter\.nf_conntrack_count|kernel\.perf_event_max_sample_rate"
)
PRIVATE_TMP = rf"(/tmp|/var/tmp)/systemd-private-{HEX}{{32}}-[^/]+(/.*)?"
CONTAINER = rf"/.*/containers/{HEX}{{64}}/(hosts|hostname|resolv\.conf)"

RULES = (
    Rule(
        name="machine-id", family="kernel", key="machine-id", attribute="value", form=f"{HEX}{{32}}", unique=True,
        why="made at the first boot, one for each machine (machine-id(5))",
    ),
    Rule(
        name="hostname", family="kernel", key="hostname", attribute="value", form=r"[\w.-]+",
        why="each machine has its own name",
    ),
    Rule(
        name="hostname", family="sysctl", key=r"kernel\.hostname", attribute="value", form=r"[\w.-]+",
        why="each machine has its own name",
    ),
    Rule(
        name="hostname", family="environment", key=r"process 1: HOSTNAME", attribute="value", form=r"[\w.-]+",
        why="each machine has its own name, and a container engine tells process 1",
    ),
    Rule(
        name="host-key", family="sshd", key=r"host key .*", attribute="key",
        form=r"(ssh-\w+|ecdsa-sha2-nistp\d+) [\w+/=]+", unique=True,
        why="made at the first boot, one for each machine (ssh-keygen -A)",
    ),
    Rule(
        name="own-address", family="listeners", key=r".* <own-address>:.*", attribute="address", form=r"[0-9a-f.:]+",
        unique=True, why="the address of the machine itself, which another machine cannot have",
    ),
    Rule(
        name="fastopen-key", family="sysctl", key=r"net\.ipv4\.tcp_fastopen_key", attribute="value",
        form=rf"[{HEX[1:-1]},-]+", why="a random number of each boot (tcp(7))",
    ),
    Rule(
        name="stable-secret", family="sysctl", key=r"net\.ipv6\.conf\..*\.stable_secret", attribute="value",
        form=r"[0-9a-f:]+", why="a random number of each interface (RFC 7217)",
    ),
    Rule(
        name="kernel-counters", family="sysctl", key=COUNTERS, form=r"[\s0-9a-fx\\-]*",
        why="the kernel counts in them, or draws them anew at every reading (proc_sys_fs(5), proc_sys_kernel(5))",
    ),
    Rule(
        name="boot-device", family="kernel", key=r"parameter (root|resume)", attribute="value",
        form=r"(PART)?UUID=[0-9A-Fa-f-]+", why="a file system's own number, drawn when it is made",
    ),
    Rule(
        name="docker-injected", family="files", key="/etc/(hosts|hostname|resolv\\.conf)", attribute="content",
        form=rf"mounted from {CONTAINER}", why="Docker mounts a file of its own over it in each container",
    ),
    Rule(
        name="docker-injected", family="mounts", key="/etc/(hosts|hostname|resolv\\.conf)", attribute="source",
        form=rf".*\[{CONTAINER}\]", why="Docker mounts a file of its own over it in each container",
    ),
    Rule(
        name="overlay-paths", family="mounts", key="/", attribute="layers",
        form=r"((lower|upper|work)dir=[/\w:.@-]+,?)+", why="where the engine keeps the layers of this one container",
    ),
    Rule(
        name="container-cgroup", family="mounts", key="/sys/fs/cgroup(/.*)?", attribute="source",
        form=rf".*\[/.*{HEX}{{64}}.*\]", why="the cgroup has the name of this one container",
    ),
    Rule(
        name="autofs-pipe", family="mounts", key=r".*", attribute="pipe",
        form=r"((fd|pgrp|pipe_ino)=\d+,?)+", why="descriptors and process ids of systemd's automounter",
    ),
    Rule(
        name="login-mounts", family="mounts", key=r"/run/user/\d+",
        why="mounted while that user is logged in, as whoever takes the snapshot may be",
    ),
    Rule(
        name="credentials-mounts", family="mounts", key=r"/run/credentials/[\w@.\\-]+",
        why="mounted while the unit of that name runs (systemd.exec(5))",
    ),
    Rule(
        name="login-units", family="units", key=r"(user|user-runtime-dir)@\d+\.service|session-c?\d+\.scope",
        why="there while that user is logged in, as whoever takes the snapshot may be",
    ),
    Rule(
        name="connection-units", family="units", key=r"sshd?@\d+-[\d.:]+-[\d.:]+\.service",
        why="one for each connection to an SSH server that a socket starts",
    ),
    Rule(
        name="expiry-timer", family="units", key=r"imagetest-expiry\.(timer|service)", form=r"none|active|inactive",
        why="ends an instance that imagetest booted; a unit of that name that comes from a file is none of it",
    ),
    Rule(
        name="docker-marker", family="files", key=r"/\.dockerenv",
        why="Docker places it in each container", form=r"file|0755|root|0 bytes",
    ),
    Rule(
        name="lock-files", family="files", key=r"/etc/\.pwd\.lock",
        form=r"file|0600|root|0 bytes|0 bytes, sha256 e3b0.*",
        why="made by the first program that changes an account (lckpwdf(3)); empty",
    ),
    Rule(
        name="account-backups", family="files", key=r"/etc/(passwd|group|subuid|subgid)-",
        form=r"file|0600|0644|root|\d+ bytes.*",
        why="the state before the last change to an account; what counts is read by `accounts` and `groups`",
    ),
    Rule(
        name="account-backups", family="files", key=r"/etc/g?shadow-",
        form=r"file|0[0246]00|0640|root|shadow|\d+ bytes.*",
        why="the state before the last change to an account; what counts is read by `accounts` and `groups`",
    ),
    Rule(
        name="update-stamps", family="files", key=r"/(etc|var)/\.updated", attribute="content",
        form=r"\d+ bytes.*", why="systemd notes the time of its last offline update (systemd-update-done.service(8))",
    ),
    Rule(
        name="clock-adjustment", family="files", key=r"/etc/adjtime", attribute="content",
        form=r"\d{1,3} bytes.*", why="hwclock(8) notes how the clock drifts",
    ),
    Rule(
        name="boot-state", family="files", key=r"/boot/grub2?/grubenv", attribute="content",
        form=r"1024 bytes.*", why="GRUB notes whether the last boot succeeded",
    ),
    Rule(
        name="private-tmp", family="files", key=PRIVATE_TMP,
        form=r"file|directory|link|socket|pipe|[01][0-7]{3}|[A-Za-z_][^=,/]*|\d{5,}|\d+ bytes.*|.*/.*",
        why="the private /tmp of a unit, with the boot's number in its name (systemd.exec(5), PrivateTmp=)",
    ),
    Rule(
        name="random-seed", family="files", key=r"/var/lib/(systemd/random-seed|urandom/random-seed)",
        attribute="content", form=r"\d{1,4} bytes.*", why="drawn anew at every shutdown and boot",
    ),
    Rule(
        name="leases", family="files",
        key=r"/var/lib/(dhcp|dhclient|dhcpcd|NetworkManager)/[^/]*\.leases?|/run/systemd/netif/leases/\d+",
        attribute="content", form=r"\d+ bytes.*", why="the address that this machine has been lent, and until when",
    ),
    Rule(
        name="stamps", family="files",
        key=r"/var/lib/systemd/(timers/stamp-.*\.timer|timesync/clock|linger/.*)|/var/lib/apt/periodic/[\w-]+-stamp",
        why="empty files whose time says when something ran last", form=r"file|0[0-7]{3}|[\w-]+|0 bytes.*",
    ),
    Rule(
        name="logs", family="files", key=r"/var/log/.*", attribute="content", form=r"\d+ bytes.*",
        why="grows while the machine runs",
    ),
    Rule(
        name="journal", family="files", key=rf"/(var|run)/log/journal/{HEX}{{32}}(/.*)?",
        form=r"file|directory|06[04][04]|07[05][05]|27[05][05]|root|systemd-journal|\d+ bytes.*",
        why="named after the machine and the time (systemd-journald(8))",
    ),
    Rule(
        name="at-sequence", family="files", key=r"/var/spool/cron/atjobs/\.SEQ", attribute="content",
        form=r"\d bytes.*", why="the number of the last at(1) job",
    ),
)  # fmt: skip
"""All of them; docs/collectors.md lists them too."""


def normalised(family: str, noun: str, facts: Mapping[str, Mapping[str, str]], gaps: Iterable[Gap] = ()) -> Family:
    """Return a family whose volatile facts are replaced or dropped, each by a rule."""
    rules, concerned = _rules_of(family)
    kept: Facts = {}
    unique: dict[str, dict[str, str]] = {}
    for key, attributes in facts.items():
        if not concerned.fullmatch(key):
            kept[key] = dict(attributes)
            continue
        if any(rule.drops(key, attributes) for rule in rules):
            continue
        kept[key] = dict(attributes)
        for rule in rules:
            if rule.replaces(key, attributes):
                kept[key][rule.attribute] = f"<{rule.name}>"
                if rule.unique:
                    unique.setdefault(rule.name, {})[key] = digest(attributes[rule.attribute].encode())
    return Family(name=family, noun=noun, facts=kept, gaps=tuple(dict.fromkeys(gaps)), unique=unique)


@functools.cache
def _rules_of(family: str) -> tuple[list[Rule], re.Pattern[str]]:
    """Return the rules of a family, and what matches the keys of all facts that any of them is about.

    A machine has thousands of files, and hardly one is volatile: asking every rule about each took longer than parsing.
    """
    rules = [rule for rule in RULES if rule.family == family]
    return rules, re.compile("|".join(f"(?:{rule.key})" for rule in rules) or "(?!)")
