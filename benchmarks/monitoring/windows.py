"""What an evaluation costs: all anew, without news, after 1,000 more predictions, after 10,000 late records of truth.

Predictions of 90 days as sealed log files (14 inputs, 16 carriers as slices), one record of truth each, five hours later; each
step in a process of its own, which tells its CPU seconds and peak memory. `python windows.py [ROWS …]`, by default 100,000 and
1,000,000; 10,000,000 takes some minutes and 2 GB of disk. Looks (drift, estimates) are not part of it.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import resource
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa

from loopline.core.tables import Column, Signature
from loopline.usecases.monitoring.model import MonitorConfig
from loopline.usecases.serving.recording import Recording
from loopline.usecases.serving.records import archiving, layout, tables
from loopline.usecases.serving.records.ids import id_column

DAYS, DAY_MS, HOUR_MS = 90, 86_400_000, 3_600_000
FIRST = 1_364_774_400_000  # 1 April 2013
MOMENT = pa.timestamp("ms", tz="UTC")
NUMBERS = [f"x{i}" for i in range(13)]
SIGNATURE = Signature(
    (*(Column(name, "float") for name in NUMBERS), Column("carrier", "string")), Column("prediction", "float")
)
CONFIG = MonitorConfig(slices=("carrier",))
NAME = "late"


def predictions(rng: np.random.Generator, first_ms: int, span_ms: int, rows: int, counter: int) -> pa.Table:
    """Logged predictions of a stretch of time, event time three hours after the prediction."""
    at = np.sort(first_ms + (rng.random(rows) * span_ms).astype("int64"))
    late = (rng.random(rows) < 0.25).astype(float)
    ids = id_column(at, 7, 2 * (counter + np.arange(rows)), np.full(rows, -1, dtype=np.int32))
    columns: dict[str, Any] = {
        "id": ids, "endpoint": pa.repeat(NAME, rows), "revision": np.ones(rows, dtype="int32"),
        "model": pa.repeat("late", rows), "version": np.ones(rows, dtype="int32"), "at": pa.array(at, MOMENT),
        "event_time": pa.array(at + 3 * HOUR_MS, MOMENT), "key": pa.nulls(rows, pa.string()),
    }  # fmt: skip
    columns |= {name: np.round(rng.normal(size=rows), 2) for name in NUMBERS}
    columns["carrier"] = np.array([f"C{i}" for i in range(16)])[rng.integers(0, 16, rows)]
    columns["prediction"] = 1 / (1 + np.exp(1 - late - rng.normal(size=rows)))
    columns["latency_us"] = rng.integers(100, 300, rows).astype("int32")
    return pa.table(columns).append_column("late", pa.array(late))


def log(home: Path, table: pa.Table, day: int) -> None:
    """A sealed file of a day, in the log's own form."""
    rows = tables.completed(table.drop_columns(["late"]).replace_schema_metadata(layout.described()), NAME)
    place = layout.day_folder(layout.archive(home, NAME), layout.day_of(FIRST + day * DAY_MS))
    place.mkdir(parents=True, exist_ok=True)
    at = np.asarray(table["at"].cast("int64"))
    name = f"{at[0]:016d}-{at[-1]:016d}-{len(list(place.iterdir())):x}.parquet"
    rows = rows.drop_columns(["endpoint"])
    archiving.write(place / name, [rows], rows.schema, layout.described())


def tell(home: Path, ids: pa.Array, late: Any, observed: Any, first_seq: int) -> None:
    """A sealed file of truth."""
    rows = len(ids)
    table = pa.table(
        {
            "prediction_id": ids, "key": pa.nulls(rows, pa.string()), "event_time": pa.nulls(rows, MOMENT), "value": late,
            "observed_at": pa.array(observed, MOMENT), "received_at": pa.array(observed, MOMENT),
            "seq": np.arange(first_seq, first_seq + rows), "label": pa.nulls(rows, pa.string()),
        }
    )  # fmt: skip
    folder = home / "truth" / NAME
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{first_seq:016d}-{first_seq + rows - 1:016d}-0.parquet"
    archiving.write(folder / name, [table], table.schema, layout.described())


