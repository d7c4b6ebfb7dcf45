"""What pipelines need beyond their first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012_steps"
down_revision = "0011_automation"
branch_labels = None
depends_on = None


RUNS = ("file", "registers", "executor", "params", "release", "environment", "same_as", "basis", "cancelled_by")


def upgrade() -> None:
    """Add what a run needs to be done again, cancelled or told apart, and what a step's calls were like."""
    for name in RUNS:
        op.add_column("pipelines_runs", sa.Column(name, sa.Text, nullable=False, server_default=""))
    op.add_column("pipelines_steps", sa.Column("attempts", sa.Integer, nullable=False, server_default="1"))
    op.add_column("pipelines_steps", sa.Column("output", sa.Text, nullable=False, server_default=""))
    op.add_column("pipelines_steps", sa.Column("part_of", sa.Text, nullable=False, server_default=""))
    op.add_column("pipelines_steps", sa.Column("warnings", sa.Integer, nullable=False, server_default="0"))
    op.add_column("pipelines_results", sa.Column("used_at", sa.Text, nullable=False, server_default=""))
    op.create_index("pipelines_runs_by_pipeline", "pipelines_runs", ["pipeline", "started_at"])
    op.create_index("pipelines_runs_by_basis", "pipelines_runs", ["basis", "started_at"])


def downgrade() -> None:
    """Drop everything that upgrade made."""
    op.drop_index("pipelines_runs_by_basis", "pipelines_runs")
    op.drop_index("pipelines_runs_by_pipeline", "pipelines_runs")
    op.drop_column("pipelines_results", "used_at")
    for name in ("warnings", "part_of", "output", "attempts"):
        op.drop_column("pipelines_steps", name)
    for name in reversed(RUNS):
        op.drop_column("pipelines_runs", name)
