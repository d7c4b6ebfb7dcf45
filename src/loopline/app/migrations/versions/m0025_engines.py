"""Which engine runs each model version here, and how that was found."""

from __future__ import annotations

revision = "0025_engines"
down_revision = "0024_keys"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""


def downgrade() -> None:
    """Drop them."""
