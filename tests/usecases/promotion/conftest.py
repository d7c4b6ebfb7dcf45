"""A promotion service on a real SQLite file, with a registry held in memory."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations

from loopline.adapters.databases.sqlite import SQLite
from loopline.core.errors import NotFound
from loopline.core.tables import Column, Signature
from loopline.usecases.promotion.service import Promotion

SIGNATURE = Signature(inputs=(Column("strong", "float"), Column("weak", "float")), output=Column("late", "float"))


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


class Model:
    """Predicts with any function of its columns."""

    def __init__(self, answer: Callable[[Mapping[str, Any]], Any]) -> None:
        self.predict = answer


@dataclass
class Shelf:
    """A registry in memory with one model, `late`."""

    versions: dict[int, SimpleNamespace] = field(default_factory=dict)
    loaded: dict[int, Model] = field(default_factory=dict)
    tables: dict[int, pa.Table] = field(default_factory=dict)
    moves: list[SimpleNamespace] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    frozen: list[int] = field(default_factory=list)

    def add(self, answer: Callable[[Mapping[str, Any]], Any], table: pa.Table, by: str = "ada", **metadata: str) -> int:
        number = len(self.versions) + 1
        self.versions[number] = SimpleNamespace(
            model="late", version=number, digest=f"{number:064}", created_by=by, signature=SIGNATURE, metadata=metadata,
            evaluation_digest=f"e{number:063}", aliases=(),
        )  # fmt: skip
        self.loaded[number], self.tables[number] = Model(answer), table
        return number

    def models(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(name=name) for name in ["late", *self.others]]

    def version(self, name: str, number: int) -> SimpleNamespace:
        if name != "late" or number not in self.versions:
            raise NotFound(f"There is no version {number} of the model {name!r}.")
        return self.versions[number]

    def alias(self, name: str, alias: str) -> int | None:
        return next((move.version for move in reversed(self.moves) if move.alias == alias), None)

    def alias_history(self, name: str, alias: str) -> list[SimpleNamespace]:
        return [move for move in self.moves if move.alias == alias]

    def load(self, name: str, version: int) -> Model:
        return self.loaded[version]

    def evaluation(self, name: str, version: int) -> pa.Table:
        return self.tables[version]

    def point(self, name: str, alias: str, version: int, actor: str, reason: str) -> None:
        self.moves.append(SimpleNamespace(alias=alias, version=version, actor=actor, reason=reason))

    def freeze_card(self, name: str, version: int, actor: str) -> None:
        self.frozen.append(version)


def flights(days: int = 20, per_day: int = 300, seed: int = 0, start: str = "2013-04-01") -> pa.Table:
    """Held-out rows: `strong` tells much about `late`, `weak` little; three carriers; bad days for everyone."""
    rng = np.random.default_rng(seed)
    day = np.repeat(np.arange(days), per_day)
    count = len(day)
    truth_logit = rng.normal(size=count) * 1.5 - 1 + rng.normal(size=days)[day] * 0.5
    late = (rng.random(count) < 1 / (1 + np.exp(-truth_logit))).astype("int64")
    moments = np.datetime64(start, "ms") + day * np.timedelta64(1, "D") + np.arange(count) % 1000
    return pa.table(
        {
            "strong": truth_logit + rng.normal(size=count) * 0.5,
            "weak": truth_logit + rng.normal(size=count) * 3,
            "late": late,
            "event_time": pa.array(moments, pa.timestamp("ms", tz="UTC")),
            "carrier": np.array(["AA", "B6", "UA"])[rng.integers(0, 3, count)],
        }
    )


def by(name: str) -> Callable[[Mapping[str, Any]], Any]:
    """A model that believes one column."""
    return lambda columns: 1 / (1 + np.exp(-columns[name]))


@dataclass
class Desk:
    """All that a test of promotion touches."""

    promotion: Promotion
    shelf: Shelf
    facts: Facts
    database: SQLite
    rules: dict[str, Any]
    flights = staticmethod(flights)
    by = staticmethod(by)

    def gate(self, version: int, alias: str = "production", actor: str = "ada") -> Any:
        return self.promotion.gate("late", version, alias, actor)


def migrated(path: Path, *revisions: str) -> None:
    """Run the upgrades of single revisions on a database file."""
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.begin() as connection, Operations.context(MigrationContext.configure(connection)):
        for revision in revisions:
            importlib.import_module(f"loopline.app.migrations.versions.m{revision}").upgrade()
    engine.dispose()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    migrated(tmp_path / "loopline.db", "0008_promotion", "0022_cards")
    database, shelf, facts, rules = SQLite(tmp_path / "loopline.db"), Shelf(), Facts(), dict[str, Any]()
    moment = datetime(2013, 5, 1, tzinfo=UTC)
    clock = SimpleNamespace(now=lambda: moment, text=lambda: "2013-05-01T00:00:00.000Z")
    projects = SimpleNamespace(gate=lambda model, alias: rules.get(alias))
    yield Desk(Promotion(database, facts, clock, shelf, projects), shelf, facts, database, rules)
    database.close()
