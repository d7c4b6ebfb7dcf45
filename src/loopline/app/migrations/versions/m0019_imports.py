"""What was brought in from other systems, so that it is not brought in twice."""

from __future__ import annotations

revision = "0019_imports"
down_revision = "0018_search"


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
