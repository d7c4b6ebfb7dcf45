"""Leases of firings, how many of a pipeline run at once, and the deliveries of webhooks that were taken."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015_firings"
down_revision = "0014_environments"
branch_labels = None
depends_on = None
NUMBERS, TEXTS = ("fence", "beat"), ("pipeline", "environment", "release")


def upgrade() -> None:
    for name in NUMBERS:
        op.add_column("automation_firings", sa.Column(name, sa.BigInteger, nullable=False, server_default="0"))
    for name in TEXTS:
        op.add_column("automation_firings", sa.Column(name, sa.Text, nullable=False, server_default=""))
    op.create_table(
        "automation_slots",
        sa.Column("pipeline", sa.Text, primary_key=True),
        sa.Column("slot", sa.Integer, primary_key=True),
        sa.Column("firing", sa.Text, nullable=False, unique=True),
    )
    op.create_table(
        "automation_deliveries",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("firing", sa.Text, nullable=False),
        sa.Column("at", sa.Text, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("automation_deliveries")
    op.drop_table("automation_slots")
    with op.batch_alter_table("automation_firings") as table:
        for name in (*TEXTS, *NUMBERS):
            table.drop_column(name)
