"""Tables of releases: sealed pipelines, where each is promoted, environments that were built."""

from __future__ import annotations

revision = "0013_releases"
down_revision = "0012_steps"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add them."""


def downgrade() -> None:
    """Drop everything that upgrade made."""
