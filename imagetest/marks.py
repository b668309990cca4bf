"""What a suite says to imagetest: which control a test judges, and that a control does not apply here."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest

PROJECT: pytest.StashKey[Path] = pytest.StashKey()
"""Where a run over an image keeps the folder of the project in pytest's configuration."""

NOT_APPLICABLE = "not applicable: "
"""How the reason of a skipped test begins when it was skipped by `not_applicable`."""


def control(*ids: str) -> pytest.MarkDecorator:
    """Bind a test to the controls of the catalogue that it judges; an unknown id is a collection error."""
    return pytest.mark.control(*ids)


mutates: pytest.MarkDecorator = pytest.mark.mutates
"""Mark a test that changes the machine it judges: it gets an instance of its own, and never runs on a live host."""


def not_applicable(reason: str) -> NoReturn:
    """End the running test: its control does not apply to this image, and `reason` says how that is known.

    A plain `pytest.skip` means that nobody looked, which keeps the gate closed; this means that somebody did.
    """
    pytest.skip(NOT_APPLICABLE + reason)
