"""Packages of dpkg, rpm and apk."""

from __future__ import annotations

import pytest

from imagetest.collectors.packages import PackagesCollector
from imagetest.model.snapshot import Family, Gap, Part
from tests.collectors.recorded import OK, part, recorded

RPM = """bash\t0:5.1.8-9.el9\tbash-5.1.8-9.el9.src.rpm\tx86_64
kernel-core\t0:5.14.0-427.el9\tkernel-5.14.0-427.el9.src.rpm\tx86_64
kernel-core\t0:5.14.0-503.el9\tkernel-5.14.0-503.el9.src.rpm\tx86_64
bind-utils\t32:9.16.23-18.el9\tbind-9.16.23-18.el9.src.rpm\tx86_64
gpg-pubkey\t0:fd431d51-4ae0493b\t(none)\t(none)
"""
APK = """C:Q1p78yvTLG094tHE1+dToJGbmYzQE=
P:alpine-baselayout
V:3.4.3-r1
A:x86_64
o:alpine-baselayout
F:etc

P:busybox
V:1.36.1-r2
A:x86_64
o:busybox
f:s
"""


def read(**parts: Part) -> Family:
    return PackagesCollector().read({"asked": OK, **parts})


def test_a_recorded_debian_tells_its_packages() -> None:
    found = PackagesCollector().read(recorded("packages"))

    assert (found.noun, found.gaps) == ("package", ())
    assert found.facts["adduser"] == {
        "version": "3.134", "source": "adduser", "architecture": "all", "state": "installed",
    }  # fmt: skip
    assert len(found.facts) == 30


@pytest.mark.parametrize(
    ("abbreviation", "state"),
    [
        ("ii ", "installed"),
        ("hi ", "installed, held"),
        ("ri ", "installed, to be removed"),
        ("rc ", "removed, its configuration left"),
        ("iU ", "unpacked, not configured"),
        ("iF ", "half configured"),
        ("iHR", "half installed, to be reinstalled"),
    ],
)
def test_each_state_of_dpkg_has_its_words(abbreviation: str, state: str) -> None:
    found = read(dpkg=part(f"curl\t7.88\tcurl\tamd64\t{abbreviation}\n"))

    assert found.facts["curl"]["state"] == state


def test_a_package_that_dpkg_has_only_heard_of_is_none() -> None:
    assert read(dpkg=part("curl\t\tcurl\t\tun \n")).facts == {}


def test_rpm_tells_epochs_and_may_have_one_package_twice() -> None:
    found = read(rpm=part(RPM)).facts

    assert found["bind-utils"]["version"] == "32:9.16.23-18.el9"
    assert found["bash"]["version"] == "5.1.8-9.el9"
    assert found["kernel-core"]["version"] != found["kernel-core (2)"]["version"]


def test_apk_tells_broken_packages() -> None:
    found = read(apk=part(APK)).facts

    assert found["alpine-baselayout"] == {
        "version": "3.4.3-r1", "source": "alpine-baselayout", "architecture": "x86_64", "state": "installed",
    }  # fmt: skip
    assert found["busybox"]["state"] == "broken"


def test_a_manager_that_fails_is_a_gap() -> None:
    broken = part(stderr="dpkg-query: error: failed to open package info file", code=2)

    assert read(dpkg=broken).gaps == (Gap(reason="dpkg-query: error: failed to open package info file"),)


def test_a_machine_without_any_has_no_packages_and_no_gap() -> None:
    assert (read().facts, read().gaps) == ({}, ())


def test_a_machine_that_never_got_to_it_is_a_gap() -> None:
    assert PackagesCollector().read({}).gaps == (Gap(reason="the machine did not get to it"),)
