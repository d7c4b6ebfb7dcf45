"""Model cards in revisions, what was pinned when an alias moved, who fetched a version; versions measured side by side, and
what is asked of a process that may load models."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022_cards"
down_revision = "0021_traces"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "registry_cards",
        sa.Column("model", sa.Text, primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("revision", sa.Integer, primary_key=True),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("written_at", sa.Text, nullable=False),
        sa.Column("written_by", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "registry_card_pins",
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("alias", sa.Text, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("pinned_at", sa.Text, nullable=False),
    )
    op.create_index("registry_card_pins_by_version", "registry_card_pins", ["model", "version"])
    op.create_table(
        "registry_downloads",
        sa.Column("model", sa.Text, primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("who", sa.Text, primary_key=True),
        sa.Column("how", sa.Text, primary_key=True),
        sa.Column("day", sa.Text, primary_key=True),
        sqlite_with_rowid=False,
    )
    _promotion()


def _promotion() -> None:
    op.create_table(
        "promotion_sides",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("versions", sa.Text, nullable=False),
        sa.Column("held_out_of", sa.Integer, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("measured_at", sa.Text, nullable=False),
    )
    op.create_index("promotion_sides_by_model", "promotion_sides", ["model", "measured_at"])
    op.create_table(
        "promotion_requests",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("verb", sa.Text, nullable=False),
        sa.Column("fields", sa.Text, nullable=False),
        sa.Column("caller", sa.Text, nullable=False),
        sa.Column("role", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),  # open, done, failed
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("asked_at", sa.Text, nullable=False),
    )
    op.create_index("promotion_requests_by_state", "promotion_requests", ["state", "asked_at"])


def downgrade() -> None:
    """Drop everything that upgrade made."""
    for table in ("promotion_requests", "promotion_sides"):
        op.drop_table(table)
    for table in ("downloads", "card_pins", "cards"):
        op.drop_table(f"registry_{table}")
