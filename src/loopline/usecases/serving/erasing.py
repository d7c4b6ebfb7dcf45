"""Erasure: every record of a person is taken out of the log, also out of files that are otherwise never changed.

What is asked for is first written down, by a keyed hash of the person's value; a process that finds an erasure unfinished
goes on with the hash alone. Truth and what shadows predicted go before predictions, as they are found by their ids. Each file without the records
takes the place of the old one in one step, and a fact says which file was replaced and why.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import blake3
import msgspec

from loopline.core.errors import Unavailable
from loopline.core.ids import new_id
from loopline.kit.durable import write_file
from loopline.ports.database import Transaction
from loopline.usecases.serving import store
from loopline.usecases.serving.erased import Erased
from loopline.usecases.serving.model import column_name, subject
from loopline.usecases.serving.records import archiving, layout
from loopline.usecases.serving.records.archiving import UNFINISHED
from loopline.usecases.serving.records.layout import REWRITTEN
from loopline.usecases.serving.records.segments import MARKER, closed, names
from loopline.usecases.serving.records.writing import SHADOWS, TRUTH
from loopline.usecases.serving.sealing import ERASED, Log, alone, seal_one, tell_all

if TYPE_CHECKING:
    import pyarrow as pa

FLUSHED_S = 0.3  # by then what was answered before is in a segment
PATIENCE_S = 15.0
Wanted = Callable[["pa.ChunkedArray"], "pa.Array"]


def ask(log: Log, field: str, value: str) -> str:
    """Write down that the records of a person shall go; answers the erasure's id."""
    name, hashed, at = new_id(), keyed(log.home, log.endpoint, value), log.clock.text()
    row = {"id": name, "endpoint": log.endpoint, "field": field, "subject_hash": hashed, "asked_at": at,
           "asked_by": log.actor}  # fmt: skip

    def work(tx: Transaction) -> None:
        store.insert_erasure(tx, row)
        body = {"endpoint": log.endpoint, "erasure": name, "field": field, "subject": hashed}
        log.ledger.append(tx, "predictions.erasure_asked", subject(log.endpoint), log.actor, body)

    log.database.write(work)
    return name


def finish(log: Log, erasure: str, key: str | None, value: str | None) -> Erased:
    """Do what was asked for, or go on with it. `key` is the endpoint's key field; `value` where it is known, else the
    hash finds the records. Unavailable when somebody else keeps at the log; the erasure is then finished later."""
    row = next(each for each in store_erasures(log) if each["id"] == erasure)
    field, hashed = row["field"], row["subject_hash"]
    wanted = _same(value) if value is not None else _hashed(log.home, log.endpoint, hashed)
    columns = ["key"] if field == key else [column_name(field)]
    truth, shadows = (msgspec.structs.replace(log, kind=kind) for kind in (TRUTH, SHADOWS))
    for each in (log, truth, shadows):
        let_go(each)
    with held(log):
        seal_one(log)
        about = found(log, columns[0], wanted)
        if truth.fresh.is_dir():
            with held(truth):
                seal_one(truth)
                _rewrite_truth(truth, erasure, about, wanted if field == key else None)
        if shadows.fresh.is_dir():
            with held(shadows):
                seal_one(shadows)
                _rewrite_copies(shadows, erasure, about[0])
        for name in list(log.files()):
            _rewrite(log, name, erasure, columns, lambda table: _mask(table, columns[0], wanted))
        tell_all(log)
    return _finished(log, erasure)


def store_erasures(log: Log) -> list[Any]:
    return log.database.read(lambda tx: store.erasures(tx, log.endpoint))


def _finished(log: Log, erasure: str) -> Erased:
    def work(tx: Transaction) -> Erased:
        row = next(each for each in store.erasures(tx, log.endpoint) if each["id"] == erasure)
        told = {name: row[name] for name in ("field", "predictions", "truth")}
        body = {"endpoint": log.endpoint, "erasure": erasure, "subject": row["subject_hash"], **told}
        if row["finished_at"] is None:
            store.finish_erasure(tx, erasure, log.clock.text())
            log.ledger.append(tx, "predictions.erasure_finished", subject(log.endpoint), log.actor, body)
        return Erased(id=erasure, endpoint=log.endpoint, subject=row["subject_hash"], **told)

    return log.database.write(work)


def let_go(log: Log) -> None:
    """Have whoever writes close the segments that are open now."""
    if not names(log.fresh):
        return
    time.sleep(FLUSHED_S)
    waits, until = names(log.fresh), time.monotonic() + PATIENCE_S
    marker = log.fresh / MARKER
    marker.touch()
    os.utime(marker, ns=(time.time_ns(),) * 2)
    while waits and time.monotonic() < until:
        waits = [name for name in waits if (log.fresh / name).exists() and not _is_closed(log.fresh / name)]
        if waits:
            time.sleep(0.05)
    if waits:
        raise Unavailable(
            f"The data plane keeps writing the log of {log.endpoint!r}; what was asked for is done later.",
            "`loopline up` finishes it by itself; or ask again in a moment.",
        )


def _is_closed(path: Path) -> bool:
    handle = closed(path)
    if handle is not None:
        os.close(handle)
    return handle is not None


@contextmanager
def held(log: Log) -> Iterator[None]:
    """Be alone at a log, waiting for who is at it now."""
    until = time.monotonic() + PATIENCE_S
    while True:
        with alone(log) as mine:
            if mine:
                yield
                return
        if time.monotonic() > until:
            raise Unavailable(f"The log of {log.endpoint!r} is being changed.", "Try again in a moment.")
        time.sleep(0.05)


# Which records


