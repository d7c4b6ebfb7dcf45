"""Sealed files by endpoint and day: one a day, readable by everybody, the same rows wherever the work is broken off."""

from __future__ import annotations

import itertools
import shutil
import sys
import time
from array import array
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from breaking import broken_off

from loopline.core.tables import Column, Signature
from loopline.usecases.serving import compacting
from loopline.usecases.serving.records import archiving, layout, segments, tables
from loopline.usecases.serving.records.columns import kind_of, pack
from loopline.usecases.serving.records.writing import Batch, PredictionLog, Truth, TruthLog, merged, prediction_header

pytestmark = pytest.mark.integration

START_MS = 1_700_000_000_000  # 2023-11-14T22:13:20Z
HOUR_MS = 3_600_000
COUNTER = itertools.count(1)
ONE = Signature((Column("hour", "float", True), Column("day", "string", True)), Column("late", "float"))
TWO = Signature((Column("hour", "string"), Column("new", "integer")), Column("late", "float"))


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No grace for readers of the old folder, except where it matters."""
    monkeypatch.setattr(compacting, "GRACE_S", 0.0)


def batch(ms: int, rows: list[Any], signature: Signature = ONE, **more: Any) -> Batch:
    count = len(rows)
    columns = [pack(kind_of(c), v) for c, v in zip(signature.inputs, zip(*rows, strict=True), strict=True)]
    return Batch(
        count, array("q", range(ms, ms + count)).tobytes(), array("q", [2 * next(COUNTER)] * count).tobytes(),
        array("i", [-1] * count).tobytes(), array("i", [250] * count).tobytes(), None, None,
        array("d", [0.25] * count).tobytes(), columns, **more,
    )  # fmt: skip


def write(home: Path, *batches: Batch, revision: int = 1, signature: Signature = ONE) -> None:
    """One closed segment."""
    log = PredictionLog(home, prediction_header("late", 7, revision, "flights", 3, signature))
    log.write(batches)
    log.close()


def days_of(home: Path) -> dict[str, int]:
    folder = layout.archive(home, "late")
    return {day: len(list(layout.day_folder(folder, day).iterdir())) for day in layout.days(folder)}


def filled(home: Path) -> None:
    """Three days of two revisions with inputs that differ in type; one segment crosses midnight."""
    for hour in range(0, 60, 4):
        write(home, batch(START_MS + hour * HOUR_MS, [(float(hour), "x"), (None, None)], arm=["live", "canary"]))
    write(home, batch(START_MS + HOUR_MS, [(1.0, "a")] * 3), batch(START_MS + 2 * HOUR_MS, [(2.0, "b")] * 4))
    write(home, batch(START_MS + 3 * HOUR_MS, [("3", 4)], TWO), revision=2, signature=TWO)


def test_one_file_a_day_once_it_is_over(loopline: Any, serving: Any) -> None:
    filled(loopline.home)
    before = serving.read_predictions("late")
    serving.seal()
    assert days_of(loopline.home) == {"2023-11-14": 1, "2023-11-15": 2, "2023-11-16": 1, "2023-11-17": 1}  # 2: of types
    after = serving.read_predictions("late")
    assert after.select(sorted(after.column_names)).equals(before.select(sorted(before.column_names)))
    assert serving.check_log("late")["wrong"] == []
    assert serving.seal() == 0
    name = before["id"][5].as_py()
    assert serving.find_prediction(name)["id"] == name


def test_everybody_can_read_the_folder(loopline: Any, serving: Any) -> None:
    import duckdb
    import polars

    filled(loopline.home)
    rows = serving.read_predictions("late").num_rows
    serving.seal()
    root = loopline.home / layout.ROOT
    query = (
        f"from read_parquet('{root}/**/*.parquet', hive_partitioning = true, union_by_name = true)"
        " select endpoint, day, arm, count(*) where arm = 'canary' group by all order by all"
    )
    found = duckdb.connect().execute(query).fetchall()
    assert (found[0][0], str(found[0][1]), found[0][2]) == ("late", "2023-11-14", "canary")
    assert sum(row[3] for row in found) == 15
    lazy = polars.scan_parquet(
        f"{root}/**/*.parquet", hive_partitioning=True, missing_columns="insert", extra_columns="ignore"
    )
    frame = lazy.select("id", "endpoint", "day", "prediction").collect()
    assert (frame.height, set(frame["endpoint"])) == (rows, {"late"})
    opened = ds.dataset(root, format="parquet", partitioning="hive")
    assert opened.count_rows() == rows
    assert set(opened.to_table(columns=["day"])["day"].to_pylist()) == set(days_of(loopline.home))


def test_types_are_those_that_spark_reads(loopline: Any, serving: Any) -> None:
    filled(loopline.home)
    serving.seal()
    for path in (loopline.home / layout.ROOT).rglob("*.parquet"):
        for column in pq.ParquetFile(path).schema:
            assert column.physical_type in ("BYTE_ARRAY", "INT32", "INT64", "DOUBLE", "BOOLEAN")
            told = str(column.logical_type)
            assert "isSigned=false" not in told
            assert "nanoseconds" not in told
        assert not {"endpoint", "day"} & set(pq.read_schema(path).names)  # the folders say them


@pytest.mark.parametrize("exchanges", [True, False], ids=["exchange", "one by one"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_broken_off_at_any_change(
    loopline: Any, serving: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, exchanges: bool, after: bool
) -> None:
    import duckdb

    if not exchanges:
        monkeypatch.setattr(archiving, "exchanged", lambda one, other: False)
    home = loopline.home
    for hour in (0, 1, 2, 5):
        write(home, batch(START_MS + hour * HOUR_MS, [(float(hour), "x")] * 2))
    write(home, batch(START_MS + HOUR_MS, [(1.0, "a")]), batch(START_MS + 2 * HOUR_MS, [(2.0, "b")]))
    before = serving.read_predictions("late")
    number = 0
    while True:
        number += 1
        if not broken_off(monkeypatch, number, serving.seal, after):
            break
        assert serving.read_predictions("late").equals(before), number
        assert serving.find_prediction(before["id"][3].as_py())
        if exchanges and sum(days_of(home).values()):
            glob = f"{home / layout.ROOT}/**/*.parquet"
            query = f"select count(*) - count(distinct id) from read_parquet('{glob}', union_by_name = true)"
            assert duckdb.connect().execute(query).fetchone() == (0,), number
    assert number > 3
    assert days_of(home) == {"2023-11-14": 1, "2023-11-15": 1}
    assert serving.read_predictions("late").equals(before)
    assert serving.check_log("late")["wrong"] == []
    assert list((home / "predictions" / "late").iterdir()) == []
    told = [fact.body["file"] for fact in loopline.ledger.about("endpoint:late") if "file" in fact.body]
    assert len(told) == len(set(told))


def test_what_older_versions_wrote_is_read_and_moved(loopline: Any, serving: Any) -> None:
    """Blocks of nine values, and Parquet files beside the segments; an input that bears a new column's name."""
    home = loopline.home
    older = Signature((Column("hour", "float"), Column("arm", "string")), Column("late", "float"))
    head = segments.Header(kind="predictions", endpoint="late", writer=7, revision=1, model="flights", version=3,
                           inputs=(segments.Inputs("hour", "float", "d"), segments.Inputs("arm", "string", "s")))  # fmt: skip
    payload, _ = merged(head, [batch(START_MS, [(1.0, "left")], older)])
    segment = segments.Segment(home / "predictions" / "late", f"{START_MS:013d}-0007-r1-1", head)
    segment.append(segments.encode(segments.decode(payload)[:9]), 1)
    segment.close()
    table = serving.read_predictions("late")
    assert (table["arm"][0].as_py(), table["input.arm"][0].as_py()) == ("live", "left")
    old = table.select(
        [
            "id",
            "endpoint",
            "revision",
            "model",
            "version",
            "at",
            "event_time",
            "key",
            "hour",
            "prediction",
            "latency_us",
        ]
    )
    flat = old.set_column(0, "id", pa.array(["050ksq78cg00e000000cg"])).append_column("arm", pa.array(["right"]))
    path = home / "predictions" / "late" / f"{START_MS:016d}-{START_MS:016d}-0007-r1-0.parquet"
    pq.write_table(flat, path)
    before = serving.read_predictions("late")
    assert before["input.arm"].to_pylist() in (["left", "right"], ["right", "left"])
    assert before["sample"].to_pylist() == [1.0, 1.0]
    serving.seal()
    assert not path.exists()
    after = serving.read_predictions("late")
    assert after.select(before.column_names).equals(before)
    assert serving.read_predictions("late", columns=["id", "input.arm"], where="input.arm = right").num_rows == 1


