"""Kept, compacted and erased records of predictions."""

from __future__ import annotations

revision = "0026_records"
down_revision = "0025_engines"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""


def downgrade() -> None:
    """Drop them."""
