"""The golden files are what the reporters write today."""

from __future__ import annotations

import pytest

from tests.reporters.regenerate import GOLDEN, rendered


@pytest.mark.parametrize("name", ["report.html", "junit.xml", "summary.txt"])
def test_the_golden_file_is_current(name: str) -> None:
    stored = (GOLDEN / name).read_text()

    assert rendered()[name].decode() == stored, "look at the difference, then python -m tests.reporters.regenerate"


def test_rendering_twice_gives_the_same_bytes() -> None:
    assert rendered() == rendered()