def test_reading_takes_no_more_than_is_asked(loopline: Any, serving: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(loopline.home)
    serving.seal()
    opened: list[str] = []
    dataset = ds.dataset

    def counted(path: Any, **named: Any) -> Any:
        opened.append(str(path))
        return dataset(path, **named)

    monkeypatch.setattr(ds, "dataset", counted)
    some = serving.read_predictions(
        "late", "2023-11-16T00:00:00Z", "2023-11-17T00:00:00Z", columns=["prediction", "new"]
    )
    assert some.column_names == ["prediction"]
    assert [path.split("day=")[1][:10] for path in opened] == ["2023-11-16"]
    whole = serving.read_predictions("late")
    mask = pc.and_(pc.equal(whole["arm"], "canary"), pc.is_null(whole["input.day"]))
    found = serving.read_predictions("late", where="arm = 'canary' and input.day is null")
    assert found["id"].to_pylist() == whole.filter(mask)["id"].to_pylist()
    assert [row["id"] for row in serving.recent("late", 7)] == whole["id"].to_pylist()[:-8:-1]


def test_retention_removes_whole_days(loopline: Any, serving: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    home = loopline.home
    filled(home)
    serving.put("late", "flights", "ada")
    days = (serving._clock.now() - serving._clock.now().fromisoformat("2023-11-16T00:00:00+00:00")).days
    serving.configure("late", {"retention_days": days}, "ada")
    number = 0
    while broken_off(monkeypatch, number := number + 1, lambda: serving.tidy("worker")):
        left = set(serving.read_predictions("late", columns=["at"])["at"].to_pylist())
        assert {str(at)[:10] for at in left} >= {"2023-11-16", "2023-11-17"}
    assert list(days_of(home)) == ["2023-11-16", "2023-11-17"]
    (fact,) = [fact for fact in loopline.ledger.about("endpoint:late") if fact.kind == "predictions.expired"]
    assert fact.body["rows"] == 22
    assert {name[:14] for name in fact.body["files"]} == {"day=2023-11-14", "day=2023-11-15"}
    assert serving.check_log("late")["wrong"] == []


def test_retention_of_truth_goes_on_counting(loopline: Any, serving: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    home = loopline.home
    serving.put("late", "flights", "ada")
    serving.configure("late", {"retention_days": 30}, "ada")
    with monkeypatch.context() as patched:
        patched.setattr(time, "time_ns", lambda: START_MS * 1_000_000)
        for _ in range(2):
            log = TruthLog(home, "late", 7)
            log.write([Truth(None, "UA1", 1000, 0.0, 6)] * 2)
            log.close()
            serving.seal()
    number = 0
    while broken_off(monkeypatch, number := number + 1, lambda: serving.tidy("worker")):
        assert TruthLog(home, "late", 7)._next == 5
    assert serving.read_truth("late").num_rows == 0
    assert TruthLog(home, "late", 7)._next == 5
    (fact,) = [fact for fact in loopline.ledger.about("endpoint:late") if fact.kind == "truth.expired"]
    assert fact.body["rows"] == 4
    assert serving.check_log("late")["wrong"] == []


def test_a_folder_that_changes_while_it_is_read(loopline: Any, serving: Any) -> None:
    """Segments are written, sealed and compacted while others read: each reading is whole."""
    import threading

    home, stop, wrong = loopline.home, threading.Event(), []
    written = [0]

    def reading() -> None:
        while not stop.is_set():
            least = written[0]
            ids = serving.read_predictions("late", columns=["id"])["id"].to_pylist()
            if len(ids) < least or len(ids) != len(set(ids)):
                wrong.append((least, len(ids), len(set(ids))))

    threads = [threading.Thread(target=reading) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in range(40):
        write(home, batch(START_MS + number * 1000, [(1.0, "x")] * 3))
        written[0] += 3
        if number % 2:
            serving.seal()
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert shutil.disk_usage(home).free


def test_explanations_are_kept_beside(loopline: Any, serving: Any) -> None:
    base, parts = array("d", [0.1]).tobytes(), [array("d", [0.05]).tobytes(), array("d", [0.1]).tobytes()]
    write(loopline.home, batch(START_MS, [(1.0, "x")], explanation=(base, parts)), batch(START_MS + 5, [(2.0, "y")]))
    write(loopline.home, batch(START_MS + 9, [(3.0, "z")]))
    for _ in range(2):
        found = serving.read_predictions("late")
        assert found[tables.EXPLANATION].to_pylist() == [[("hour", 0.05), ("day", 0.1)], None, None]
        assert found[tables.BASE].to_pylist() == [0.1, None, None]
        record = serving.find_prediction(found["id"][0].as_py())
        assert record["explanation"] == {"hour": 0.05, "day": 0.1}
        serving.seal()
