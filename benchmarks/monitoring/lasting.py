"""What monitoring costs when it has gone on for long, and for many: `python lasting.py` (five minutes, 1 GB of disk).

A year with 200 predictions an hour (14 inputs), one record of truth each: with windows of a day and 16 carriers as slices,
and with windows of an hour; then a round of the worker's chores over 1,000 endpoints without news. CPU seconds; looks
(drift, estimates) are not part of it. The state of a year is made by one evaluation of all; then one that finds no news,
which goes over all windows all the same.
"""

from __future__ import annotations

import json
import os
import pickle
import tempfile
import time
from array import array
from pathlib import Path
from typing import Any

import numpy as np
import windows

from loopline.app.wiring import open_home
from loopline.core.tables import Column, Signature
from loopline.shells.worker.chores import Child, Chores
from loopline.usecases.monitoring.books.book import Book
from loopline.usecases.monitoring.books.windowing import Known, evaluated
from loopline.usecases.monitoring.model import MonitorConfig
from loopline.usecases.serving.records.writing import Batch, PredictionLog, Truth, TruthLog, prediction_header

DAYS, AN_HOUR, ENDPOINTS = 365, 200, 1000
SMALL = Signature((Column("hour", "float"),), Column("late", "float"))
START = 1_370_000_000_000


def year(home: Path) -> None:
    """The logs of a year."""
    rng, each, seq = np.random.default_rng(1), 24 * AN_HOUR, 1
    for day in range(DAYS):
        table = windows.predictions(rng, windows.FIRST + day * windows.DAY_MS, windows.DAY_MS, each, day * each)
        windows.log(home, table, day)
        known = np.asarray(table["event_time"].cast("int64")) + 5 * windows.HOUR_MS
        windows.tell(home, table["id"], table["late"], known, seq)
        seq += each
    (home / "predictions" / windows.NAME).mkdir(parents=True, exist_ok=True)


def lasting(home: Path, config: MonitorConfig) -> None:
    """One evaluation of all, and one without news."""
    stored: Known = {}
    folder = home / f"monitoring-{config.window}"
    logs = windows.serving(home)
    for what in ("all anew", "without news"):
        began = time.process_time()
        book = Book(folder, logs, windows.NAME, config, described)
        with book.held():
            book.update()
            read = time.process_time()
            found = evaluated(book, config, stored, described)
        done = time.process_time()
        print(f"{config.window}s, {what}: book {read - began:.2f} s, {len(found.windows)} windows {done - read:.3f} s")
        stored = {(one.start, one.column, one.value): (mark, one) for mark, one in found.windows}
    for kind in ("tallies", "profiles"):
        print(f"  {kind} {sum(path.stat().st_size for path in folder.rglob(f'*.{kind}')) / 1e6:.1f} MB", end="")
    print(f", index {(folder / 'index').stat().st_size / 1e6:.2f} MB, windows {len(pickle.dumps(stored)) / 1e6:.0f} MB")


def described(model: str, version: int) -> Any:
    return windows.SIGNATURE, None


def small(home: Path, name: str, rows: int) -> None:
    """Some predictions of an endpoint, and their truth."""
    times = array("q", range(START, START + rows * 60_000, 60_000)).tobytes()
    keys = [f"k{place}" for place in range(rows)]
    batch = Batch(
        rows, times, array("q", range(0, 2 * rows, 2)).tobytes(), array("i", [-1] * rows).tobytes(),
        array("i", [250] * rows).tobytes(), times, list(keys), np.random.default_rng(1).random(rows).tobytes(),
        [np.zeros(rows).tobytes()],
    )  # fmt: skip
    log, told = PredictionLog(home, prediction_header(name, 7, 1, "flights", 3, SMALL)), TruthLog(home, name, 7)
    log.write([batch])
    told.write([Truth(None, key, START + place * 60_000, place % 2, START) for place, key in enumerate(keys)])
    log.close()
    told.close()


def many(home: Path) -> None:
    """A round of the worker over endpoints without news: what looking costs, and what asking its child costs."""
    names = [f"endpoint-{place:04d}" for place in range(ENDPOINTS)]
    with open_home(home) as loopline:
        for name in names:
            loopline.serving.put(name, "flights", "ada", key="k", event_time="hour")
            small(home, name, 20)
        began = time.process_time()
        loopline.monitoring.evaluate_all()
        print(f"{ENDPOINTS} endpoints: first evaluation {time.process_time() - began:.1f} s")
    chores, looks = Chores(home), []
    for _ in range(5):
        began = time.process_time()
        chores._ready(time.monotonic())
        looks.append(time.process_time() - began)
    print(f"  the worker's look at their logs {min(looks):.3f} s")
    child = Child(home)
    asked(child, names[0])
    before = used(child)
    for name in names:
        assert asked(child, name)["error"] == ""
    print(f"  all of them asked of the child {used(child) - before:.2f} s")
    child.kill()


def asked(child: Child, name: str) -> dict[str, str]:
    child.ask({"do": "evaluate", "endpoint": name})
    while (answer := child.answer()) is None:
        time.sleep(0.0002)
    found: dict[str, str] = json.loads(answer)
    return found


def used(child: Child) -> float:
    """CPU seconds of the child so far."""
    fields = Path(f"/proc/{child._process.pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as place:
        year(Path(place))
        lasting(Path(place), MonitorConfig(window="day", slices=("carrier",)))
        lasting(Path(place), MonitorConfig(window="hour"))
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as place:
        many(Path(place))


if __name__ == "__main__":
    main()
