"""The packages of the image: whole, as their makers shipped them, and none that should not be there."""

from __future__ import annotations

import re

from testinfra.host import Host

from imagetest import control

STRIPPED = re.compile(r"missing +(c )?(/var|/usr/share/(bug|doc|doc-base|groff|info|linda|lintian|locale|man))(/|$)")
CLEARTEXT = """
    atftpd ftp ftpd inetutils-ftp inetutils-ftpd inetutils-inetd inetutils-talk inetutils-talkd inetutils-telnet
    inetutils-telnetd nis openbsd-inetd rsh-client rsh-redone-client rsh-redone-server rsh-server rwhod talk talkd
    telnet telnetd telnetd-ssl tftp tftpd tftpd-hpa tnftp vsftpd xinetd yp-tools ypserv
    """


@control("packages-fully-installed")
def test_every_package_is_fully_installed(host: Host) -> None:
    """No package is left half unpacked, unconfigured or without its records."""
    broken = host.check_output("dpkg --audit")

    assert not broken, broken


@control("packages-complete-dependencies")
def test_every_dependency_is_met(host: Host) -> None:
    """Every installed package has what it depends on; caches and locks are left alone."""
    quiet = "-q=2 -o Debug::NoLocking=1 -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache="
    done = host.run(f"apt-get {quiet} check")

    assert (done.rc, done.stdout, done.stderr) == (0, "", ""), done.stdout + done.stderr


@control("packages-unmodified")
def test_files_are_as_their_packages_shipped_them(host: Host) -> None:
    """No program or library was changed or removed behind the package manager's back.

    Configuration and state under /var may differ, and a slim image may lack documentation and translations.
    """
    done = host.run("dpkg --verify")
    changed = [line for line in done.stdout.splitlines() if " c /" not in line and not STRIPPED.match(line)]

    assert not changed, f"changed or missing: {changed}"
    assert (done.rc in {0, 1}, done.stderr) == (True, ""), f"dpkg exited with {done.rc}: {done.stderr}"


@control("packages-no-cleartext-protocols")
def test_nothing_sends_passwords_in_the_clear(host: Host) -> None:
    """No client or server of a protocol that sends passwords in the clear is installed."""
    rows = host.check_output(r"dpkg-query -W -f '${db:Status-Status} ${Package}\n'").splitlines()
    installed = {name for status, name in (row.split() for row in rows) if status == "installed"}

    assert "dpkg" in installed
    found = sorted(installed.intersection(CLEARTEXT.split()))

    assert not found, f"installed: {found}"
