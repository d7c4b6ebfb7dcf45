"""The tables of datasets: SQL in, values out."""

from __future__ import annotations

from typing import Any

import msgspec

from loopline.core.tables import Column
from loopline.ports.database import Row, Transaction
from loopline.usecases.datasets.model import (
    Batch,
    Contract,
    ContractReport,
    Dataset,
    Part,
    Snapshot,
    Source,
    State,
    wish_of,
)

ADD_DATASET = (
    "INSERT INTO datasets_datasets (name, source, contract, latest, created_at, created_by, changed_at) "
    "VALUES (:name, :source, :contract, NULL, :at, :actor, :at) "
    "ON CONFLICT (name) DO UPDATE SET source = excluded.source, contract = excluded.contract, "
    "changed_at = excluded.changed_at, retired_at = NULL"
)
STANDING = "SELECT source, contract FROM datasets_datasets WHERE name = :name AND retired_at IS NULL"
RETIRE = "UPDATE datasets_datasets SET retired_at = :at WHERE name = :name AND retired_at IS NULL"
DATASETS = (
    "SELECT d.name, d.source, d.contract, d.latest, d.created_at, d.created_by, "
    "(SELECT COUNT(*) FROM datasets_snapshots s WHERE s.dataset = d.name) AS snapshots, "
    "(SELECT COUNT(*) FROM datasets_batches b WHERE b.dataset = d.name AND b.state = 'refused') AS refused "
    "FROM datasets_datasets d"
)
_BATCH = "dataset, name, digest, stamp, format, rows, bytes, columns, state, report, seen_at"
BATCHES = f"SELECT {_BATCH} FROM datasets_batches WHERE dataset = :dataset"
ADD_BATCH = (
    "INSERT INTO datasets_batches (dataset, name, digest, stamp, format, rows, bytes, columns, state, report, seen_at) "
    "VALUES (:dataset, :name, :digest, :stamp, :format, :rows, :bytes, :columns, :state, :report, :seen_at) "
    "ON CONFLICT (dataset, name, digest) DO UPDATE SET stamp = excluded.stamp, seen_at = excluded.seen_at, "
    "report = CASE datasets_batches.state WHEN 'gone' THEN excluded.report ELSE datasets_batches.report END, "
    "state = CASE datasets_batches.state WHEN 'gone' THEN excluded.state ELSE datasets_batches.state END"
)
SET_STATE = (
    "UPDATE datasets_batches SET state = :state WHERE dataset = :dataset AND name = :name AND digest = :digest "
    "AND state = 'refused'"
)
ADD_SNAPSHOT = (
    "INSERT INTO datasets_snapshots (dataset, digest, parent, rows, bytes, columns, parts, seq, taken_at, taken_by) "
    "VALUES (:dataset, :digest, :parent, :rows, :bytes, :columns, :parts, :seq, :taken_at, :taken_by) "
    "ON CONFLICT (dataset, digest) DO NOTHING"
)
SET_LATEST = "UPDATE datasets_datasets SET latest = :digest WHERE name = :dataset"
SNAPSHOTS = (
    "SELECT dataset, digest, parent, rows, bytes, columns, parts, seq, taken_at, taken_by FROM datasets_snapshots"
)


def declare(tx: Transaction, name: str, source: Source, contract: Contract | None, at: str, actor: str) -> None:
    """Write a dataset's declaration, new or changed."""
    text = None if contract is None else _json(contract)
    tx.run(ADD_DATASET, {"name": name, "source": _json(source), "contract": text, "at": at, "actor": actor})


def standing(tx: Transaction, name: str) -> dict[str, Any] | None:
    """A dataset's declaration as plain data (see `wish_of`); None when there is none, or it was retired."""
    row = tx.row(STANDING, {"name": name})
    if row is None:
        return None
    contract = None if row["contract"] is None else msgspec.json.decode(row["contract"], type=Contract)
    return wish_of(msgspec.json.decode(row["source"], type=Source), contract)


