"""What is kept of the rows of an endpoint's days."""

from __future__ import annotations

revision = "0030_buckets"
down_revision = "0029_runtimes"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""


def downgrade() -> None:
    """Drop them."""
