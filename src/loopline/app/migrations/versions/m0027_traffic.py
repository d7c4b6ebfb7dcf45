"""Canaries, shadows and tests: their course and their outcome."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0027_traffic"
down_revision = "0026_records"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "serving_splits",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("endpoint", sa.Text, nullable=False),
        sa.Column("traffic", sa.Text, nullable=False),
        sa.Column("from_at", sa.Text, nullable=False),
        sa.Column("until_at", sa.Text),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
    )
    op.create_index("serving_splits_by_time", "serving_splits", ["endpoint", "from_at"])
    op.create_table(
        "serving_verdicts",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("endpoint", sa.Text, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("arm", sa.Text, nullable=False),
        sa.Column("verdict", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("evidence", sa.Text, nullable=False),
        sa.Column("at", sa.Text, nullable=False),
    )
    op.create_index("serving_verdicts_by_endpoint", "serving_verdicts", ["endpoint", "seq"])
    op.create_table(
        "serving_counts",
        sa.Column("endpoint", sa.Text, primary_key=True),
        sa.Column("revision", sa.Integer, primary_key=True),
        sa.Column("arm", sa.Text, primary_key=True),
        sa.Column("answered", sa.BigInteger, nullable=False),
        sa.Column("failed", sa.BigInteger, nullable=False),
        sa.Column("dropped", sa.BigInteger, nullable=False),
        sa.Column("counted_at", sa.Text, nullable=False),
    )


def downgrade() -> None:
    """Drop them."""
    for table in ("serving_counts", "serving_verdicts", "serving_splits"):
        op.drop_table(table)
