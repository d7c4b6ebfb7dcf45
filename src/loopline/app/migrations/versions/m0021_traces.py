"""Traces and their spans."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021_traces"
down_revision = "0020_retention"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A trace with tags and metadata, and its spans as they were sent."""
    op.create_table(
        "tracking_traces",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("experiment_id", sa.Integer, nullable=False),
        sa.Column("name", sa.Text, nullable=False, server_default=""),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("started_ms", sa.BigInteger, nullable=False),
        sa.Column("duration_ms", sa.BigInteger),
        sa.Column("client_request_id", sa.Text, nullable=False, server_default=""),
        sa.Column("request_preview", sa.Text, nullable=False, server_default=""),
        sa.Column("response_preview", sa.Text, nullable=False, server_default=""),
        sa.Column("told", sa.Integer, nullable=False, server_default="0"),
    )
    op.create_index("tracking_traces_by_start", "tracking_traces", ["experiment_id", "started_ms", "id"])
    for table in ("tracking_trace_tags", "tracking_trace_metadata"):
        op.create_table(
            table,
            sa.Column("trace_id", sa.Text, primary_key=True),
            sa.Column("key", sa.Text, primary_key=True),
            sa.Column("value", sa.Text, nullable=False),
            sqlite_with_rowid=False,
        )
    op.create_table(
        "tracking_spans",
        sa.Column("trace_id", sa.Text, primary_key=True),
        sa.Column("span_id", sa.Text, primary_key=True),
        sa.Column("parent_id", sa.Text, nullable=False, server_default=""),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False, server_default=""),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("start_ns", sa.BigInteger, nullable=False),
        sa.Column("end_ns", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("content", sa.Text, nullable=False),
    )


def downgrade() -> None:
    """Drop everything that upgrade made."""
    for table in ("spans", "trace_metadata", "trace_tags", "traces"):
        op.drop_table(f"tracking_{table}")
