"""Performance that was estimated before its truth arrived."""

from __future__ import annotations

revision = "0032_estimates"
down_revision = "0031_drift"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""


def downgrade() -> None:
    """Drop them."""
