"""Tables of serving."""

from __future__ import annotations

revision = "0009_serving"
down_revision = "0008_promotion"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
