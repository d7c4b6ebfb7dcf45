"""Traces and their spans."""

from __future__ import annotations

revision = "0021_traces"
down_revision = "0020_retention"


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
