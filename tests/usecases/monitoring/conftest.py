"""A monitoring service on a real SQLite file, over logs held in memory."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations

from loopline.adapters.databases.sqlite import SQLite
from loopline.core.errors import NotFound
from loopline.core.tables import Column, Signature
from loopline.usecases.monitoring import evaluating
from loopline.usecases.monitoring.service import Monitoring

HOUR, DAY = 3_600_000, 86_400_000
APRIL = int(np.datetime64("2013-04-01", "ms").astype("int64"))  # a Monday
MOMENT = pa.timestamp("ms", tz="UTC")
SIGNATURE = Signature(
    inputs=(Column("distance", "float"), Column("wind", "float", True), Column("carrier", "string")),
    output=Column("late", "float"),
)
TRUTH = pa.schema(
    [
        ("prediction_id", pa.string()), ("key", pa.string()), ("event_time", MOMENT), ("value", pa.float64()),
        ("observed_at", MOMENT), ("received_at", MOMENT), ("seq", pa.int64()),
    ]
)  # fmt: skip


REVISIONS = (
    "0010_monitoring", "0030_buckets", "0031_drift", "0032_estimates", "0033_alerts", "0034_budgets", "0035_monitors",
)  # fmt: skip


@dataclass
class Facts:
    """A ledger that only remembers."""

    kept: list[SimpleNamespace] = field(default_factory=list)

    def append(self, tx: Any, kind: str, subject: str, actor: str, body: Mapping[str, Any]) -> Any:
        fact = SimpleNamespace(seq=len(self.kept) + 1, kind=kind, subject=subject, actor=actor, body=dict(body))
        self.kept.append(fact)
        return fact

    def kinds(self) -> list[str]:
        return [fact.kind for fact in self.kept]


@dataclass
class Logs:
    """The serving use-case, reduced to its logs."""

    predictions: list[pa.Table] = field(default_factory=list)
    truth: list[dict[str, Any]] = field(default_factory=list)
    reads: int = 0

    def endpoints(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(name="late")]

    def standing(self, tx: Any, endpoint: str) -> bool:
        return True

    def log_mark(self, endpoint: str) -> str:
        return f"{len(self.predictions)} {len(self.truth)}"

    def log_days(self, endpoint: str, known: Any = ()) -> list[SimpleNamespace]:
        """One unit a day; a mark is the number of its rows."""
        rows: dict[int, int] = {}
        for table in self.predictions:
            days, counts = np.unique(np.asarray(table["at"].cast("int64")) // DAY, return_counts=True)
            for one, count in zip(days.tolist(), counts.tolist(), strict=True):
                rows[one] = rows.get(one, 0) + count
        names = {one: str(np.datetime64(one * DAY, "ms").astype("datetime64[D]")) for one in sorted(rows)}
        return [
            SimpleNamespace(name=name, first_ms=one * DAY, end_ms=(one + 1) * DAY, rows=rows[one], files="",
                            mark=str(rows[one]))
            for one, name in names.items()
        ]  # fmt: skip

    def truth_mark(self, endpoint: str) -> str:
        return ""

    def times_of_ids(self, ids: Any) -> Any:
        """These ids hold no time: it is looked up."""
        if not self.predictions:
            return np.full(len(ids), -1, dtype=np.int64)
        known = pa.concat_tables([table.select(["id", "at"]) for table in self.predictions]).combine_chunks()
        places = np.asarray(pc.index_in(ids, value_set=known["id"].combine_chunks()).fill_null(-1).to_numpy())
        return np.where(places >= 0, np.asarray(known["at"].cast("int64").to_numpy())[places], -1)

    def read_predictions(
        self, endpoint: str, since: str | None = None, until: str | None = None, by: str = "at", columns: Any = None
    ) -> pa.Table:
        self.reads += 1
        found = pa.concat_tables(self.predictions) if self.predictions else predicted(0)
        if since is None or until is None:
            return found
        first, end = (pa.scalar(datetime.fromisoformat(text), MOMENT) for text in (since, until))
        found = found.filter((pc.field(by) >= first) & (pc.field(by) < end))
        return found if columns is None else found.select([name for name in columns if name in found.column_names])

    def read_truth(self, endpoint: str, after: int = 0, most: int | None = None) -> pa.Table:
        later = [row for row in self.truth if row["seq"] > after]
        return pa.Table.from_pylist(later[:most], TRUTH)

    def tell(self, targets: list[Any], values: Any, observed: Any) -> None:
        """Truth by prediction id (a text) or by (key, event time in ms), as it comes in."""
        for target, value, at in zip(targets, values, observed, strict=True):
            by_id = isinstance(target, str)
            row = {"prediction_id": target if by_id else None, "key": None if by_id else target[0], "value": value}
            row |= {"event_time": None if by_id else int(target[1]), "observed_at": int(at)}
            self.truth.append(row | {"received_at": int(at), "seq": len(self.truth) + 1})


def predicted(
    count: int,
    seed: int = 0,
    start: int = APRIL,
    days: float = 7,
    quality: float = 3.0,
    version: int = 1,
    **changes: Any,
) -> pa.Table:
    """Logged predictions spread over `days` from `start`; `quality` says how well they know the truth that `outcomes`
    tells (0 = not at all)."""
    rng = np.random.default_rng(seed)
    events = np.sort(start + (rng.random(count) * days * DAY).astype("int64"))
    outcome = (rng.random(count) < 0.3).astype(float)
    columns: dict[str, Any] = {
        "id": [f"p{start}-{version}-{i}" for i in range(count)],
        "endpoint": ["late"] * count,
        "revision": np.full(count, version, dtype="int32"),
        "model": ["late"] * count,
        "version": np.full(count, version, dtype="int32"),
        "at": pa.array(events - 3 * HOUR, MOMENT),
        "event_time": pa.array(events, MOMENT),
        "key": [f"k{i}" for i in range(count)],
        "distance": rng.normal(1000, 300, count),
        "wind": rng.normal(10, 3, count),
        "carrier": np.array(["AA", "B6", "UA"])[rng.integers(0, 3, count)],
        "prediction": 1 / (1 + np.exp(-(quality * (outcome - 0.5) + rng.normal(size=count)))),
        "latency_us": rng.integers(100, 400, count).astype("int32"),
        "outcome": outcome,
    }
    table = pa.table(columns | changes)
    return table.drop_columns(["outcome"]) if "outcome" not in changes and count == 0 else table


@dataclass
class Watch:
    """All that a test of monitoring touches."""

    monitoring: Monitoring
    logs: Logs
    facts: Facts
    database: SQLite
    rules: dict[str, Any]
    versions: dict[int, SimpleNamespace]
    profiles: dict[int, bytes]
    predicted = staticmethod(predicted)
    signature = SIGNATURE
    april = APRIL
    hour = HOUR
    day = DAY

    def traffic(self, count: int = 700, delay_hours: float = 10, told: float = 1.0, **shape: Any) -> pa.Table:
        """Predictions, and the truth of a share `told` of them, known up to `delay_hours` after the event."""
        table = predicted(count, **shape)
        self.logs.predictions.append(table.drop_columns(["outcome"]))
        rng = np.random.default_rng(99)
        events = np.asarray(table["event_time"].cast("int64"))
        known = events + (rng.random(count) * delay_hours * HOUR).astype("int64")
        chosen = np.flatnonzero(rng.random(count) < told)
        ids, outcome = table["id"].to_pylist(), table["outcome"].to_numpy()
        self.logs.tell([ids[i] for i in chosen], outcome[chosen], known[chosen])
        return table

    def windows(self, column: str = "") -> list[Any]:
        return self.monitoring.windows("late", column)


def migrated(path: Path, *revisions: str) -> None:
    """Run the upgrades of single revisions on a database file."""
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.begin() as connection, Operations.context(MigrationContext.configure(connection)):
        for revision in revisions:
            importlib.import_module(f"loopline.app.migrations.versions.m{revision}").upgrade()
    engine.dispose()


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    migrated(tmp_path / "loopline.db", *REVISIONS)
    database, facts, logs = SQLite(tmp_path / "loopline.db"), Facts(), Logs()
    rules: dict[str, Any] = {}
    versions = {n: SimpleNamespace(signature=SIGNATURE, metrics={"weekly_auc_low": 0.8}) for n in (1, 2)}
    profiles: dict[int, bytes] = {}

    def version(name: str, number: int) -> Any:
        if number not in versions:
            raise NotFound(f"There is no version {number}.")
        return versions[number]

    registry = SimpleNamespace(version=version, profile=lambda name, number: profiles.get(number))
    clock = SimpleNamespace(text=lambda: "2013-05-01T00:00:00.000Z")
    projects = SimpleNamespace(monitor=lambda endpoint: rules.get(endpoint), projects=list)
    monitoring = Monitoring(database, facts, clock, registry, logs, projects, home=tmp_path)
    yield Watch(monitoring, logs, facts, database, rules, versions, profiles)
    database.close()


@pytest.fixture
def windows_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Evaluations go without what looks at windows: drift, estimates, silence."""
    monkeypatch.setattr(evaluating, "LOOKS", ())