def keyed(home: Path, endpoint: str, value: str) -> str:
    """The keyed hash of a person's value; the key never leaves the installation."""
    return _digest(_key(home), endpoint, value)


def _digest(key: bytes, endpoint: str, value: str) -> str:
    return blake3.blake3(f"{endpoint}\n{value}".encode(), key=key).hexdigest()[:32]


def _key(home: Path) -> bytes:
    path = home / "keys" / "erasure.key"
    with suppress(FileNotFoundError):
        return path.read_bytes()
    write_file(path, os.urandom(32), 0o600)
    return path.read_bytes()


def _same(value: str) -> Wanted:
    """Values that read as this one."""

    def wanted(column: pa.ChunkedArray) -> pa.Array:
        import pyarrow as pa
        import pyarrow.compute as pc

        if pa.types.is_string(column.type):
            return pc.fill_null(pc.equal(column, value), False)
        return _among(column, lambda text: text == value)

    return wanted


def _hashed(home: Path, endpoint: str, hashed: str) -> Wanted:
    """Values with this hash."""
    key = _key(home)

    def wanted(column: pa.ChunkedArray) -> pa.Array:
        return _among(column, lambda text: _digest(key, endpoint, text) == hashed)

    return wanted


def _among(column: pa.ChunkedArray, meant: Callable[[str], bool]) -> pa.Array:
    """Which rows hold a value one of whose ways to be written is meant."""
    import pyarrow as pa
    import pyarrow.compute as pc

    values = [value for value in pc.unique(column).to_pylist() if value is not None]
    chosen = [value for value in values if any(meant(text) for text in written(value))]
    return pc.is_in(column, value_set=pa.array(chosen, column.type))


def written(value: Any) -> list[str]:
    """The ways in which a value may be written: 5.0 is also 5."""
    if isinstance(value, bool):
        return [str(value), str(value).lower()]
    if isinstance(value, float) and value.is_integer():
        return [repr(value), str(int(value))]
    return [str(value)]


def _mask(table: pa.Table, column: str, wanted: Wanted) -> Any:
    """Which rows are meant; none in a file that lacks the column."""
    return wanted(table[column]) if column in table.column_names else None


def found(log: Log, column: str, wanted: Wanted) -> tuple[set[str], set[tuple[str, Any]]]:
    """Ids, and (key, event time), of the records that will go."""
    import pyarrow.parquet as pq

    ids: set[str] = set()
    moments: set[tuple[str, Any]] = set()
    for name in log.files():
        there = pq.read_schema(log.sealed / name).names
        if column not in there:
            continue
        needed = list(dict.fromkeys(["id", "key", "event_time", column]))
        table = pq.read_table(log.sealed / name, columns=needed, partitioning=None)
        rows = table.filter(wanted(table[column]))
        ids.update(rows["id"].to_pylist())
        pairs = zip(rows["key"].to_pylist(), rows["event_time"].to_pylist(), strict=True)
        moments.update((key, at) for key, at in pairs if key is not None and at is not None)
    return ids, moments


def _rewrite_truth(log: Log, erasure: str, about: tuple[set[str], set[tuple[str, Any]]], wanted: Wanted | None) -> None:
    """Truth by the ids or by key and event time of what goes, and by the key itself where that names the person."""
    import pyarrow as pa
    import pyarrow.compute as pc

    ids, moments = pa.array(sorted(about[0]), pa.string()), about[1]

    def mask(table: pa.Table) -> Any:
        by_id = pc.is_in(table["prediction_id"], value_set=ids)
        if wanted is not None:
            return pc.or_(by_id, wanted(table["key"]))
        pairs = zip(table["key"].to_pylist(), table["event_time"].to_pylist(), strict=True)
        return pc.or_(by_id, pa.array([pair in moments for pair in pairs], pa.bool_()))

    for name in list(log.files()):
        _rewrite(log, name, erasure, ["prediction_id", "key", "event_time"], mask)
    tell_all(log)


def _rewrite_copies(log: Log, erasure: str, ids: set[str]) -> None:
    """What shadows predicted of the records that go: it stands under their ids, and holds no inputs."""
    import pyarrow as pa
    import pyarrow.compute as pc

    gone = pa.array(sorted(ids), pa.string())
    for name in list(log.files()):
        _rewrite(log, name, erasure, ["id"], lambda table: pc.is_in(table["id"], value_set=gone))
    tell_all(log)


def _rewrite(log: Log, name: str, erasure: str, columns: list[str], mask: Callable[[pa.Table], Any]) -> None:
    """A file without the rows that are meant, in place of one that has some."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    path = log.sealed / name
    schema = pq.read_schema(path)
    there = [column for column in columns if column in schema.names]
    gone = mask(pq.read_table(path, columns=there, partitioning=None)) if there else None
    if gone is None or not pc.any(gone).as_py():
        return
    folder, _, file = name.rpartition("/")
    metadata = layout.described(
        replaces=[file], reason=ERASED, erasure=erasure, redacted=layout.listed(schema.metadata, layout.REDACTED)
    )
    token = hashlib.sha256(f"{file} {erasure}".encode()).hexdigest()[:12]
    hidden = log.fresh / f".{token}{UNFINISHED}"
    kept = (piece.filter(pc.invert(pc.fill_null(mask(piece), False))) for piece in archiving.pieces(path))
    archiving.write(hidden, kept, schema.remove_metadata(), metadata)
    first, last = layout.span(file)
    target = f"{first:016d}-{last:016d}-{token}{REWRITTEN}"
    # The folder of truth has open segments: it is not exchanged, readers go by what a file replaces.
    archiving.publish(log.sealed / folder, {target: hidden}, [file], log.fresh / f".swap-{folder}" if folder else None)
