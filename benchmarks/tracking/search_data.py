"""An installation with many runs to search: `search_data.py HOME [--runs 100000] [--metrics 100]`.

The rows are made by the database itself, in the order of its tables, so that ten million of them take a minute. Metrics
look random but are the same each time; `m03` is rounded, so that it has many ties; every tenth run lacks `m05`; `m07` is
no number in one run of fifty.
"""

from __future__ import annotations

import argparse
import sqlite3
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from loopline.app.wiring import open_home
from loopline.core.times import to_text

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
MODELS = ("boosting", "forest", "linear", "net", "tree")
STATUSES = ("finished",) * 17 + ("failed", "killed", "finished")
BY_VALUE = "tracking_latest_by_value"
CHANCE = "((r.number * 7919 + k.id * 104729 + (r.number % 977) * (k.id * 31 + 7)) * 48271 % 2147483647) / 2147483647.0"


def fill(home: Path, runs: int, metrics: int, experiments: int = 1) -> None:
    """Make the installation in `home` and put `runs` runs of `metrics` metrics, 8 params and 3 tags each into it."""
    open_home(home).close()
    db = sqlite3.connect(home / "loopline.db")
    db.execute("PRAGMA synchronous=OFF")
    db.execute("PRAGMA cache_size=-400000")
    index = db.execute("SELECT sql FROM sqlite_master WHERE name = ?", (BY_VALUE,)).fetchone()[0]
    db.execute(f"DROP INDEX {BY_VALUE}")
    at = to_text(FIRST)
    rows = [(f"study {number}", at, "bench", at) for number in range(1, experiments + 1)]
    db.executemany(
        "INSERT INTO tracking_experiments (name, created_at, created_by, updated_at) VALUES (?, ?, ?, ?)", rows
    )
    first = db.execute("SELECT MIN(id) FROM tracking_experiments WHERE created_by = 'bench'").fetchone()[0]
    db.executemany(
        """INSERT INTO tracking_runs (id, experiment_id, name, kind, status, started_at, ended_at, created_by,
        surroundings) VALUES (?, ?, ?, 'run', ?, ?, ?, ?, ?)""",
        of_runs(runs, first, experiments),
    )
    db.executemany("INSERT INTO tracking_keys (name) VALUES (?)", [(f"m{n:02}",) for n in range(metrics)])
    db.executemany("INSERT INTO tracking_params (run, key, value) VALUES (?, ?, ?)", params(runs))
    db.executemany("INSERT INTO tracking_tags (run, key, value) VALUES (?, ?, ?)", tags(runs))
    db.execute(
        f"""INSERT INTO tracking_latest (run, key, experiment_id, step, at_ms, value, is_nan)
        SELECT r.number, k.id, r.experiment_id, 100, 1767225600000 + r.number,
        CASE WHEN k.name = 'm07' AND r.number % 50 = 0 THEN 0.0
        WHEN k.name = 'm03' THEN round({CHANCE}, 2) ELSE {CHANCE} END,
        k.name = 'm07' AND r.number % 50 = 0
        FROM tracking_runs r CROSS JOIN tracking_keys k WHERE NOT (k.name = 'm05' AND r.number % 10 = 0)
        ORDER BY r.number, k.id"""
    )
    db.execute(index)
    db.commit()
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()


def of_runs(runs: int, first: int, experiments: int) -> Iterator[tuple[object, ...]]:
    """Rows of runs, one every 30 seconds, each with surroundings as long as real ones are."""
    around = '{"python": "3.11.9", "host": "bench", "command": "' + "x" * 600 + '"}'
    for number in range(runs):
        started = FIRST + timedelta(seconds=30 * number)
        status = STATUSES[number * 7 % len(STATUSES)]
        yield (
            f"{number * 2654435761 % (1 << 64):016x}{number:016x}",
            first + number % experiments,
            f"{MODELS[(number + 1) % 5]} {number}",
            status,
            to_text(started),
            to_text(started + timedelta(seconds=number % 300)),
            ("ada", "grace", "linus")[number % 3],
            around,
        )


def params(runs: int) -> Iterator[tuple[int, str, str]]:
    """Eight params a run; `model` has five values, `seed` is another one each time."""
    for run in range(1, runs + 1):
        values = {
            "batch": str(2 ** (run % 7)),
            "depth": str(run % 12),
            "features": f"set-{run % 40}",
            "learning_rate": f"{0.001 * (1 + run % 100):.3f}",
            "loss": ("log", "hinge", "exp")[run % 3],
            "model": MODELS[run % 5],
            "optimizer": ("adam", "sgd")[run % 2],
            "seed": str(run),
        }
        yield from ((run, key, value) for key, value in values.items())


def tags(runs: int) -> Iterator[tuple[int, str, str]]:
    """Three tags a run."""
    for run in range(1, runs + 1):
        yield run, "mlflow.user", ("ada", "grace", "linus")[run % 3]
        yield run, "purpose", ("baseline", "tuning", "ablation", "demo")[run % 4]
        yield run, "team", f"team {run % 9}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("home", type=Path)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--metrics", type=int, default=100)
    parser.add_argument("--experiments", type=int, default=1)
    given = parser.parse_args()
    began = time.perf_counter()
    fill(given.home, given.runs, given.metrics, given.experiments)
    size = (given.home / "loopline.db").stat().st_size
    print(f"{given.runs:,} runs x {given.metrics} metrics in {time.perf_counter() - began:.0f} s, {size / 1e9:.2f} GB")


if __name__ == "__main__":
    main()
