"""The first process's environment, as far as it is still there."""

from __future__ import annotations

from imagetest.collectors.environment import EnvironmentCollector
from imagetest.model.snapshot import Facts, Part


def first(environ: bytes) -> Facts:
    return EnvironmentCollector().read({"first": Part(stdout=environ)}).facts


def test_the_variables_of_the_first_process_are_told() -> None:
    assert first(b"LANG=C\0EMPTY=\0") == {"process 1: LANG": {"value": "C"}, "process 1: EMPTY": {"value": ""}}


def test_a_title_that_a_process_wrote_over_its_environment_is_no_variable() -> None:
    busy = first(b"-D -e [listener] 1 of 10-100 startups\0\0\0/\0HOME=/root\0")
    idle = first(b"-D -e [listener] 0 of 10-100 startups\0\0\0/\0HOME=/root\0")

    assert busy == idle
    assert [*busy] == ["process 1: (all)"]
