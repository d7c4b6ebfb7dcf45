"""Alert budgets: the limits that they led to, and what was kept of backtests."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0034_budgets"
down_revision = "0033_alerts"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "monitoring_budgets",
        sa.Column("endpoint", sa.Text, primary_key=True),
        sa.Column("basis", sa.Text, primary_key=True),
        sa.Column("until_at", sa.Text, nullable=False),
        sa.Column("choice", sa.Text, nullable=False),
        sa.Column("chosen_at", sa.Text, nullable=False),
    )
    op.create_index("monitoring_budgets_newest", "monitoring_budgets", ["endpoint", "chosen_at"])
    op.create_table(
        "monitoring_backtests",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("endpoint", sa.Text, nullable=False),
        sa.Column("asked_by", sa.Text, nullable=False),
        sa.Column("asked_at", sa.Text, nullable=False),
        sa.Column("result", sa.Text, nullable=False),
    )
    op.create_index("monitoring_backtests_endpoint", "monitoring_backtests", ["endpoint", "asked_at"])


def downgrade() -> None:
    """Drop them."""
    op.drop_table("monitoring_backtests")
    op.drop_table("monitoring_budgets")
