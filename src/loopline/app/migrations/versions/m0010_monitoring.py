"""Windows of performance and data quality, evaluations by endpoint, and alerts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010_monitoring"
down_revision = "0009_serving"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "monitoring_endpoints",
        sa.Column("endpoint", sa.Text, primary_key=True),
        sa.Column("mark", sa.Text, nullable=False),
        sa.Column("summary", sa.Text, nullable=False),
        sa.Column("evaluated_at", sa.Text, nullable=False),
    )
    op.create_table(
        "monitoring_windows",
        sa.Column("endpoint", sa.Text, primary_key=True),
        sa.Column("start_at", sa.Text, primary_key=True),
        sa.Column("column_name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, primary_key=True),
        sa.Column("end_at", sa.Text, nullable=False),
        sa.Column("predictions", sa.Integer, nullable=False),
        sa.Column("labelled", sa.Integer, nullable=False),
        sa.Column("complete", sa.Integer, nullable=False),
        sa.Column("mature", sa.Integer, nullable=False),
        sa.Column("metrics", sa.Text, nullable=False),
        sa.Column("quality", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("changed_at", sa.Text, nullable=False),
    )
    op.create_table(
        "monitoring_alerts",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("seq", sa.BigInteger, nullable=False, unique=True),
        sa.Column("endpoint", sa.Text, nullable=False),
        sa.Column("cause", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=True),
        sa.Column("first_window", sa.Text, nullable=False),
        sa.Column("last_window", sa.Text, nullable=False),
        sa.Column("value", sa.Float, nullable=True),
        sa.Column("limit_value", sa.Float, nullable=True),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("opened_at", sa.Text, nullable=False),
        sa.Column("changed_at", sa.Text, nullable=False),
        sa.Column("changed_by", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
    )
    op.create_index("monitoring_alerts_by_cause", "monitoring_alerts", ["endpoint", "cause", "seq"])


def downgrade() -> None:
    for table in ("monitoring_alerts", "monitoring_windows", "monitoring_endpoints"):
        op.drop_table(table)