def made(home: Path, rows: int) -> None:
    """The logs of DAYS days."""
    rng, seq, each = np.random.default_rng(1), 1, rows // DAYS
    for day in range(DAYS):
        table = predictions(rng, FIRST + day * DAY_MS, DAY_MS, each, day * each)
        log(home, table, day)
        events = np.asarray(table["event_time"].cast("int64"))
        tell(home, table["id"], table["late"], events + 5 * HOUR_MS, seq)
        seq += each
    (home / "predictions" / NAME).mkdir(parents=True, exist_ok=True)


def news(home: Path, rows: int) -> None:
    """1,000 more predictions on the last day."""
    rng = np.random.default_rng(2)
    start = FIRST + DAYS * DAY_MS - HOUR_MS
    log(home, predictions(rng, start, HOUR_MS - 1, 1_000, rows + 5), DAYS - 1)


def late(home: Path, rows: int, days: int) -> None:
    """10,000 more records of truth, of predictions of the last `days` days."""
    rng, ids = np.random.default_rng(3), []
    for day in range(DAYS - days, DAYS):
        start = datetime.fromtimestamp((FIRST + day * DAY_MS) / 1000, UTC).isoformat()
        end = datetime.fromtimestamp((FIRST + (day + 1) * DAY_MS) / 1000, UTC).isoformat()
        table = serving(home).read_predictions(NAME, start, end, "at", ["id"])
        ids.append(table["id"].take(rng.integers(0, len(table), 10_000 // days)))
    whole = pa.chunked_array([chunk for each in ids for chunk in each.chunks])
    last = max(int(path.name.split("-")[1]) for path in (home / "truth" / NAME).glob("*.parquet"))
    tell(home, whole, rng.random(len(whole)).round(), np.full(len(whole), FIRST + DAYS * DAY_MS), last + 1)


def serving(home: Path) -> Any:
    """The logs of an installation, without the rest of it."""
    clock: Any = SimpleNamespace(now=lambda: datetime.now(UTC))
    nothing: Any = None
    return Recording(nothing, clock, home, nothing, nothing, nothing, nothing)


def evaluate(home: Path, answers: Any) -> None:
    """One evaluation; says what it cost."""
    from loopline.usecases.monitoring.books.book import Book
    from loopline.usecases.monitoring.books.windowing import evaluated

    logs, stored = serving(home), home / "windows"
    rest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    began, cpu = time.perf_counter(), time.process_time()
    book = Book(home / "monitoring" / NAME, logs, NAME, CONFIG, lambda model, version: (SIGNATURE, None))
    known = pickle.loads(stored.read_bytes()) if stored.exists() else {}
    with book.held():
        book.update()
        found = evaluated(book, CONFIG, known, lambda model, version: (SIGNATURE, None))
    took, busy = time.perf_counter() - began, time.process_time() - cpu
    fresh = {(window.start, window.column, window.value): (mark, window) for mark, window in found.windows}
    stored.write_bytes(pickle.dumps(fresh))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    answers.send(
        {
            "seconds": round(took, 2), "cpu": round(busy, 2), "peak_mb": round(peak), "before_mb": round(rest),
            "rows_read": book.read_rows, "windows": found.changed, "predictions": book.rows, "truth": book.truth.records,
        }
    )  # fmt: skip


def measured(home: Path) -> dict[str, Any]:
    """An evaluation in a process of its own."""
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe(duplex=False)
    process = context.Process(target=evaluate, args=(home, theirs))
    process.start()
    answer: dict[str, Any] = mine.recv()
    process.join()
    return answer


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def main() -> None:
    for rows in [int(word) for word in sys.argv[1:]] or [100_000, 1_000_000]:
        with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as place:
            home = Path(place)
            made(home, rows)
            print(f"{rows:,} predictions, {size(layout.archive(home, NAME)) / 1e6:.0f} MB of log")
            print("all anew             ", json.dumps(measured(home)))
            print("without news         ", json.dumps(measured(home)))
            news(home, rows)
            print("1,000 more rows      ", json.dumps(measured(home)))
            late(home, rows, 3)
            print("10,000 late, 3 days  ", json.dumps(measured(home)))
            late(home, rows, DAYS)
            print("10,000 late, all days", json.dumps(measured(home)))
            units, truth = size(home / "monitoring" / NAME / "units"), size(home / "monitoring" / NAME / "truth")
            print(f"kept: {units / DAYS / 1024:.0f} KB a day, truth by hour {truth / 1e6:.1f} MB", flush=True)


if __name__ == "__main__":
    main()
