"""Whole experiments, runs and logged models, many at a time, for whoever takes them elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from loopline.ports.database import Row, Transaction
from loopline.usecases.tracking import experiments_store, logged_model_rows, points, store
from loopline.usecases.tracking.base import Base
from loopline.usecases.tracking.experiments_store import Described
from loopline.usecases.tracking.logged_model_rows import LoggedModel
from loopline.usecases.tracking.model import Run

_RUNS = """SELECT id FROM tracking_runs WHERE experiment_id = :experiment AND number > :after ORDER BY number
 LIMIT :limit"""
_LOOSE = """SELECT k.name, p.at_ms, p.step, p.value, p.is_nan FROM tracking_points p
 JOIN tracking_keys k ON k.id = p.key WHERE p.run = :run ORDER BY k.name, p.at_ms, p.step, p.value"""
_PACKED = """SELECT DISTINCT b.key AS key, k.name AS name FROM tracking_blocks b JOIN tracking_keys k ON k.id = b.key
 WHERE b.run = :run ORDER BY k.name"""


class GivenRun(msgspec.Struct, frozen=True):
    """A run with when it was put into the trash, its datasets as they were told, and its number."""

    run: Run
    number: int
    deleted_at: str | None
    datasets: list[dict[str, Any]]


class Giving(Base):
    """Reading in bulk; deleted things are told too."""

    def given_experiments(self) -> list[Described]:
        """All experiments by number."""

        def work(tx: Transaction) -> list[Described]:
            rows = sorted(experiments_store.rows(tx), key=lambda row: int(row["id"]))
            tags = experiments_store.tags(tx, [row["id"] for row in rows])
            return [experiments_store.described(row, tags.get(row["id"], {})) for row in rows]

        return self._database.read(work)

    def given_runs(self, experiment: int, after: int, limit: int) -> list[GivenRun]:
        """The runs of an experiment whose numbers follow `after`."""

        def work(tx: Transaction) -> list[GivenRun]:
            asked = {"experiment": experiment, "after": after, "limit": limit}
            runs = store.of_ids(tx, [row["id"] for row in tx.rows(_RUNS, asked)])
            marks = marks_of(tx, [run.id for run in runs])
            datasets = datasets_of(tx, experiment)
            return [given(run, marks[run.id], datasets) for run in runs]

        return self._database.read(work)

    def given_points(self, run_id: str) -> list[tuple[str, int, int, float]]:
        """All points of a run as (key, time in ms, step, value)."""

        def work(tx: Transaction) -> list[tuple[str, int, int, float]]:
            number = store.number_of(tx, run_id)
            packed = {row["name"]: int(row["key"]) for row in tx.rows(_PACKED, {"run": number})}
            found = [loose(row) for row in tx.rows(_LOOSE, {"run": number}) if row["name"] not in packed]
            return found + [point for name, key in packed.items() for point in unpacked(tx, number, name, key)]

        return self._database.read(work)

    def given_models(self, experiment: int) -> list[LoggedModel]:
        """The logged models of an experiment that are not deleted."""

        def work(tx: Transaction) -> list[LoggedModel]:
            return logged_model_rows.whole(tx, logged_model_rows.of_experiments(tx, [experiment]))

        return self._database.read(work)


def loose(row: Row) -> tuple[str, int, int, float]:
    """A point as it lies."""
    return row["name"], row["at_ms"], row["step"], float("nan") if row["is_nan"] else row["value"]


def unpacked(tx: Transaction, run: int, name: str, key: int) -> Iterator[tuple[str, int, int, float]]:
    """The points of a metric some of which are packed."""
    found = points.series(tx, run, key)
    for at_ms, step, value in zip(found.at_ms.tolist(), found.steps.tolist(), found.values.tolist(), strict=True):
        yield name, at_ms, step, value


def marks_of(tx: Transaction, ids: Sequence[str]) -> dict[str, Row]:
    """Number and time of deletion of runs."""
    found: dict[str, Row] = {}
    for part in store.parts(ids):
        marks, params = store.marked(part)
        rows = tx.rows(f"SELECT id, number, deleted_at FROM tracking_runs WHERE id IN ({marks})", params)
        found |= {row["id"]: row for row in rows}
    return found


def datasets_of(tx: Transaction, experiment: int) -> dict[tuple[str, str], Row]:
    """The datasets of an experiment by name and digest."""
    rows = tx.rows("SELECT * FROM tracking_datasets WHERE experiment_id = :id", {"id": experiment})
    return {(row["name"], row["digest"]): row for row in rows}


def given(run: Run, mark: Row, datasets: dict[tuple[str, str], Row]) -> GivenRun:
    """A run with what its links lead to."""
    used = []
    for link in run.links:
        known = datasets.get((link.name, link.digest))
        if link.direction == "input" and link.kind == "dataset":
            names = ("source_type", "source", "schema", "profile")
            told = {name: known[name] if known else "" for name in names}
            used.append({"name": link.name, "digest": link.digest, **told, "tags": dict(link.tags)})
    return GivenRun(run, mark["number"], mark["deleted_at"], used)
