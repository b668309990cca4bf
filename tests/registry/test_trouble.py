"""A registry that cannot be used: one sentence, no traceback, no password."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from imagetest.config.settings import Settings
from imagetest.errors import ConfigError, DocumentError, RegistryError
from imagetest.model.promotion import Action
from imagetest.registry.store import SqlStore
from tests.nouns import record
from tests.registry.conftest import statement
from tests.registry.postgres import Server
from tests.volumes import small_volume

ENTRY = record(Action.PROMOTE, "sha256:a")


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Path]:
    """Give a file system that is soon full."""
    with small_volume(tmp_path / "volume") as folder:
        yield folder


def test_a_full_disk_is_said_and_what_was_recorded_stays(volume: Path) -> None:
    store = SqlStore(f"sqlite:///{volume}/registry.sqlite")
    store.promote(ENTRY)
    (volume / "filler").write_bytes(b"x" * shutil.disk_usage(volume).free)
    long = replace(ENTRY, reason="x" * 20_000)

    with pytest.raises(RegistryError, match="full"):
        store.promote(long)
    (volume / "filler").unlink()

    assert [one.digest for one in store.history()] == ["sha256:a"]


def test_a_file_system_that_is_read_only_is_said_before_anything_is_begun(volume: Path) -> None:
    SqlStore(f"sqlite:///{volume}/registry.sqlite").promote(ENTRY)
    subprocess.run(["mount", "-o", "remount,ro", volume], check=True)

    with pytest.raises(RegistryError, match=r"readonly|read-only"):
        SqlStore(f"sqlite:///{volume}/registry.sqlite").check()
    assert SqlStore(f"sqlite:///{volume}/registry.sqlite").history()[0].digest == "sha256:a"


def test_a_folder_in_place_of_the_file_is_said(file: Path) -> None:
    file.mkdir()

    with pytest.raises(RegistryError, match="unable to open database file"):
        SqlStore(f"sqlite:///{file}").check()


def test_a_file_in_place_of_the_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")

    with pytest.raises(RegistryError, match="cannot be used"):
        SqlStore(f"sqlite:///{tmp_path}/state/registry.sqlite").check()


def test_a_file_that_is_no_database_is_said_and_left_as_it_is(file: Path) -> None:
    file.write_text("these are my notes, not a database" * 100)
    before = file.read_bytes()

    with pytest.raises(RegistryError, match="not a database"):
        SqlStore(f"sqlite:///{file}").check()
    assert file.read_bytes() == before


def test_a_registry_that_lost_its_tables_is_said(file: Path) -> None:
    SqlStore(f"sqlite:///{file}").check()
    statement(file, "DROP TABLE promotions")

    with pytest.raises(RegistryError, match="no such table"):
        SqlStore(f"sqlite:///{file}").history()


def test_a_registry_of_an_older_imagetest_is_brought_up_to_date(file: Path) -> None:
    store = SqlStore(f"sqlite:///{file}")
    store.promote(ENTRY)
    for table in ("assessments", "promotions"):
        statement(file, f"DROP TRIGGER {table}_no_replace")
    statement(file, "ALTER TABLE promotions DROP COLUMN placements")
    statement(file, "UPDATE alembic_version SET version_num = '0001'")

    assert store.history()[0].digest == "sha256:a"
    assert store.history()[0].placements == ()
    with pytest.raises(Exception, match="append-only"):
        statement(file, "INSERT OR REPLACE INTO promotions SELECT * FROM promotions")


@pytest.mark.parametrize(
    "url",
    ["", "nonsense", "sqlite", "oracle+nothing://x", "mysql://root@localhost/x", "postgresql+psycopg://u:p@h:port/d",
     "sqlite://", "sqlite:///:memory:", "mssql://u:hidden@h/d"],
)  # fmt: skip
def test_an_url_that_makes_no_sense_is_a_mistake_of_the_configuration(url: str) -> None:
    with pytest.raises(ConfigError, match="registry") as caught:
        SqlStore(url)

    assert "sqlite:///FILE" in caught.value.hint
    assert "hidden" not in caught.value.explain()


def test_a_driver_that_is_not_installed_is_named() -> None:
    with pytest.raises(ConfigError, match="pg8000"):
        SqlStore("postgresql+pg8000://u@127.0.0.1/d").check()


@pytest.mark.parametrize(
    "url",
    ["postgresql+psycopg://maria:s3cret@127.0.0.1:1/d", "postgresql+psycopg://maria:s3c%40ret@127.0.0.1:1/d",
     "postgresql+psycopg://maria@127.0.0.1:1/d?password=s3cret", "postgresql+psycopg://:s3cret@127.0.0.1:1/d"],
)  # fmt: skip
def test_a_password_is_never_shown(url: str) -> None:
    with pytest.raises(RegistryError) as caught:
        SqlStore(url).check()

    assert "s3c" not in caught.value.explain()
    assert "127.0.0.1" in str(caught.value)
    assert "s3c" not in Settings(project=Path(), registry=url).registry_shown


@pytest.mark.postgres
def test_a_user_who_may_only_read_is_told_so_beforehand(postgres: Server) -> None:
    url = postgres.fresh()
    SqlStore(url).promote(ENTRY)
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        for sql in ("CREATE ROLE auditor LOGIN", "GRANT SELECT ON ALL TABLES IN SCHEMA public TO auditor"):
            connection.execute(sa.text(sql))
    engine.dispose()
    reader = SqlStore(url.replace("postgres@", "auditor@"))

    with pytest.raises(RegistryError, match="read-only for this user"):
        reader.check()
    with pytest.raises(RegistryError, match="permission denied"):
        reader.promote(ENTRY)
    assert reader.history()[0].digest == "sha256:a"


@pytest.mark.postgres
def test_a_database_that_is_not_there_is_said(postgres: Server) -> None:
    with pytest.raises(RegistryError, match='database "nowhere" does not exist'):
        SqlStore(postgres.url("nowhere")).check()


def test_places_that_are_not_understood_are_an_error_of_one_line(file: Path) -> None:
    store = SqlStore(f"sqlite:///{file}")
    store.check()
    columns = "channel, action, image, kind, reference, digest, assessment_id, gate, by, at, reason, placements"
    values = "'stable', 'promote', 'web', 'docker', 'r', 'd', 'a', 'g', 'me', '2026-01-01 00:00:00', '', '[{}]'"
    statement(file, f"INSERT INTO promotions ({columns}) VALUES ({values})")  # noqa: S608 - our own words

    with pytest.raises(DocumentError, match=r"where record 1 was brought cannot be read: .*where"):
        store.history()
