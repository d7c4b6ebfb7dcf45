"""Datasets: where they come from, the batches seen, and the snapshots made of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004_datasets"
down_revision = "0003_projects"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "datasets_datasets",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("contract", sa.Text, nullable=True),
        sa.Column("latest", sa.Text, nullable=True),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("changed_at", sa.Text, nullable=False),
    )
    op.create_table(
        "datasets_batches",
        sa.Column("dataset", sa.Text, sa.ForeignKey("datasets_datasets.name"), primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("stamp", sa.Text, nullable=False),
        sa.Column("format", sa.Text, nullable=False),
        sa.Column("rows", sa.Integer, nullable=False),
        sa.Column("bytes", sa.Integer, nullable=False),
        sa.Column("columns", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("report", sa.Text, nullable=True),
        sa.Column("seen_at", sa.Text, nullable=False),
    )
    op.create_index("datasets_batches_by_state", "datasets_batches", ["dataset", "state"])
    op.create_table(
        "datasets_snapshots",
        sa.Column("dataset", sa.Text, sa.ForeignKey("datasets_datasets.name"), primary_key=True),
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("parent", sa.Text, nullable=True),
        sa.Column("rows", sa.Integer, nullable=False),
        sa.Column("bytes", sa.Integer, nullable=False),
        sa.Column("columns", sa.Text, nullable=False),
        sa.Column("parts", sa.Text, nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("taken_at", sa.Text, nullable=False),
        sa.Column("taken_by", sa.Text, nullable=False),
    )
    op.create_index("datasets_snapshots_by_digest", "datasets_snapshots", ["digest"])


def downgrade() -> None:
    for table in ("datasets_snapshots", "datasets_batches", "datasets_datasets"):
        op.drop_table(table)
