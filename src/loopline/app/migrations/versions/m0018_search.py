"""Indexes for searches over runs, and views of the table of runs that people keep under a name."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018_search"
down_revision = "0017_registry"
branch_labels = None
depends_on = None

SHORT = 200  # characters of a param or tag that an index holds; searches name the same number
_SHOWN = ["name", "status", "kind", "ended_at", "created_by", "user_id"]


def upgrade() -> None:
    """Runs by start with all that a table sorts by; short params and tags by value; what is put away; datasets."""
    op.drop_index("tracking_runs_by_start", "tracking_runs")
    op.drop_index("tracking_runs_started", "tracking_runs")
    op.create_index("tracking_runs_by_start", "tracking_runs", ["experiment_id", "started_at", "id", "state", *_SHOWN])
    op.create_index("tracking_runs_started", "tracking_runs", ["started_at", "id", "state", "experiment_id"])
    away = sa.text("state <> 'active'")
    op.create_index("tracking_runs_away", "tracking_runs", ["state", "experiment_id"], sqlite_where=away)
    for table in ("params", "tags"):
        short, long = sa.text(f"length(value) <= {SHORT}"), sa.text(f"length(value) > {SHORT}")
        name = f"tracking_{table}"
        op.create_index(f"{name}_short", name, ["key", "value", "run"], sqlite_where=short)
        op.create_index(f"{name}_long", name, ["key", "run"], sqlite_where=long)
    datasets = sa.text("kind = 'dataset'")
    op.create_index("tracking_links_datasets", "tracking_links", ["name", "digest", "run_id"], sqlite_where=datasets)
    op.create_table(
        "tracking_views",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("query", sa.Text, nullable=False),
        sa.Column("saved_at", sa.Text, nullable=False),
        sa.Column("saved_by", sa.Text, nullable=False),
    )


def downgrade() -> None:
    """Drop everything that upgrade made."""
    op.drop_table("tracking_views")
    op.drop_index("tracking_links_datasets", "tracking_links")
    for name in ("tracking_params", "tracking_tags"):
        op.drop_index(f"{name}_long", name)
        op.drop_index(f"{name}_short", name)
    op.drop_index("tracking_runs_away", "tracking_runs")
