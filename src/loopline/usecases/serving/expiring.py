"""Retention of records: whole days go once an endpoint no longer keeps them, with a fact that says which files."""

from __future__ import annotations

from datetime import UTC, timedelta

from loopline.core.times import from_ms
from loopline.ports.database import Transaction
from loopline.usecases.serving import store
from loopline.usecases.serving.model import subject
from loopline.usecases.serving.records import archiving, layout
from loopline.usecases.serving.records.archiving import UNFINISHED
from loopline.usecases.serving.records.writing import TRUTH
from loopline.usecases.serving.sealing import EXPIRED, Log, clear_ended, tell_all


def expire(log: Log, keep_days: int) -> int:
    """Remove what is older than `keep_days` whole days; the caller is alone at it and has sealed what is closed. Answers
    how many files went. Of truth a file goes once all of it was received before then."""
    before = (log.clock.now().astimezone(UTC) - timedelta(days=keep_days)).strftime("%Y-%m-%d")
    old = _old_truth(log, before) if log.kind == TRUTH else _old_predictions(log, before)
    known = log.database.read(lambda tx: store.sealed(tx, log.kind, log.endpoint))
    gone = [name for name in old if name in known]
    if gone:
        body = {"endpoint": log.endpoint, "before": before, "files": {name: known[name] for name in gone}}

        def work(tx: Transaction) -> None:
            rows = store.sealed_rows(tx, log.kind, log.endpoint, gone)
            store.end_sealed(tx, log.kind, log.endpoint, gone, EXPIRED, log.clock.text())
            log.ledger.append(tx, f"{log.kind}.{EXPIRED}", subject(log.endpoint), log.actor, {**body, "rows": rows})

        log.database.write(work)
        tell_all(log)
    clear_ended(log)
    return len(gone)


def _old_predictions(log: Log, before: str) -> list[str]:
    return [name for name in log.files() if name.partition("/")[0].removeprefix("day=") < before]


def _old_truth(log: Log, before: str) -> list[str]:
    """Never the last file: its name tells where the counting of truth goes on, so it is kept without its rows."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    found = []
    for name in log.files():
        newest = pc.max(
            pq.read_table(log.sealed / name, columns=["received_at"], partitioning=None)["received_at"]
        ).as_py()
        if newest is not None and from_ms(round(newest.timestamp() * 1000))[:10] < before:
            found.append(name)
    if found and found[-1] == log.files()[-1]:
        emptied(log, found[-1])
    return found


def emptied(log: Log, name: str) -> None:
    """A file without rows that goes on counting where this one ended."""
    import pyarrow.parquet as pq

    first, last = layout.span(name)
    schema = pq.read_schema(log.sealed / name).remove_metadata()
    hidden = log.fresh / f".{name}{UNFINISHED}"
    archiving.write(hidden, (), schema, layout.described())
    target = f"{first:016d}-{last:016d}{layout.EMPTIED}"
    archiving.publish(log.sealed, {target: hidden})
