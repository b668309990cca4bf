"""Capabilities of files, told alike whatever tool read them (capabilities(7), include/uapi/linux/capability.h)."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

NAMES = (
    "chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap",
    "linux_immutable", "net_bind_service", "net_broadcast", "net_admin", "net_raw", "ipc_lock", "ipc_owner",
    "sys_module", "sys_rawio", "sys_chroot", "sys_ptrace", "sys_pacct", "sys_admin", "sys_boot", "sys_nice",
    "sys_resource", "sys_time", "sys_tty_config", "mknod", "lease", "audit_write", "audit_control", "setfcap",
    "mac_override", "mac_admin", "syslog", "wake_alarm", "block_suspend", "audit_read", "perfmon", "bpf",
    "checkpoint_restore",
)  # fmt: skip
"""By their numbers."""

EFFECTIVE = 1
REVISION_1, REVISION_2, REVISION_3 = 0x01000000, 0x02000000, 0x03000000

PERL = r"""
BEGIN { %number = (x86_64 => 191, aarch64 => 8, riscv64 => 8, loongarch64 => 8, s390x => 227, ppc64le => 212);
        $call = $number{$ENV{machine}}; }
chomp;
$name = "security.capability";
$value = "\0" x 64;
$length = syscall($call, $_, $name, $value, 64);
print unpack("H*", substr($value, 0, $length)), " $_\0" if $length > 0;
"""
"""getxattr(2), for machines that have no getcap(8): every Debian has a Perl."""

GETCAP = re.compile(rb"^(/.*?) (?:= )?((?:cap_[\w,]+|all)[=+][eip]*(?: cap_[\w,]+[=+][eip]*)*)$")


def from_attribute(told: bytes) -> Iterator[tuple[bytes, str]]:
    """Give each file with its capabilities, of records that hold the extended attribute in hexadecimal digits."""
    for record in told.split(b"\0")[:-1]:
        value, _, path = record.partition(b" ")
        try:
            yield path, _decoded(bytes.fromhex(value.decode("ascii")))
        except (ValueError, struct.error):
            yield path, "unreadable"


def from_getcap(told: bytes) -> Iterator[tuple[bytes, str]]:
    """Give each file with its capabilities, of what getcap(8) prints, in its old form too."""
    for line in told.split(b"\n"):
        if found := GETCAP.match(line):
            flags: dict[str, str] = {}
            for clause in found[2].decode("ascii").split():
                names, _, letters = clause.replace("+", "=").partition("=")
                flags |= {name.removeprefix("cap_"): "".join(sorted(letters)) for name in names.split(",")}
            yield found[1], _words(flags)


def _decoded(raw: bytes) -> str:
    (magic,) = struct.unpack_from("<I", raw)
    masks = [struct.unpack_from("<II", raw, 4)]
    if magic & 0xFF000000 in {REVISION_2, REVISION_3}:
        masks.append(struct.unpack_from("<II", raw, 12))
    permitted = sum(mask[0] << 32 * at for at, mask in enumerate(masks))
    inheritable = sum(mask[1] << 32 * at for at, mask in enumerate(masks))
    flags = {}
    for number in range(64):
        bit = 1 << number
        letters = [("e", magic & EFFECTIVE and (permitted | inheritable) & bit), ("i", inheritable & bit),
                   ("p", permitted & bit)]  # fmt: skip
        name = NAMES[number] if number < len(NAMES) else str(number)
        flags[name] = "".join(letter for letter, is_set in letters if is_set)
    return _words(flags)


def _words(flags: dict[str, str]) -> str:
    return ", ".join(f"{name}={letters}" for name, letters in sorted(flags.items()) if letters) or "none"
