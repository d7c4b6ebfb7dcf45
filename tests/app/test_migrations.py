"""An installation of an older schema is brought up to date with all that it holds."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from loopline.app.migrations import fresh
from loopline.app.migrations.runner import NEWEST, VERSIONS, apply, stored
from loopline.app.wiring import make_home, open_home

pytestmark = pytest.mark.unit

RUNS = (("a" * 32, 1, "first", "finished"), ("b" * 32, 2, "second", "running"))


def home_of(folder: Path, revision: str) -> Path:
    """An installation as it was at that revision."""
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import create_engine

    home = folder / "home"
    make_home(home)
    config = Config()
    config.set_main_option("script_location", str(VERSIONS.parent))
    engine = create_engine(f"sqlite:///{home / 'loopline.db'}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()
    return home


def fill(db: sqlite3.Connection) -> None:
    at = "2026-01-01T00:00:00.000Z"
    experiments = [(1, "default"), (2, "late")]
    db.executemany(f"INSERT INTO tracking_experiments VALUES (?, ?, 'active', '{at}', 'ann')", experiments)
    for run_id, experiment, name, status in RUNS:
        db.execute(
            f"""INSERT INTO tracking_runs (id, experiment_id, name, kind, status, started_at, created_by)
            VALUES ('{run_id}', {experiment}, '{name}', 'run', '{status}', '{at}', 'ann')"""
        )
        db.execute("INSERT INTO tracking_params VALUES (?, 'rate', ?)", (run_id, name))
        db.execute("INSERT INTO tracking_tags VALUES (?, 'team', ?)", (run_id, name))
        points = [(run_id, "loss", step, 10 + step, 0.5 / (step + 1), 0) for step in range(3)]
        db.executemany("INSERT INTO tracking_metrics VALUES (?, ?, ?, ?, ?, ?)", points)
        db.execute("INSERT INTO tracking_latest VALUES (?, ?, ?, ?, ?, ?)", points[-1])
        db.execute(
            f"INSERT INTO tracking_artifacts VALUES (?, 'notes.txt', '{'0' * 64}', 3, 'text/plain', '{at}')", (run_id,)
        )
        db.execute("INSERT INTO tracking_links VALUES (?, 'input', 'flights', ?, 'dataset')", (run_id, "1" * 64))


def test_runs_of_an_older_installation_are_all_there(tmp_path: Path) -> None:
    home = home_of(tmp_path, "0015_firings")
    with sqlite3.connect(home / "loopline.db") as db:
        fill(db)
    db.close()
    with open_home(home) as loopline:
        assert stored(home) == NEWEST
        tracking = loopline.tracking
        for run_id, _, name, status in RUNS:
            run = tracking.get(run_id)
            assert (run.name, run.status, run.params, run.tags) == (name, status, {"rate": name}, {"team": name})
            assert [(one.step, one.value) for one in tracking.history(run_id, "loss")] == [
                (0, 0.5),
                (1, 0.25),
                (2, 0.5 / 3),
            ]
            assert run.metrics == {"loss": 0.5 / 3}
            assert [one.name for one in tracking.artifacts(run_id)] == ["notes.txt"]
            assert [one.name for one in run.links] == ["flights"]
        assert sorted(one.name for one in tracking.experiments()) == ["Default", "default", "late"]
        assert [run.id for run in tracking.search("metrics.loss < 0.2", experiment="late").runs] == [RUNS[1][0]]


def test_a_new_installation_has_the_default_experiment(tmp_path: Path) -> None:
    with open_home(tmp_path / "home") as loopline:
        run = loopline.tracking.start("first", actor="ann")
        assert (run.experiment, run.experiment_id) == ("Default", 0)


def test_an_older_registry_is_all_there(tmp_path: Path) -> None:
    home = home_of(tmp_path, "0015_firings")
    at = "2026-01-01T00:00:00.000Z"
    with sqlite3.connect(home / "loopline.db") as db:
        db.execute(f"INSERT INTO registry_models VALUES ('late', 1, '{at}', 'ann')")
        values = (
            "late",
            1,
            "0" * 64,
            "sklearn-skops",
            '{"inputs":[],"output":{"name":"y","type":"float"}}',
            '{"auc":0.7}',
        )
        values += (None, None, "a" * 32, "{}", True, at, "ann")
        db.execute(f"INSERT INTO registry_versions VALUES ({', '.join('?' * len(values))})", values)
        db.execute(f"INSERT INTO registry_aliases VALUES ('late', 'production', 1, '{at}')")
        db.execute(
            f"INSERT INTO registry_alias_history VALUES (7, 'late', 'production', NULL, 1, 'first', 'ann', '{at}')"
        )
    db.close()
    with open_home(home) as loopline:
        version = loopline.registry.version("late", 1)
        assert (version.metrics, version.aliases, version.updated_at) == ({"auc": 0.7}, ("production",), at)
        assert (version.stage, version.status) == ("None", "ready")
        assert [move.seq for move in loopline.registry.alias_history("late", "production")] == [7]
        loopline.registry.tag("late", {"team": "air"}, "ann", 1)
        assert loopline.registry.models()[0].updated_at == at


def test_a_new_installation_is_made_in_one_piece_and_as_the_revisions_would(tmp_path: Path) -> None:
    statements = fresh.recorded()
    assert statements is not None, "a revision has changed since `make schema`"
    apply(tmp_path / "walked.db")
    fresh.create(tmp_path / "made.db", statements)
    assert fresh.dumped(tmp_path / "made.db") == fresh.dumped(tmp_path / "walked.db")
    for pragma in ("auto_vacuum", "journal_mode"):
        found = set()
        for path in tmp_path.glob("*.db"):
            with closing(sqlite3.connect(path)) as db:
                found.add(db.execute(f"PRAGMA {pragma}").fetchone())
        assert len(found) == 1


def test_a_schema_of_other_revisions_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "schema.sql"
    other.write_text(fresh.SCHEMA.read_text().replace("-- Made", "-- Mode"))
    monkeypatch.setattr(fresh, "SCHEMA", other)
    assert fresh.recorded() is None
    with open_home(tmp_path / "home"):
        assert stored(tmp_path / "home") == NEWEST
