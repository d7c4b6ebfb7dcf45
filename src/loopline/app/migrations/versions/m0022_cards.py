"""Model cards, and comparisons of versions on the same rows."""

from __future__ import annotations

revision = "0022_cards"
down_revision = "0021_traces"


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
