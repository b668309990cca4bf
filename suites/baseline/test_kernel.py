"""What the image tells its kernel.

Judged from the configuration that is applied at boot, as a container cannot change the kernel that it shares.
"""

from __future__ import annotations

from fnmatch import fnmatch

import pytest
from testinfra.host import Host

from imagetest import control

FAMILIES = ("net.ipv4.conf.all", "net.ipv4.conf.default", "net.ipv6.conf.all", "net.ipv6.conf.default")


Settings = list[tuple[str, str]]


@pytest.fixture
def configured(systemd: Host) -> Settings:
    """Return the kernel settings that systemd would apply at boot, in that order."""
    lines = systemd.check_output("systemd-analyze cat-config sysctl.d").splitlines()
    pairs = [line.partition("=") for line in lines if "=" in line and not line.startswith(("#", ";"))]
    return [(key.strip().lstrip("-").replace("/", "."), value.strip()) for key, _, value in pairs]


@control("kernel-random-addresses")
def test_addresses_are_random(configured: Settings) -> None:
    """Stack, libraries and heap lie somewhere else in every process."""
    value = _value(configured, "kernel.randomize_va_space")

    assert value == "2", f"kernel.randomize_va_space is set to {value!r}"


@control("kernel-hidden-addresses")
def test_the_kernel_hides_its_addresses(configured: Settings) -> None:
    """Neither /proc nor the kernel's log tells an ordinary user where the kernel lies."""
    wanted = {"kernel.kptr_restrict": {"1", "2"}, "kernel.dmesg_restrict": {"1"}}
    found = {
        name: _value(configured, name) for name, values in wanted.items() if _value(configured, name) not in values
    }

    assert not found, f"set to {found}"


@control("kernel-protected-links")
def test_links_of_others_are_not_followed(configured: Settings) -> None:
    """A link that somebody planted in a shared directory leads no one else astray."""
    names = ("fs.protected_symlinks", "fs.protected_hardlinks")
    found = {name: _value(configured, name) for name in names if _value(configured, name) != "1"}

    assert not found, f"set to {found}"


@control("network-no-redirects")
def test_nobody_else_decides_the_route(configured: Settings) -> None:
    """The machine takes no route from a packet or from a neighbour."""
    names = [f"{family}.{name}" for family in FAMILIES for name in ("accept_redirects", "accept_source_route")]
    found = {name: _value(configured, name) for name in names if _value(configured, name) != "0"}

    assert not found, f"set to {found}"


def _value(configured: Settings, name: str) -> str:
    """Return the last value of a setting: its own, or else that of a pattern that it matches."""
    own = [value for key, value in configured if key == name]
    by_pattern = [value for key, value in configured if fnmatch(name, key)]
    return (own or by_pattern or [""])[-1]
