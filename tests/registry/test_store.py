"""What a registry must keep, whichever database holds it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta, timezone

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from imagetest.errors import RegistryError
from imagetest.model.assessment import Assessment, Verdict
from imagetest.model.codec import Document, decode, encode
from imagetest.model.promotion import Action, Placement
from imagetest.policy.channels import current
from imagetest.registry.store import HEAD, SqlStore
from imagetest.registry.tables import METADATA
from imagetest.registry.upgrade import head
from tests.nouns import NOW, found, judged, record

PLACES = (Placement(where="docker:web@sha256:b", digest="sha256:b"), Placement(where="s3://b/\u00e4", digest="x"))

VERDICT = Verdict(gate="default", objections=(), decided=NOW)


def document_of(assessment: Assessment) -> bytes:
    return encode(Document(assessment=assessment, verdict=VERDICT))


def assessment(identity: str, name: str = "web") -> Assessment:
    plain = judged(found("a"))
    return replace(plain, id=identity, image=replace(plain.image, name=name))


@contextmanager
def past_imagetest(url: str) -> Iterator[sa.Connection]:
    """Connect as somebody would who means no good."""
    engine = sa.create_engine(url)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def test_a_new_registry_is_empty_and_can_be_written(url: str) -> None:
    store = SqlStore(url)
    store.check()

    assert store.history() == ()
    assert store.document("web") is None


def test_a_document_is_found_by_its_id_its_digest_and_as_the_newest_of_its_image(url: str) -> None:
    store = SqlStore(url)
    for identity, name in (("run1-web", "web"), ("run2-web", "web"), ("run3-db", "db")):
        one = assessment(identity, name)
        store.record(one, VERDICT, document_of(one))
    second = store.document("web")

    assert second is not None
    assert decode(second).assessment.id == "run2-web"
    assert store.document("run1-web") == document_of(assessment("run1-web"))
    assert store.document(hashlib.sha256(second).hexdigest()) == second
    assert store.document("run9-web") is None


def test_an_id_is_found_before_an_image_of_that_name(url: str) -> None:
    store = SqlStore(url)
    one, other = assessment("db"), assessment("run2", "db")
    for each in (one, other):
        store.record(each, VERDICT, document_of(each))

    assert store.document("db") == document_of(one)


def test_an_assessment_is_recorded_once(url: str) -> None:
    store = SqlStore(url)
    one = assessment("run1-web")
    store.record(one, VERDICT, document_of(one))

    with pytest.raises(RegistryError):
        store.record(one, VERDICT, b"another")
    assert store.document("run1-web") == document_of(one)


def test_records_come_back_as_they_were_in_order(url: str) -> None:
    store = SqlStore(url)
    here = timezone(timedelta(hours=-7))
    written = [
        store.promote(replace(record(Action.PROMOTE, "sha256:a"), by="bj\u00f6rn@desk")),
        store.promote(replace(record(Action.REVOKE, "sha256:a"), reason="it was\nbroken", at=NOW.astimezone(here))),
        store.promote(record(Action.PROMOTE, "sha256:b", channel="beta")),
        store.promote(replace(record(Action.ROLLBACK, "sha256:a"), placements=PLACES)),
    ]
    history = SqlStore(url).history()

    assert list(history) == written
    assert [one.number for one in history] == sorted({one.number for one in history})
    assert all(one.at == NOW and one.at.utcoffset() == timedelta() for one in history)
    assert [one.channel for one in store.history("beta")] == ["beta"]
    assert store.history("none") == ()


CHANGES = [
    "UPDATE {table} SET digest = 'sha256:forged'",
    "UPDATE {table} SET digest = digest WHERE number = 1",
    "DELETE FROM {table}",
    "DELETE FROM {table} WHERE number = 1",
    "INSERT OR REPLACE INTO {table} SELECT * FROM {table} WHERE number = 1",
    "INSERT INTO {table} SELECT * FROM {table} WHERE number = 1",
    "TRUNCATE {table}",
]


@pytest.mark.parametrize("table", ["promotions", "assessments"])
@pytest.mark.parametrize("change", CHANGES, ids=[one.partition(" {")[0] + str(n) for n, one in enumerate(CHANGES)])
def test_the_database_itself_refuses_to_change_or_delete(url: str, table: str, change: str) -> None:
    if ("OR REPLACE" if url.startswith("postgresql") else "TRUNCATE") in change:
        return  # no statement of this database
    store = SqlStore(url)
    one = assessment("run1-web")
    store.record(one, VERDICT, document_of(one))
    store.promote(record(Action.PROMOTE, "sha256:a"))

    with pytest.raises(SQLAlchemyError, match=r"append-only|violates unique"), past_imagetest(url) as connection:
        connection.execute(sa.text(change.format(table=table)))
    assert store.history()[0].digest == "sha256:a"
    assert store.document("web") == document_of(one)


def test_many_writers_lose_nothing_and_share_no_number(url: str) -> None:
    def write(digest: int) -> None:
        SqlStore(url).promote(record(Action.PROMOTE, f"sha256:{digest}"))

    with ThreadPoolExecutor(8) as writers:
        list(writers.map(write, range(40)))
    history = SqlStore(url).history()

    assert sorted(one.digest for one in history) == sorted(f"sha256:{number}" for number in range(40))
    assert len({one.number for one in history}) == 40
    assert current(history, channel="stable", image="web") == history[-1]


def test_two_who_begin_at_once_make_one_registry(url: str) -> None:
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: SqlStore(url).check(), range(6)))

    assert SqlStore(url).history() == ()


def test_a_registry_of_a_newer_imagetest_is_left_alone(url: str) -> None:
    SqlStore(url).check()
    with past_imagetest(url) as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(RegistryError, match="written by a newer imagetest"):
        SqlStore(url).promote(record(Action.PROMOTE, "sha256:a"))


def test_the_migrations_make_the_tables_that_the_code_expects(url: str) -> None:
    SqlStore(url).check()
    with past_imagetest(url) as connection:
        seen = sa.inspect(connection)
        made = {
            table: {
                column["name"]: (type(column["type"]).__name__, column["nullable"])
                for column in seen.get_columns(table)
            }
            for table in METADATA.tables
        }
        expected = {
            name: {
                column.name: (type(column.type.dialect_impl(connection.dialect)).__name__, column.nullable)
                for column in table.columns
            }
            for name, table in METADATA.tables.items()
        }
        indexes = {table: {tuple(one["column_names"]) for one in seen.get_indexes(table)} for table in METADATA.tables}

    assert {name: set(columns) for name, columns in made.items()} == {name: set(one) for name, one in expected.items()}
    assert all(made[table][name][1] == expected[table][name][1] for table in made for name in made[table])
    assert ("channel",) in indexes["promotions"]
    assert ("image",) in indexes["assessments"]


def test_the_newest_migration_is_the_one_that_the_store_asks_for(url: str) -> None:
    SqlStore(url).check()
    with past_imagetest(url) as connection:
        version = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))

    assert version == head() == HEAD
    assert re.fullmatch(r"\d{4}", HEAD)
