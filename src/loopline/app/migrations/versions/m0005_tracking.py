"""Tables of tracking: experiments, runs and what was measured in them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005_tracking"
down_revision = "0004_datasets"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables and the indexes that a search needs."""
    op.create_table(
        "tracking_experiments",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("state", sa.Text, nullable=False, server_default="active"),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
    )
    op.create_table(
        "tracking_runs",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("experiment_id", sa.Integer, sa.ForeignKey("tracking_experiments.id"), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False, server_default="active"),
        sa.Column("started_at", sa.Text, nullable=False),
        sa.Column("ended_at", sa.Text),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("process", sa.Text, nullable=False, server_default=""),
        sa.Column("surroundings", sa.Text, nullable=False, server_default="{}"),
        sa.Column("error", sa.Text, nullable=False, server_default=""),
    )
    op.create_index("tracking_runs_by_start", "tracking_runs", ["experiment_id", "started_at"])
    op.create_index("tracking_runs_started", "tracking_runs", ["started_at"])
    op.create_index("tracking_runs_by_status", "tracking_runs", ["status"])
    for table in ("tracking_params", "tracking_tags"):
        _texts(table)
    _points("tracking_metrics", ("run_id", "key", "step", "at_ms", "value", "is_nan"))
    _points("tracking_latest", ("run_id", "key"))
    op.create_index("tracking_latest_by_value", "tracking_latest", ["key", "value", "run_id", "is_nan"])
    _artifacts()


def _texts(table: str) -> None:
    op.create_table(
        table,
        sa.Column("run_id", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index(f"{table}_by_value", table, ["key", "value", "run_id"])


def _points(table: str, key: tuple[str, ...]) -> None:
    """A point is its own key: the same one sent again is kept once, another value at the same step is kept too."""
    op.create_table(
        table,
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("step", sa.BigInteger, nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("value", sa.Double, nullable=False),
        sa.Column("is_nan", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint(*key),
        sqlite_with_rowid=False,
    )


def _artifacts() -> None:
    op.create_table(
        "tracking_artifacts",
        sa.Column("run_id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("media_type", sa.Text, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
    )
    op.create_table(
        "tracking_links",
        sa.Column("run_id", sa.Text, primary_key=True),
        sa.Column("direction", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
    )
    op.create_index("tracking_links_by_digest", "tracking_links", ["digest"])
    op.create_table(
        "tracking_batches",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("at", sa.Text, nullable=False),
    )


def downgrade() -> None:
    """Drop everything that upgrade made."""
    for table in ("batches", "links", "artifacts", "latest", "metrics", "tags", "params", "runs", "experiments"):
        op.drop_table(f"tracking_{table}")
