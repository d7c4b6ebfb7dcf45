"""Endpoints, their revisions, what was live when, and what was sealed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009_serving"
down_revision = "0008_promotion"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "serving_endpoints",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("alias", sa.Text),
        sa.Column("followed_version", sa.Integer),
        sa.Column("key", sa.Text),
        sa.Column("event_time", sa.Text),
        sa.Column("live_revision", sa.Integer),
        sa.Column("wanted_revision", sa.Integer),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
    )
    op.create_table(
        "serving_revisions",
        sa.Column("endpoint", sa.Text, sa.ForeignKey("serving_endpoints.name"), primary_key=True),
        sa.Column("revision", sa.Integer, primary_key=True),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("signature", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("requested_at", sa.Text, nullable=False),
        sa.Column("requested_by", sa.Text, nullable=False),
        sa.Column("live_at", sa.Text),
        sa.Column("ended_at", sa.Text),
        sa.Column("rolled_back_at", sa.Text),
    )
    op.create_table(
        "serving_live_history",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("endpoint", sa.Text, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("from_at", sa.Text, nullable=False),
        sa.Column("until_at", sa.Text),
        sa.Column("actor", sa.Text, nullable=False),
    )
    op.create_index("serving_live_history_by_time", "serving_live_history", ["endpoint", "from_at"])
    op.create_table(
        "serving_sealed",
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("endpoint", sa.Text, primary_key=True),
        sa.Column("file", sa.Text, primary_key=True),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("rows", sa.Integer, nullable=False),
        sa.Column("sealed_at", sa.Text, nullable=False),
    )


def downgrade() -> None:
    for table in ("serving_sealed", "serving_live_history", "serving_revisions", "serving_endpoints"):
        op.drop_table(table)
