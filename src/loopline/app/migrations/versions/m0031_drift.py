"""How far the windows of an endpoint lie from their reference."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0031_drift"
down_revision = "0030_buckets"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "monitoring_drift",
        sa.Column("endpoint", sa.Text, primary_key=True),
        sa.Column("start_at", sa.Text, primary_key=True),
        sa.Column("column_name", sa.Text, primary_key=True),
        sa.Column("end_at", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("p_value", sa.Float),
        sa.Column("e_value", sa.Float),
        sa.Column("effect", sa.Float),
        sa.Column("unit", sa.Text, nullable=False),
        sa.Column("direction", sa.Text, nullable=False),
        sa.Column("change", sa.Text, nullable=False),
        sa.Column("alarm", sa.Integer, nullable=False),
        sa.Column("statistics", sa.Text, nullable=False),
        sa.Column("reference", sa.Text, nullable=False),
        sa.Column("since", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("changed_at", sa.Text, nullable=False),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("monitoring_drift")
