"""Business rules in versions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0028_rules"
down_revision = "0027_traffic"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "serving_rules",
        sa.Column("reference", sa.Text, primary_key=True),  # NAME/NUMBER
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("content_digest", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("declared", sa.Text, nullable=False),
        sa.Column("put_at", sa.Text, nullable=False),
        sa.Column("put_by", sa.Text, nullable=False),
    )
    op.create_index("serving_rules_by_name", "serving_rules", ["name", "number"], unique=True)
    op.add_column("serving_revisions", sa.Column("rules", sa.Text))


def downgrade() -> None:
    """Drop them."""
    op.drop_column("serving_revisions", "rules")
    op.drop_table("serving_rules")
