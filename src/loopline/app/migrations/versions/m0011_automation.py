"""How far the ledger was read for policies, and what they set off."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011_automation"
down_revision = "0010_monitoring"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "automation_cursors",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("at", sa.Text, nullable=False),
    )
    op.create_table(
        "automation_firings",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("seq", sa.BigInteger, nullable=False, unique=True),
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("policy", sa.Text, nullable=False),
        sa.Column("dedupe_key", sa.Text, nullable=False, unique=True),
        sa.Column("because", sa.BigInteger),
        sa.Column("cause", sa.Text, nullable=False),
        sa.Column("event_at", sa.Text),
        sa.Column("fired_at", sa.Text, nullable=False),
        sa.Column("fired_by", sa.Text, nullable=False),
        sa.Column("rules", sa.Text, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("started_seq", sa.BigInteger),
        sa.Column("started_at", sa.Text),
        sa.Column("ended_at", sa.Text),
        sa.Column("run_id", sa.Text),
        sa.Column("model", sa.Text),
        sa.Column("version", sa.Integer),
        sa.Column("alias", sa.Text),
        sa.Column("gate_id", sa.Text),
        sa.Column("verdict", sa.Text),
        sa.Column("promoted", sa.Integer, nullable=False),
    )
    op.create_index("automation_firings_by_state", "automation_firings", ["state", "seq"])
    op.create_index("automation_firings_by_policy", "automation_firings", ["project", "policy", "seq"])


def downgrade() -> None:
    op.drop_table("automation_firings")
    op.drop_table("automation_cursors")
