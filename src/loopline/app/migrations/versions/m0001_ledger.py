"""The ledger's facts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001_ledger"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "ledger_facts",
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("previous", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
    )
    op.create_index("ledger_facts_subject", "ledger_facts", ["subject", "seq"])
    op.create_index("ledger_facts_kind", "ledger_facts", ["kind", "seq"])


def downgrade() -> None:
    op.drop_table("ledger_facts")
