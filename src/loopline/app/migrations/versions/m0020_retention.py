"""The trash with what was lifted out of other tables, what was once there, and the policies that clear up."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020_retention"
down_revision = "0019_imports"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add them."""
    op.create_table(
        "retention_trash",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),  # trash, purging
        sa.Column("counts", sa.Text, nullable=False),
        sa.Column("things", sa.Text, nullable=False),
        sa.Column("folders", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("removed_at", sa.Text, nullable=False),
        sa.Column("removed_by", sa.Text, nullable=False),
    )
    op.create_index("retention_trash_by_name", "retention_trash", ["kind", "name"])
    op.create_table(
        "retention_parcels",
        sa.Column("entry", sa.Text, primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("of_table", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
    )
    op.create_table(
        "retention_tombstones",
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("of_kind", sa.Text, nullable=False),
        sa.Column("of_name", sa.Text, nullable=False),
        sa.Column("removed_at", sa.Text, nullable=False),
        sa.Column("removed_by", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "retention_policies",
        sa.Column("experiment", sa.Text, primary_key=True),
        sa.Column("rules", sa.Text, nullable=False),
        sa.Column("set_at", sa.Text, nullable=False),
        sa.Column("set_by", sa.Text, nullable=False),
    )
    op.create_table(
        "retention_settings",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )


def downgrade() -> None:
    """Drop everything that upgrade made."""
    for table in ("settings", "policies", "tombstones", "parcels", "trash"):
        op.drop_table(f"retention_{table}")
