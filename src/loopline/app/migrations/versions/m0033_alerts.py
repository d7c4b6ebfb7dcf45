"""What alerts tell, what people said of them, and the messages about them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0033_alerts"
down_revision = "0032_estimates"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    for name, default in (("details", "{}"), ("verdict", ""), ("judged_by", ""), ("judged_at", "")):
        op.add_column("monitoring_alerts", sa.Column(name, sa.Text, nullable=False, server_default=default))


def downgrade() -> None:
    """Drop them."""
    for name in ("details", "verdict", "judged_by", "judged_at"):
        op.drop_column("monitoring_alerts", name)