def retire(tx: Transaction, name: str, at: str) -> bool:
    """Take a dataset off the list; whether it was on it."""
    return bool(tx.run(RETIRE, {"name": name, "at": at}))


def datasets(tx: Transaction) -> list[Dataset]:
    """All datasets by name, without those that were retired."""
    return [_dataset(row) for row in tx.rows(f"{DATASETS} WHERE d.retired_at IS NULL ORDER BY d.name")]


def dataset(tx: Transaction, name: str) -> Dataset | None:
    """One dataset or None."""
    row = tx.row(f"{DATASETS} WHERE d.name = :name", {"name": name})
    return None if row is None else _dataset(row)


def batches(tx: Transaction, name: str, state: str = "") -> list[Batch]:
    """The batches of a dataset, in the order in which they were seen; of one state when given."""
    where = " AND state = :state" if state else ""
    found = tx.rows(f"{BATCHES}{where} ORDER BY seen_at, name", {"dataset": name, "state": state})
    return [_batch(row) for row in found]


def add_batch(tx: Transaction, batch: Batch) -> None:
    """Write a batch; one that is known only gets its stamp and time renewed, and one that was gone is judged anew."""
    params = msgspec.structs.asdict(batch)
    types = params.pop("types")
    report = params.pop("report")
    tx.run(ADD_BATCH, {**params, "columns": _json(types), "report": None if report is None else _json(report)})


def set_state(tx: Transaction, batch: Batch, state: State) -> bool:
    """Keep a refused batch aside no longer; whether it was still refused."""
    key = {"dataset": batch.dataset, "name": batch.name, "digest": batch.digest}
    return bool(tx.run(SET_STATE, {**key, "state": state}))


def add_snapshot(tx: Transaction, snapshot: Snapshot) -> None:
    """Write a snapshot that is new, and make it the latest."""
    params: dict[str, Any] = msgspec.structs.asdict(snapshot)
    params["columns"], params["parts"] = _json(snapshot.columns), _json(snapshot.parts)
    tx.run(ADD_SNAPSHOT, {name: params[name] for name in params if name not in ("new", "refused")})
    set_latest(tx, snapshot.dataset, snapshot.digest)


def set_latest(tx: Transaction, name: str, digest: str) -> None:
    """Make a snapshot the latest."""
    tx.run(SET_LATEST, {"dataset": name, "digest": digest})


def snapshots(tx: Transaction, name: str) -> list[Snapshot]:
    """The snapshots of a dataset, oldest first."""
    found = tx.rows(f"{SNAPSHOTS} WHERE dataset = :dataset ORDER BY seq", {"dataset": name})
    return [_snapshot(row) for row in found]


def snapshot(tx: Transaction, digest: str, name: str = "") -> Snapshot | None:
    """The snapshot of that digest (in one dataset when named), the first that was taken."""
    where = "WHERE digest = :digest" + (" AND dataset = :dataset" if name else "")
    row = tx.row(f"{SNAPSHOTS} {where} ORDER BY seq", {"digest": digest, "dataset": name})
    return None if row is None else _snapshot(row)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _dataset(row: Row) -> Dataset:
    contract = row["contract"]
    return Dataset(
        name=row["name"],
        source=msgspec.json.decode(row["source"], type=Source),
        contract=None if contract is None else msgspec.json.decode(contract, type=Contract),
        latest=row["latest"],
        snapshots=row["snapshots"],
        refused=row["refused"],
        created_at=row["created_at"],
        created_by=row["created_by"],
    )


def _batch(row: Row) -> Batch:
    values = dict(row)
    report = values["report"]
    values["report"] = None if report is None else msgspec.json.decode(report, type=ContractReport)
    values["types"] = msgspec.json.decode(values.pop("columns"))
    return Batch(**values)


def _snapshot(row: Row) -> Snapshot:
    values = dict(row)
    values["columns"] = msgspec.json.decode(values["columns"], type=tuple[Column, ...])
    values["parts"] = msgspec.json.decode(values["parts"], type=tuple[Part, ...])
    return Snapshot(**values)
