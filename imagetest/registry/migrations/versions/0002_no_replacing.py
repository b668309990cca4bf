"""SQLite's INSERT OR REPLACE deletes without asking the triggers for DELETE: refuse a number or an id that is there."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

REFUSE = """
CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} WHEN EXISTS (SELECT 1 FROM {table} WHERE {taken})
BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END
"""

TAKEN = {"assessments": "number = NEW.number OR id = NEW.id", "promotions": "number = NEW.number"}


def upgrade() -> None:
    """Add the triggers; PostgreSQL has no such statement, and its ON CONFLICT is an UPDATE."""
    if op.get_bind().dialect.name != "sqlite":
        return
    for table, taken in TAKEN.items():
        op.execute(REFUSE.format(table=table, taken=taken))
