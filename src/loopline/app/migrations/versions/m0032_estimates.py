"""Performance that was estimated before its truth arrived."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0032_estimates"
down_revision = "0031_drift"
branch_labels = None
depends_on = None

NUMBERS = (
    "value", "low", "high", "spread", "first_value", "first_low", "first_high", "first_spread", "first_share", "realized",
)  # fmt: skip


def upgrade() -> None:
    """Add the table: one row for each endpoint, window, metric and method."""
    op.create_table(
        "monitoring_estimates",
        *(sa.Column(name, sa.Text, primary_key=True) for name in ("endpoint", "start_at", "metric", "method")),
        sa.Column("end_at", sa.Text, nullable=False),
        *(sa.Column(name, sa.Float, nullable=True) for name in NUMBERS),
        sa.Column("row_count", sa.BigInteger, nullable=False),
        sa.Column("share", sa.Float, nullable=False),
        sa.Column("version", sa.Integer, nullable=True),
        sa.Column("as_of", sa.Text, nullable=False),
        sa.Column("complete", sa.Integer, nullable=False),
        sa.Column("mature", sa.Integer, nullable=False),
        sa.Column("warning", sa.Text, nullable=False),
        sa.Column("basis", sa.Text, nullable=False),
        sa.Column("changed_at", sa.Text, nullable=False),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("monitoring_estimates")
