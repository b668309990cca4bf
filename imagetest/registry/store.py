"""The registry in an SQL database: SQLite in the project, or PostgreSQL by URL."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from imagetest.errors import ConfigError, RegistryError
from imagetest.model.assessment import Assessment, Verdict
from imagetest.model.codec import decode_placements, encode_placements
from imagetest.model.promotion import Action, Promotion
from imagetest.registry.tables import ASSESSMENTS, PROMOTIONS

HEAD = "0003"
"""The newest migration; a test holds it against the migrations themselves."""

BACKENDS = ("sqlite", "postgresql")

LOCK = 0x696D6167
"""PostgreSQL's advisory lock that whoever makes or upgrades the tables holds; any number, but always the same."""

EXPECTED = "expected sqlite:///FILE or postgresql+psycopg://USER@HOST/DATABASE"

WAIT_SECONDS = 10
"""How long to wait for another writer, or for a server to answer."""


class SqlStore:
    """Appends and reads records; nothing is ever changed, which the database itself sees to."""

    def __init__(self, url: str) -> None:
        try:
            self._url = make_url(url)
            self._url.get_dialect()
        except (ArgumentError, NoSuchModuleError, ImportError, ValueError) as error:
            raise ConfigError("the registry's URL is not understood", hint=EXPECTED) from error
        if self._url.get_backend_name() not in BACKENDS:
            raise ConfigError(f"the registry cannot be in {self._url.get_backend_name()!r}", hint=EXPECTED)
        if self._url.get_backend_name() == "sqlite" and self._url.database in {None, "", ":memory:"}:
            raise ConfigError("the registry needs a file: in memory it would forget", hint=EXPECTED)

    def check(self) -> None:
        """Find out whether records can be appended."""
        with self._connection() as connection:
            if self._url.get_backend_name() == "sqlite":
                connection.execute(
                    sa.text("UPDATE alembic_version SET version_num = version_num")
                )  # a lock is not enough
                return
            allowed = connection.scalar(sa.text("SELECT has_table_privilege('promotions', 'INSERT')"))
            if not allowed or connection.scalar(sa.text("SHOW transaction_read_only")) == "on":
                raise RegistryError(f"the registry {self._shown} is read-only for this user")

    def record(self, assessment: Assessment, verdict: Verdict, document: bytes) -> None:
        """Remember an assessment with its document."""
        with self._connection() as connection:
            connection.execute(
                sa.insert(ASSESSMENTS).values(
                    id=assessment.id,
                    image=assessment.image.name,
                    digest=assessment.image.digest,
                    gate=verdict.gate,
                    open=verdict.open,
                    decided=verdict.decided.astimezone(UTC),
                    document_sha256=hashlib.sha256(document).hexdigest(),
                    document=zlib.compress(document),
                )
            )

    def document(self, key: str) -> bytes | None:
        """Return the document of an assessment: by its id, by its SHA-256, or the newest of an image by its name."""
        rank = sa.case((ASSESSMENTS.c.id == key, 0), (ASSESSMENTS.c.document_sha256 == key, 1), else_=2)
        query = (
            sa.select(ASSESSMENTS.c.document)
            .where(sa.or_(*(ASSESSMENTS.c[name] == key for name in ("id", "document_sha256", "image"))))
            .order_by(rank, ASSESSMENTS.c.number.desc())
            .limit(1)
        )
        with self._connection() as connection:
            found = connection.scalar(query)
        return None if found is None else zlib.decompress(found)

    def promote(self, promotion: Promotion) -> Promotion:
        """Append a record and return it with its number."""
        values = {name: getattr(promotion, name) for name in map(str, PROMOTIONS.columns.keys()) if name != "number"}
        values |= {"action": promotion.action.value, "at": promotion.at.astimezone(UTC)}
        values["placements"] = encode_placements(promotion.placements)
        with self._connection() as connection:
            done = connection.execute(sa.insert(PROMOTIONS).values(**values))
        number = int((done.inserted_primary_key or (0,))[0])
        return replace(promotion, number=number)

    def history(self, channel: str | None = None) -> tuple[Promotion, ...]:
        """Return the records, oldest first."""
        query = sa.select(PROMOTIONS).order_by(PROMOTIONS.c.number)
        if channel is not None:
            query = query.where(PROMOTIONS.c.channel == channel)
        with self._connection() as connection:
            return tuple(_promotion(dict(row)) for row in connection.execute(query).mappings())

    @property
    def _shown(self) -> str:
        shown = {name: value for name, value in self._url.query.items() if name != "password"}
        return self._url.set(query=shown).render_as_string(hide_password=True)

    @cached_property
    def _engine(self) -> sa.Engine:
        if self._url.get_backend_name() != "sqlite":
            return sa.create_engine(self._url, poolclass=sa.NullPool, connect_args={"connect_timeout": WAIT_SECONDS})
        if self._url.database:
            Path(self._url.database).parent.mkdir(parents=True, exist_ok=True)
        made = sa.create_engine(self._url, poolclass=sa.NullPool, connect_args={"timeout": WAIT_SECONDS})
        sa.event.listen(made, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
        return made

    @contextmanager
    def _connection(self) -> Iterator[sa.Connection]:
        """Open a transaction on an up-to-date registry; it is committed only when all went well."""
        try:
            with self._engine.begin() as connection:
                self._upgrade(connection)
                yield connection
        except ImportError as error:
            raise ConfigError(
                f"the registry {self._shown} needs a driver that is not installed: {error.name}",
                hint="pip install 'imagetest[postgres]', and write postgresql+psycopg://",
            ) from error
        except (SQLAlchemyError, OSError) as error:
            reason = (str(getattr(error, "orig", None) or error).strip().splitlines() or ["no reason given"])[0]
            raise RegistryError(
                f"the registry {self._shown} cannot be used: {reason}",
                hint="see [imagetest] registry in imagetest.toml, or IMAGETEST_REGISTRY in the environment",
            ) from error

    def _upgrade(self, connection: sa.Connection) -> None:
        """Run what is missing of the migrations; Alembic is loaded only when something is."""
        version = self._version(connection)
        if version == HEAD:
            return
        if version is not None and version > HEAD:
            raise RegistryError(
                f"the registry {self._shown} was written by a newer imagetest (version {version}, known: {HEAD})",
                hint="upgrade imagetest",
            )
        from imagetest.registry.upgrade import upgrade

        if self._url.get_backend_name() == "postgresql":  # SQLite's transactions begin with the lock already
            connection.execute(sa.text(f"SELECT pg_advisory_xact_lock({LOCK})"))
        if self._version(connection) != HEAD:
            upgrade(connection)

    @staticmethod
    def _version(connection: sa.Connection) -> str | None:
        known = sa.inspect(connection).has_table("alembic_version")
        found: str | None = connection.scalar(sa.text("SELECT version_num FROM alembic_version")) if known else None
        return found


def _promotion(row: dict[str, Any]) -> Promotion:
    at: datetime = row["at"]
    # SQLite keeps no time zone, and UTC is what was written; PostgreSQL answers in the zone of its server.
    row["at"] = at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    row["placements"] = decode_placements(row["placements"], origin=f"where record {row['number']} was brought")
    return Promotion(**{**row, "action": Action(row["action"])})
