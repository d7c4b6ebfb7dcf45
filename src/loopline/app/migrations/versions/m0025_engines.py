"""Which engine runs each model version here, and how that was found."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025_engines"
down_revision = "0024_keys"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "registry_engines",
        sa.Column("model", sa.Text, primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("machine", sa.Text, primary_key=True),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("rung", sa.Text, nullable=False),
        sa.Column("content", sa.Text),
        sa.Column("explains", sa.Integer, nullable=False),
        sa.Column("tolerance", sa.Float, nullable=False),
        sa.Column("difference", sa.Float, nullable=False),
        sa.Column("rows", sa.Integer, nullable=False),
        sa.Column("timings", sa.Text, nullable=False),  # JSON: rung → microseconds for 1, 32 and 1,000 rows
        sa.Column("fallen", sa.Text, nullable=False),  # JSON: rung → why it was not taken
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("fallbacks", sa.Integer, nullable=False, server_default="0"),
        sa.Column("fallback", sa.Text, nullable=False, server_default=""),  # why the library itself ran instead
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("registry_engines")
