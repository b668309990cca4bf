"""The rules of sudo."""

from __future__ import annotations

from imagetest.collectors.sudo import SudoCollector
from imagetest.model.snapshot import Gap
from tests.collectors.recorded import OK, part, zeros

SUDOERS = """# a comment
Defaults\tenv_reset
%sudo   ALL=(ALL:ALL) ALL  # members of sudo
#includedir /etc/sudoers.d
#1000 ALL=(ALL) ALL
bob ALL = /bin/ls, \\
    /bin/cat
"""


def test_each_rule_is_a_fact_whatever_its_blanks() -> None:
    rules = part(zeros("/etc/sudoers", SUDOERS, "/etc/sudoers.d/x", "Defaults env_reset\n"))
    found = SudoCollector().read({"asked": OK, "rules": rules})

    (order,) = (attributes for key, attributes in found.facts.items() if key == "order in /etc/sudoers")
    assert order["rules"].startswith("5, sha256 ")
    assert {key: attributes for key, attributes in found.facts.items() if "order" not in key} == {
        "Defaults env_reset": {"file": "/etc/sudoers, /etc/sudoers.d/x"},
        "%sudo ALL=(ALL:ALL) ALL": {"file": "/etc/sudoers"},
        "#includedir /etc/sudoers.d": {"file": "/etc/sudoers"},
        "#1000 ALL=(ALL) ALL": {"file": "/etc/sudoers"},
        "bob ALL = /bin/ls, /bin/cat": {"file": "/etc/sudoers"},
    }


def test_rules_that_change_places_differ_since_the_last_that_fits_counts() -> None:
    lines = ["bob ALL=(ALL) ALL\n", "bob ALL=(ALL) !/bin/sh\n"]
    one, two = (
        SudoCollector().read({"asked": OK, "rules": part(zeros("/etc/sudoers", "".join(every)))}).facts
        for every in (lines, lines[::-1])
    )

    assert {key for key in one if one[key] != two[key]} == {"order in /etc/sudoers"}
    assert one.keys() == two.keys()


def test_one_closed_file_hides_all_rules() -> None:
    rules = part(zeros("/etc/sudoers", SUDOERS), stderr="sudo: /etc/sudoers.d/x: Permission denied")
    found = SudoCollector().read({"asked": OK, "rules": rules})

    assert found.gaps == (Gap(reason="/etc/sudoers.d/x: Permission denied"),)


def test_without_sudo_there_are_no_rules_and_no_gap() -> None:
    found = SudoCollector().read({"asked": OK})

    assert (dict(found.facts), found.gaps) == ({}, ())
