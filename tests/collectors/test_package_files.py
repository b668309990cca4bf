"""Files that are not as their package installed them."""

from __future__ import annotations

from imagetest.collectors.package_files import PackageFilesCollector
from imagetest.model.plan import Scope
from imagetest.model.snapshot import Family, Gap
from tests.collectors.recorded import part, recorded

SUM = "c7c8f1b6d2a4b9c7c8f1b6d2a4b9c7c8f1b6d2a4b9c7c8f1b6d2a4b9c7c8f1b6"


def read(said: str, elsewhere: str = "/etc\n", name: str = "dpkg", ended: str = "ended 0") -> Family:
    text = f"{said}{ended}\n\n{SUM}  /usr/bin/who\n"
    return PackageFilesCollector().read({name: part(text), "elsewhere": part(elsewhere)})


def test_a_recorded_debian_tells_what_is_missing() -> None:
    found = PackageFilesCollector().read(recorded("package-files"))

    assert (dict(found.facts), found.gaps) == ({"/var/lib/apt/lists/partial": {"state": "missing"}}, ())


def test_a_changed_file_has_its_digest() -> None:
    found = read("??5??????   /usr/bin/who\n").facts

    assert found == {"/usr/bin/who": {"state": f"not as packaged: content, sha256 {SUM}"}}


def test_rpm_tells_more_than_the_content() -> None:
    found = read("S.5..UG..    /usr/bin/who\n.M.......  g /var/log/x\n", name="rpm").facts

    assert found["/usr/bin/who"]["state"] == f"not as packaged: size, content, owner, group, sha256 {SUM}"
    assert found["/var/log/x"]["state"] == "not as packaged: mode"


def test_what_files_compares_by_content_is_left_to_it() -> None:
    assert read("??5?????? c /etc/issue\n").facts == {}
    assert list(read("??5?????? c /etc/issue\n", elsewhere="\n").facts) == ["/etc/issue"]


def test_what_cannot_be_read_is_a_gap() -> None:
    found = read("?????????   /usr/bin/who\nmissing     /usr/lib/x/y (Permission denied)\n")

    assert dict(found.facts) == {}
    assert found.gaps == (
        Gap(key="/usr/bin/who", reason="Permission denied"), Gap(key="/usr/lib/x/y", reason="Permission denied"),
    )  # fmt: skip


def test_a_comparison_that_broke_off_is_a_gap() -> None:
    assert read("", ended="").gaps == (Gap(reason="dpkg did not come to an end"),)
    assert read("", ended="ended 2").gaps == (Gap(reason="dpkg did not come to an end"),)


def test_files_is_relied_upon_only_when_it_is_asked_too() -> None:
    assert "'%s\\n' /etc" in PackageFilesCollector().script(Scope(roots=("/etc",)))
    assert "'%s\\n' ''" in PackageFilesCollector().script(Scope(roots=("/etc",), only=("package-files",)))
