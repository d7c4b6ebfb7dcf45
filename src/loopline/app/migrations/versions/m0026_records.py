"""Kept, compacted and erased records of predictions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0026_records"
down_revision = "0025_engines"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """What became of sealed files, and which erasures were asked for (by a keyed hash of the value)."""
    op.add_column("serving_sealed", sa.Column("ended_at", sa.Text))
    op.add_column("serving_sealed", sa.Column("ended_as", sa.Text))
    op.create_table(
        "serving_erasures",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("endpoint", sa.Text, nullable=False),
        sa.Column("field", sa.Text, nullable=False),
        sa.Column("subject_hash", sa.Text, nullable=False),
        sa.Column("asked_at", sa.Text, nullable=False),
        sa.Column("asked_by", sa.Text, nullable=False),
        sa.Column("finished_at", sa.Text),
        sa.Column("predictions", sa.Integer, nullable=False, server_default="0"),
        sa.Column("truth", sa.Integer, nullable=False, server_default="0"),
    )


def downgrade() -> None:
    op.drop_table("serving_erasures")
    op.drop_column("serving_sealed", "ended_as")
    op.drop_column("serving_sealed", "ended_at")
