"""Tracking by numbers: runs and keys of metrics are counted, so that millions of rows stay small and quick; and what
MLflow's clients keep beside runs: tags of experiments, datasets, logged models."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016_tracking"
down_revision = "0015_firings"
branch_labels = None
depends_on = None

_RUN = "(SELECT number FROM tracking_runs r WHERE r.id = o.run_id)"
_EXPERIMENT = "(SELECT experiment_id FROM tracking_runs r WHERE r.id = o.run_id)"
_KEY = "(SELECT id FROM tracking_keys k WHERE k.name = o.key)"


def upgrade() -> None:
    """Build the new tables, carry over what the old ones hold."""
    for table in ("experiments", "runs", "params", "tags", "metrics", "latest", "artifacts", "links"):
        op.rename_table(f"tracking_{table}", f"old_{table}")
    for index in (
        "runs_by_start",
        "runs_started",
        "runs_by_status",
        "latest_by_value",
        "params_by_value",
        "tags_by_value",
    ):
        op.execute(f"DROP INDEX IF EXISTS tracking_{index}")
    op.execute("DROP INDEX IF EXISTS tracking_links_by_digest")
    _experiments()
    _runs()
    _measured()
    _beside()
    _models()
    _carry_over()
    for table in ("latest", "metrics", "tags", "params", "links", "artifacts", "runs", "experiments"):
        op.drop_table(f"old_{table}")


def _experiments() -> None:
    op.create_table(
        "tracking_experiments",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("state", sa.Text, nullable=False, server_default="active"),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("updated_at", sa.Text, nullable=False),
        sa.Column("location", sa.Text, nullable=False, server_default=""),
        sqlite_autoincrement=True,
    )
    _texts("tracking_experiment_tags", sa.Column("experiment_id", sa.Integer, primary_key=True))


def _runs() -> None:
    op.create_table(
        "tracking_runs",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("experiment_id", sa.Integer, sa.ForeignKey("tracking_experiments.id"), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False, server_default="active"),
        sa.Column("deleted_at", sa.Text),
        sa.Column("started_at", sa.Text, nullable=False),
        sa.Column("ended_at", sa.Text),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False, server_default=""),
        sa.Column("process", sa.Text, nullable=False, server_default=""),
        sa.Column("surroundings", sa.Text, nullable=False, server_default="{}"),
        sa.Column("error", sa.Text, nullable=False, server_default=""),
        sa.Column("artifact_root", sa.Text, nullable=False, server_default=""),
        sqlite_autoincrement=True,
    )
    op.create_index("tracking_runs_by_start", "tracking_runs", ["experiment_id", "started_at", "id", "state"])
    op.create_index("tracking_runs_started", "tracking_runs", ["started_at", "id", "state"])
    op.create_index("tracking_runs_by_status", "tracking_runs", ["status"])
    op.create_index("tracking_runs_ended", "tracking_runs", ["ended_at"])


def _texts(table: str, owner: sa.Column[int] | sa.Column[str]) -> None:
    op.create_table(
        table,
        owner,
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )


def _measured() -> None:
    op.create_table(
        "tracking_keys",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
    )
    for table in ("params", "tags"):
        _texts(f"tracking_{table}", sa.Column("run", sa.Integer, primary_key=True))
    whole = ("run", "key", "at_ms", "step", "value", "is_nan")
    _points("tracking_points", whole, ())
    _points("tracking_latest", ("run", "key"), (sa.Column("experiment_id", sa.Integer, nullable=False),))
    op.create_index("tracking_latest_by_value", "tracking_latest", ["experiment_id", "key", "is_nan", "value", "run"])
    op.create_table(
        "tracking_blocks",
        sa.Column("run", sa.Integer, primary_key=True),
        sa.Column("key", sa.Integer, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("points", sa.Integer, nullable=False),
        sa.Column("packed", sa.LargeBinary, nullable=False),
    )


def _points(table: str, key: tuple[str, ...], more: tuple[sa.Column[int], ...]) -> None:
    """A point is its own key: the same one sent again is kept once, another value at the same step is kept too."""
    op.create_table(
        table,
        sa.Column("run", sa.Integer, nullable=False),
        sa.Column("key", sa.Integer, nullable=False),
        *more,
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("step", sa.BigInteger, nullable=False),
        sa.Column("value", sa.Double, nullable=False),
        sa.Column("is_nan", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint(*key),
        sqlite_with_rowid=False,
    )


def _beside() -> None:
    op.create_table(
        "tracking_artifacts",
        sa.Column("owner", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("media_type", sa.Text, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "tracking_links",
        sa.Column("run_id", sa.Text, primary_key=True),
        sa.Column("direction", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("tags", sa.Text, nullable=False, server_default="{}"),
    )
    op.create_index("tracking_links_by_digest", "tracking_links", ["digest"])
    op.create_table(
        "tracking_datasets",
        sa.Column("experiment_id", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("source_type", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("schema", sa.Text, nullable=False, server_default=""),
        sa.Column("profile", sa.Text, nullable=False, server_default=""),
    )


def _models() -> None:
    op.create_table(
        "tracking_models",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("experiment_id", sa.Integer, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False, server_default=""),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("status_message", sa.Text, nullable=False, server_default=""),
        sa.Column("state", sa.Text, nullable=False, server_default="active"),
        sa.Column("deleted_at", sa.Text),
        sa.Column("source_run_id", sa.Text, nullable=False, server_default=""),
        sa.Column("location", sa.Text, nullable=False, server_default=""),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("updated_at", sa.Text, nullable=False),
    )
    op.create_index("tracking_models_by_experiment", "tracking_models", ["experiment_id", "created_at"])
    op.create_index("tracking_models_by_run", "tracking_models", ["source_run_id"])
    for table in ("tracking_model_params", "tracking_model_tags"):
        _texts(table, sa.Column("model_id", sa.Text, primary_key=True))
    op.create_table(
        "tracking_model_metrics",
        *(sa.Column(name, sa.Text, primary_key=True) for name in ("model_id", "key")),
        *(sa.Column(name, sa.BigInteger, primary_key=True) for name in ("at_ms", "step")),
        sa.Column("value", sa.Double, primary_key=True),
        sa.Column("is_nan", sa.Integer, primary_key=True),
        *(sa.Column(name, sa.Text, primary_key=True) for name in ("run_id", "dataset_name", "dataset_digest")),
        sqlite_with_rowid=False,
    )
    op.create_index("tracking_model_metrics_by_run", "tracking_model_metrics", ["run_id"])


def _carry_over() -> None:
    op.execute(
        """INSERT INTO tracking_experiments (id, name, state, created_at, created_by, updated_at)
        VALUES (0, 'Default', 'active', '1970-01-01T00:00:00.000000Z', 'loopline', '1970-01-01T00:00:00.000000Z')"""
    )
    op.execute(
        """INSERT INTO tracking_experiments (id, name, state, created_at, created_by, updated_at)
        SELECT id, name, state, created_at, created_by, created_at FROM old_experiments WHERE name <> 'Default'"""
    )
    same = "id, name, kind, status, state, started_at, ended_at, created_by, process, surroundings, error"
    op.execute(
        f"""INSERT INTO tracking_runs (experiment_id, {same})
        SELECT (SELECT e.id FROM tracking_experiments e JOIN old_experiments x ON x.name = e.name
        WHERE x.id = o.experiment_id), {same} FROM old_runs o ORDER BY started_at, id"""
    )
    op.execute("INSERT INTO tracking_keys (name) SELECT DISTINCT key FROM old_latest ORDER BY key")
    for table in ("params", "tags"):
        op.execute(f"INSERT INTO tracking_{table} (run, key, value) SELECT {_RUN}, key, value FROM old_{table} o")
    point = "at_ms, step, value, is_nan"
    op.execute(f"INSERT INTO tracking_points (run, key, {point}) SELECT {_RUN}, {_KEY}, {point} FROM old_metrics o")
    op.execute(
        f"""INSERT INTO tracking_latest (run, key, experiment_id, {point})
        SELECT {_RUN}, {_KEY}, {_EXPERIMENT}, {point} FROM old_latest o"""
    )
    kept = "name, digest, size, media_type, created_at"
    op.execute(f"INSERT INTO tracking_artifacts (owner, {kept}) SELECT run_id, {kept} FROM old_artifacts")
    link = "run_id, direction, name, digest, kind"
    op.execute(f"INSERT INTO tracking_links ({link}) SELECT {link} FROM old_links")


def downgrade() -> None:
    """There is no way back: restore the copy of the installation that was made before."""
    raise NotImplementedError("restore the copy of the installation that was made before")
