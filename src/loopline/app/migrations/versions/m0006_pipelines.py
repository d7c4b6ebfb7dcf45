"""Tables of pipelines: plans, cache keys with their parts, results, and the step runs of each pipeline run."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006_pipelines"
down_revision = "0005_tracking"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables; text columns named after a plural hold JSON."""
    op.create_table(
        "pipelines_runs",
        sa.Column("run_id", sa.Text, primary_key=True),
        sa.Column("pipeline", sa.Text, nullable=False),
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("folder", sa.Text, nullable=False),
        sa.Column("plan", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("started_at", sa.Text, nullable=False),
        sa.Column("seconds", sa.Double),
        sa.Column("outputs", sa.Text, nullable=False, server_default="[]"),
        sa.Column("model", sa.Text),
        sa.Column("version", sa.Integer),
    )
    op.create_index("pipelines_runs_by_plan", "pipelines_runs", ["plan", "started_at"])
    op.create_table(
        "pipelines_plans",
        sa.Column("stamp", sa.Text, primary_key=True),
        sa.Column("plan", sa.Text, nullable=False),
        sa.Column("made_at", sa.Text, nullable=False),
    )
    op.create_table(
        "pipelines_codes",
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("pieces", sa.Text, nullable=False),
    )
    _keys()
    _steps()


def _keys() -> None:
    op.create_table(
        "pipelines_keys",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("step", sa.Text, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("arguments", sa.Text, nullable=False),
        sa.Column("seen_at", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("pipelines_keys_by_step", "pipelines_keys", ["step", "seen_at"])
    op.create_table(
        "pipelines_results",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("made_at", sa.Text, nullable=False),
        sa.Column("seconds", sa.Double, nullable=False),
        sqlite_with_rowid=False,
    )


def _steps() -> None:
    op.create_table(
        "pipelines_steps",
        sa.Column("run_id", sa.Text, primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("step", sa.Text, nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("made_by", sa.Text, nullable=False, server_default=""),
        sa.Column("started_at", sa.Text, nullable=False),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.Column("cpu_seconds", sa.Double, nullable=False),
        sa.Column("max_rss", sa.BigInteger, nullable=False),
        sa.Column("log", sa.Text, nullable=False, server_default=""),
        sa.Column("error", sa.Text, nullable=False, server_default=""),
        sqlite_with_rowid=False,
    )
    op.create_index("pipelines_steps_by_key", "pipelines_steps", ["key"])


def downgrade() -> None:
    """Drop everything that upgrade made."""
    for table in ("steps", "results", "keys", "codes", "plans", "runs"):
        op.drop_table(f"pipelines_{table}")
