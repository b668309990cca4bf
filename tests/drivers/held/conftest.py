"""What is held for a test lies in a room of its own."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagetest.drivers.held import place


@pytest.fixture(autouse=True)
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = tmp_path / "room"
    made.mkdir()
    monkeypatch.setattr(place, "ROOM", made)
    return made


@pytest.fixture
def name() -> Iterator[str]:
    chosen = f"imagetest-test-{secrets.token_hex(4)}"
    yield chosen
    place.remove(chosen)
