"""A registry for each test, of each kind."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from tests.registry.postgres import Server, server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """Give a PostgreSQL server."""
    with server() as started:
        yield started


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the URL of an empty registry."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/state/registry.sqlite"
    return cast("Server", request.getfixturevalue("postgres")).fresh()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Give the path of a SQLite registry that is not there yet."""
    return tmp_path / "registry.sqlite"


def statement(path: Path, sql: str) -> None:
    """Run one statement on a SQLite file, past imagetest."""
    connection = sqlite3.connect(path)
    try:
        connection.execute(sql)
        connection.commit()
    finally:
        connection.close()
