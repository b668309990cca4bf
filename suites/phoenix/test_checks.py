"""Controls on the checks themselves."""

from __future__ import annotations

from imagetest import control
from imagetest.pytest_plugin.changes import Changes


@control("phoenix-checks-change-nothing")
def test_the_checks_changed_nothing(changes: Changes) -> None:
    """The machine is after the last check what it was before the first; whoever changed it is named."""
    assert not changes.said, changes.said
