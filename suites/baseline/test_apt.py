"""Where packages come from, and how that is proved; judged from what APT itself would use."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from testinfra.host import Host

from imagetest import control

YES, NO = r'"?(1|yes|true|with|on|enable)\b', r'"?(0|no|false|without|off|disable)\b'
UNSIGNED = r"(trusted|allow-insecure|allow-weak|allow-downgrade-to-insecure)"


@pytest.fixture
def sources(host: Host) -> list[str]:
    """Return every line of every package source, behind the name of its file."""
    files = "/etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources"
    script = f'for f in {files}; do if [ -f "$f" ]; then sed "s|^|$f: |" "$f" || exit; fi; done'
    return [line for line in host.check_output(script).splitlines() if not re.search(r"^\S+: *(#|$)", line)]


@pytest.fixture
def settings(host: Host) -> list[str]:
    """Return every setting of APT, as `Name "value";`."""
    return host.check_output("apt-config dump").splitlines()


@control("apt-signed-sources")
def test_every_source_is_signed(sources: list[str]) -> None:
    """No package source is exempt from proving by a signature who made it."""
    found = _matching(rf"\b{UNSIGNED}\s*[=:]\s*{YES}", sources)

    assert not found, f"not verified: {found}"


@control("apt-authenticated-packages")
def test_nothing_unauthenticated_is_installed(settings: list[str]) -> None:
    """APT installs nothing whose origin it could not verify."""
    found = _matching(rf"(AllowUnauthenticated|Allow\w*(Insecure|Weak)\w*Repositories) {YES}", settings)

    assert not found, f"lets unverified packages in: {found}"


@control("apt-fresh-indexes")
def test_an_old_index_is_refused(settings: list[str], sources: list[str]) -> None:
    """Nobody can hide a security update by replaying an index from before it."""
    expiry = rf"\bCheck-(Valid-Until|Date)\s*[ =:]\s*{NO}"
    found = _matching(expiry, settings) + _matching(expiry, sources)

    assert not found, f"age not checked: {found}"


@control("apt-protected-keyrings")
def test_keyrings_are_changed_by_root_alone(loose: Callable[..., list[str]]) -> None:
    """Only root decides whose signature is believed."""
    places = ("/etc/apt/trusted.gpg.d", "/etc/apt/keyrings", "/usr/share/keyrings")
    patterns = " ".join(["/etc/apt/trusted.gpg", *(f"{place} {place}/*" for place in places)])
    found = loose(patterns, bits=0o022)

    assert not found, f"too open or not root's: {found}"


@control("apt-no-passwords")
def test_no_source_holds_a_password(host: Host, sources: list[str]) -> None:
    """No password for a package source went into the image."""
    files = "/etc/apt/auth.conf /etc/apt/auth.conf.d/*"
    logins = host.check_output(f'for f in {files}; do if [ -s "$f" ]; then echo "$f"; fi; done').splitlines()
    found = logins + [line.partition(":")[0] for line in _matching(r"://[^/@\s]+:[^/@\s]+@", sources)]

    assert not found, f"holds a password: {found}"


def _matching(pattern: str, lines: list[str]) -> list[str]:
    return [line for line in lines if re.search(pattern, line, re.IGNORECASE)]
