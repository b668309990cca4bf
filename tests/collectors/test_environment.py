"""The first process's environment, as far as it is still there."""

from __future__ import annotations

import pytest

from imagetest.collectors.environment import EnvironmentCollector
from imagetest.model.snapshot import Facts, Family, Gap, Part
from tests.collectors.conftest import Boots
from tests.collectors.recorded import part, zeros
from tests.dockyard import Dockyard
from tests.drivers.images import server


def first(environ: bytes) -> Facts:
    return EnvironmentCollector().read({"first": Part(stdout=environ)}).facts


def test_the_variables_of_the_first_process_are_told() -> None:
    assert first(b"LANG=C\0EMPTY=\0") == {"process 1: LANG": {"value": "C"}, "process 1: EMPTY": {"value": ""}}


def test_a_title_that_a_process_wrote_over_its_environment_is_no_variable() -> None:
    busy = first(b"-D -e [listener] 1 of 10-100 startups\0\0\0/\0HOME=/root\0")
    idle = first(b"-D -e [listener] 0 of 10-100 startups\0\0\0/\0HOME=/root\0")

    assert busy == idle
    assert [*busy] == ["process 1: (all)"]


def files(content: str) -> Family:
    return EnvironmentCollector().read({"units": part(), "files": part(zeros("/etc/default/app", content))})


def test_of_a_variable_that_is_set_twice_both_values_are_told_in_their_order() -> None:
    found = files("JAVA_OPTS=-Xmx1g\nJAVA_OPTS=-Xmx2g\n").facts

    assert found == {"/etc/default/app: JAVA_OPTS": {"value": "-Xmx1g, then -Xmx2g"}}


def test_what_a_unit_sets_twice_is_told_in_the_units_order() -> None:
    said = "/etc/systemd/system/x.service:Environment=A=2\n/etc/systemd/system/x.service:Environment=A=1\n"
    found = EnvironmentCollector().read({"units": part(said), "files": part()}).facts

    assert found == {"x.service: A": {"value": "2, then 1"}}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("A=1\n" * 2000, "it has more than 1000 lines"),
        (f"A={'token=abcd ' * 1000}", "it has a line of more than 8192 bytes"),
    ],
    ids=["lines", "bytes"],
)
def test_a_file_that_would_cost_too_much_is_a_gap(content: str, reason: str) -> None:
    found = files(content)

    assert found.facts == {}
    assert found.gaps == (Gap(key="/etc/default/app: ", reason=reason),)


@pytest.mark.docker
def test_a_link_of_a_user_leads_root_to_no_file(dockyard: Dockyard, boots: Boots) -> None:
    with boots(dockyard.build(*server("RUN useradd -m ann"))) as up:
        up.run("echo DEPLOY=hunter22 >/root/env; echo A=1 >/etc/a; ln -s /etc/a /etc/default/linked")
        up.run("ln -s /root/env /home/ann/env; chown -h ann /home/ann/env; ln -s /home/ann/env /etc/default/app")
        found = up.snapshot("environment").family("environment")

    assert found is not None
    assert found.facts["/etc/default/linked: A"] == {"value": "1"}
    assert Gap(key="/etc/default/app: ", reason="the link there belongs to a user") in found.gaps
    assert "hunter22" not in repr(found)
