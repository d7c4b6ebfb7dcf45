"""Tokens that may ask some endpoints only."""

from __future__ import annotations

revision = "0024_keys"
down_revision = "0023_options"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""


def downgrade() -> None:
    """Drop them."""
