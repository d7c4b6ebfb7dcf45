"""What alerts tell, what people said of them, the messages about them, and signs of life of what watches."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0033_alerts"
down_revision = "0032_estimates"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add columns and tables."""
    for name, default in (("details", "{}"), ("verdict", ""), ("judged_by", ""), ("judged_at", "")):
        op.add_column("monitoring_alerts", sa.Column(name, sa.Text, nullable=False, server_default=default))
    op.create_table(
        "monitoring_messages",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("alert", sa.Text, nullable=False),
        sa.Column("endpoint", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("addressed", sa.Integer, nullable=False),
    )
    op.create_index("monitoring_messages_unaddressed", "monitoring_messages", ["addressed", "seq"])
    op.create_table(
        "monitoring_deliveries",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("alert", sa.Text, nullable=False),
        sa.Column("endpoint", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("not_before", sa.Text, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("carried_by", sa.Text, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("ended_at", sa.Text, nullable=False),
    )
    op.create_index("monitoring_deliveries_by_state", "monitoring_deliveries", ["state", "channel", "seq"])
    op.create_index("monitoring_deliveries_by_channel", "monitoring_deliveries", ["channel", "ended_at"])
    op.create_table(
        "monitoring_beats",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("endpoint", sa.Text, nullable=False),
        sa.Column("at", sa.Text, nullable=False),
        sa.Column("details", sa.Text, nullable=False),
    )
    op.create_table(
        "automation_holds",
        sa.Column("firing", sa.Text, primary_key=True),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("alert", sa.Text, nullable=False),
        sa.Column("endpoint", sa.Text, nullable=False),
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("policy", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("since", sa.Text, nullable=False),
        sa.Column("lifted_at", sa.Text, nullable=False),
        sa.Column("lifted_by", sa.Text, nullable=False),
    )
    op.create_index("automation_holds_by_model", "automation_holds", ["model", "lifted_at"])


def downgrade() -> None:
    """Drop them."""
    for table in ("automation_holds", "monitoring_beats", "monitoring_deliveries", "monitoring_messages"):
        op.drop_table(table)
    for name in ("details", "verdict", "judged_by", "judged_at"):
        op.drop_column("monitoring_alerts", name)
