"""What each project put into the installation, so that leftovers and changes by hand can be told; and retirement."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0014_environments"
down_revision = "0013_releases"
branch_labels = None
depends_on = None

KINDS = (("datasets", "dataset"), ("endpoints", "endpoint"), ("policies", "policy"), ("schedules", "policy"))
RETIRING = ("datasets_datasets", "serving_endpoints")


def upgrade() -> None:
    op.add_column("projects_projects", sa.Column("seq", sa.Integer, nullable=False, server_default="0"))
    for table in RETIRING:
        op.add_column(table, sa.Column("retired_at", sa.Text, nullable=True))
    op.create_table(
        "projects_things",
        sa.Column("project", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("wish", sa.Text, nullable=True),
        sa.Column("put_at", sa.Text, nullable=False),
        sa.Column("put_by", sa.Text, nullable=False),
        sa.Column("left_at", sa.Text, nullable=True),
        sa.Column("left_by", sa.Text, nullable=True),
    )
    op.create_index("projects_things_by_name", "projects_things", ["kind", "name"])
    _remember(op.get_bind())


def _remember(bind: Any) -> None:
    """What was ever applied belongs to its project; as what it was declared is not known of old applications."""
    things: dict[tuple[str, str, str], dict[str, Any]] = {}
    rows = bind.execute(
        sa.text("SELECT seq, name, config, applied_at, applied_by FROM projects_history ORDER BY seq")
    ).mappings()
    for row in rows:
        bind.execute(sa.text("UPDATE projects_projects SET seq = :seq WHERE name = :name"), dict(row))
        config, at, by = json.loads(row["config"]), row["applied_at"], row["applied_by"]
        named = {
            (row["name"], kind[:-1], name) for kind in ("datasets", "endpoints") for name in config.get(kind) or {}
        }
        for key, thing in things.items():
            if key[0] == row["name"] and key not in named and thing["left_at"] is None:
                thing |= {"left_at": at, "left_by": by}
        for key in named:
            things[key] = {"put_at": at, "put_by": by, "left_at": None, "left_by": None}
    for (project, kind, name), thing in things.items():
        bind.execute(
            sa.text(
                "INSERT INTO projects_things (project, kind, name, wish, put_at, put_by, left_at, left_by) "
                "VALUES (:project, :kind, :name, NULL, :put_at, :put_by, :left_at, :left_by)"
            ),
            {"project": project, "kind": kind, "name": name, **thing},
        )


def downgrade() -> None:
    """Drop everything that upgrade made."""
    op.drop_table("projects_things")
    for table in RETIRING:
        op.drop_column(table, "retired_at")
    op.drop_column("projects_projects", "seq")
