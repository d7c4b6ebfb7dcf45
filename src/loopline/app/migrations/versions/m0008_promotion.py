"""Tables of promotion."""

from __future__ import annotations

revision = "0008_promotion"
down_revision = "0007_registry"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
