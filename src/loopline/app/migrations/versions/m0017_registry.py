"""The registry as MLflow knows it: descriptions, tags, stages, sources."""

from __future__ import annotations

revision = "0017_registry"
down_revision = "0016_tracking"


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
