"""Gates with their checks and evidence, and approvals."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008_promotion"
down_revision = "0007_registry"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "promotion_gates",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("seq", sa.BigInteger, nullable=False, unique=True),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("alias", sa.Text, nullable=False),
        sa.Column("champion", sa.Integer, nullable=True),
        sa.Column("verdict", sa.Text, nullable=False),
        sa.Column("evidence", sa.Text, nullable=False),
        sa.Column("config", sa.Text, nullable=False),
        sa.Column("decided_at", sa.Text, nullable=False),
        sa.Column("decided_by", sa.Text, nullable=False),
    )
    op.create_index("promotion_gates_by_version", "promotion_gates", ["model", "version", "alias", "seq"])
    op.create_table(
        "promotion_checks",
        sa.Column("gate", sa.Text, sa.ForeignKey("promotion_gates.id"), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("verdict", sa.Text, nullable=False),
        sa.Column("value", sa.Float, nullable=True),
        sa.Column("limit_value", sa.Float, nullable=True),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("required", sa.Integer, nullable=False),
        sa.Column("evidence", sa.Text, nullable=False),
    )
    op.create_table(
        "promotion_approvals",
        sa.Column("gate", sa.Text, sa.ForeignKey("promotion_gates.id"), primary_key=True),
        sa.Column("given_by", sa.Text, primary_key=True),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("alias", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("given_at", sa.Text, nullable=False),
    )


def downgrade() -> None:
    for table in ("promotion_approvals", "promotion_checks", "promotion_gates"):
        op.drop_table(table)
