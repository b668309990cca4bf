"""Where promoted content was brought; what was recorded before says nothing of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; its default stands for the rows that are there, which nothing may update."""
    op.add_column("promotions", sa.Column("placements", sa.Text, nullable=False, server_default="[]"))
