"""The tables of the registry."""

from __future__ import annotations

import sqlalchemy as sa

METADATA = sa.MetaData()

ASSESSMENTS = sa.Table(
    "assessments",
    METADATA,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("id", sa.String(200), nullable=False, unique=True),
    sa.Column("image", sa.String(100), nullable=False, index=True),
    sa.Column("digest", sa.String(100), nullable=False),
    sa.Column("gate", sa.String(100), nullable=False),
    sa.Column("open", sa.Boolean, nullable=False),
    sa.Column("decided", sa.DateTime(timezone=True), nullable=False),
    sa.Column("document_sha256", sa.String(64), nullable=False),
    sa.Column("document", sa.LargeBinary, nullable=False, comment="the JSON document, compressed with zlib"),
)

PROMOTIONS = sa.Table(
    "promotions",
    METADATA,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("channel", sa.String(100), nullable=False, index=True),
    sa.Column("action", sa.String(20), nullable=False),
    sa.Column("image", sa.String(100), nullable=False),
    sa.Column("kind", sa.String(50), nullable=False),
    sa.Column("reference", sa.String(500), nullable=False),
    sa.Column("digest", sa.String(100), nullable=False),
    sa.Column("assessment_id", sa.String(200), nullable=False),
    sa.Column("gate", sa.String(100), nullable=False),
    sa.Column("by", sa.String(300), nullable=False),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("placements", sa.Text, nullable=False, server_default="[]", comment="where it was brought, as JSON"),
)
