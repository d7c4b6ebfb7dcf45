"""The logs: what was flushed is read back exactly, through torn ends, sealing, and crashes within it."""

from __future__ import annotations

import os
from array import array
from pathlib import Path
from typing import Any

import pytest

from loopline.core.errors import NotFound
from loopline.core.tables import Column, Signature
from loopline.usecases.serving import sealing
from loopline.usecases.serving.records import segments
from loopline.usecases.serving.records.columns import kind_of, pack
from loopline.usecases.serving.records.ids import text_of
from loopline.usecases.serving.records.writing import (
    NO_TIME,
    Batch,
    PredictionLog,
    Truth,
    TruthLog,
    last_seq,
    prediction_header,
)

pytestmark = pytest.mark.integration

SIGNATURE = Signature(
    (
        Column("hour", "float", True),
        Column("distance", "integer"),
        Column("seats", "integer", True),
        Column("key", "string", True),
        Column("holiday", "boolean"),
        Column("winter", "boolean", True),
        Column("made", "timestamp", True),
    ),
    Column("late", "float"),
)
ROWS = [
    (1.5, 10, 3, "a", True, None, "2013-01-01T00:00:00.000Z"),
    (None, -(2**62), None, None, False, True, None),
    (float("nan"), 7, 9, "ü", True, False, "2013-06-01T12:00:00.500Z"),
]


def header(revision: int = 1, signature: Signature = SIGNATURE) -> Any:
    return prediction_header("late", 7, revision, "flights", 3, signature)


def batch(ms: int, counter: int, rows: list[Any] = ROWS, signature: Signature = SIGNATURE) -> Batch:
    count = len(rows)
    columns = [pack(kind_of(c), v) for c, v in zip(signature.inputs, zip(*rows, strict=True), strict=True)]
    return Batch(
        count, array("q", [ms] * count).tobytes(), array("q", [counter] * count).tobytes(),
        array("i", range(count)).tobytes(), array("i", [250] * count).tobytes(),
        array("q", [ms - 1000, *[NO_TIME] * (count - 1)]).tobytes(), ["UA1", *[None] * (count - 1)],
        array("d", [0.25] * count).tobytes(), columns,
    )  # fmt: skip


def home_of(loopline: Any) -> Path:
    home: Path = loopline.home
    return home


def sealed_files(loopline: Any) -> list[str]:
    folder = home_of(loopline) / "prediction-log" / "endpoint=late"
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.parquet"))


def test_records_come_back_as_they_were(loopline: Any, serving: Any) -> None:
    log = PredictionLog(home_of(loopline), header())
    log.write([batch(1_700_000_000_000, 1), batch(1_700_000_000_001, 3)])
    log.write([batch(1_700_000_000_002, 5)])
    found = serving.read_predictions("late").to_pylist()
    assert len(found) == 9
    assert [row["id"] for row in found[:3]] == [f"{text_of(1_700_000_000_000, 7, 1)}-{n}" for n in range(3)]
    first, second, third = found[:3]
    assert (first["hour"], first["distance"], first["seats"], first["input.key"]) == (1.5, 10, 3, "a")
    assert (first["holiday"], first["winter"], first["made"].isoformat()) == (True, None, "2013-01-01T00:00:00+00:00")
    assert (second["hour"], second["distance"], second["seats"], second["winter"]) == (None, -(2**62), None, True)
    assert (third["input.key"], third["made"].microsecond, third["prediction"], third["latency_us"]) == (
        "ü",
        500_000,
        0.25,
        250,
    )
    assert (first["key"], first["event_time"].isoformat()) == ("UA1", "2023-11-14T22:13:19+00:00")
    assert (second["key"], second["event_time"], first["revision"], first["version"]) == (None, None, 1, 3)
    log.close()


def test_selecting_by_time(loopline: Any, serving: Any) -> None:
    log = PredictionLog(home_of(loopline), header())
    log.write([batch(1_700_000_000_000 + n * 1000, 2 * n + 1) for n in range(10)])
    log.close()
    for _ in range(2):
        found = serving.read_predictions("late", "2023-11-14T22:13:22Z", "2023-11-14T22:13:24Z")
        assert found.num_rows == 6
        assert serving.read_predictions("late", "2023-11-14T22:13:22Z", by="event_time").num_rows == 7
        serving.seal()


def test_a_torn_end_is_left_out_and_nothing_before_it(loopline: Any, serving: Any) -> None:
    log = PredictionLog(home_of(loopline), header())
    for number in range(5):
        log.write([batch(1_700_000_000_000 + number, 2 * number + 1)])
    log.close()
    (path,) = (home_of(loopline) / "predictions" / "late").iterdir()
    whole = path.read_bytes()
    _, found = segments.read(path)  # type: ignore[misc]
    assert len(found) == 5
    last = len(whole) - len(segments.framed(segments.encode(found[-1])))
    for cut in (1, 9, (len(whole) - last) // 2):
        path.write_bytes(whole[: last + cut])
        assert serving.read_predictions("late").num_rows == 12
    path.write_bytes(whole[:-3] + b"xyz")
    assert serving.read_predictions("late").num_rows == 12
    path.write_bytes(b"")
    assert serving.read_predictions("late").num_rows == 0
    assert serving.seal() == 0
    assert not path.exists()


def test_an_open_segment_is_not_sealed(loopline: Any, serving: Any) -> None:
    log = PredictionLog(home_of(loopline), header())
    log.write([batch(1_700_000_000_000, 1)])
    assert serving.seal() == 0
    log.close()
    assert serving.seal() == 1
    assert serving.seal() == 0
    assert serving.read_predictions("late").num_rows == 3


def test_sealing_tells_range_and_digest(loopline: Any, serving: Any) -> None:
    for revision in (1, 2):
        log = PredictionLog(home_of(loopline), header(revision), most_bytes=1)
        for number in range(3):
            log.write([batch(1_700_000_000_000 + number + 10 * revision, 2 * number + 1)])
    before = serving.read_predictions("late")
    assert serving.seal("worker") == 2
    *facts, whole = [fact for fact in loopline.ledger.about("endpoint:late") if fact.kind.startswith("predictions.")]
    assert [(fact.kind, fact.actor, fact.body["rows"]) for fact in facts] == [("predictions.sealed", "worker", 9)] * 2
    assert (whole.kind, whole.body["rows"]) == ("predictions.compacted", 18)  # the day is over
    assert whole.body["from"] == {fact.body["file"]: fact.body["digest"] for fact in facts}
    assert sealed_files(loopline) == [whole.body["file"]]
    assert serving.check_log("late") == {"endpoint": "late", "files": 1, "wrong": []}
    assert list((home_of(loopline) / "predictions" / "late").iterdir()) == []
    assert serving.read_predictions("late").equals(before)
    name = before["id"][4].as_py()
    assert serving.find_prediction(name)["id"] == name


@pytest.mark.parametrize("broken", ["replace", "told", "unlink"])
def test_sealing_broken_off_anywhere_loses_and_doubles_nothing(
    loopline: Any, serving: Any, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    log = PredictionLog(home_of(loopline), header(), most_bytes=1)
    for number in range(4):
        log.write([batch(1_700_000_000_000 + number, 2 * number + 1)])
    before = serving.read_predictions("late")

    def fall(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        target = {"replace": (os, "replace"), "told": (sealing, "tell_all"), "unlink": (sealing, "remove")}[broken]
        patched.setattr(*target, fall)
        with pytest.raises(KeyboardInterrupt):
            serving.seal()
    assert serving.read_predictions("late").equals(before)
    serving.seal()
    assert serving.read_predictions("late").equals(before)
    facts = [fact for fact in loopline.ledger.about("endpoint:late") if fact.kind == "predictions.sealed"]
    assert len(facts) == 1
    assert len(sealed_files(loopline)) == 1
    assert list((home_of(loopline) / "predictions" / "late").iterdir()) == []


def test_revisions_with_other_inputs_are_read_together(loopline: Any, serving: Any) -> None:
    other = Signature((Column("hour", "string"), Column("new", "integer")), Column("late", "float"))
    PredictionLog(home_of(loopline), header()).write([batch(1_700_000_000_000, 1)])
    PredictionLog(home_of(loopline), header(2, other)).write([batch(1_700_000_000_005, 3, [("x", 1)], other)])
    found = serving.read_predictions("late").to_pylist()
    assert [(row["hour"], row["new"]) for row in (found[0], found[-1])] == [("1.5", None), ("x", 1)]


def test_a_disk_that_refuses_leaves_the_segment_whole(
    loopline: Any, serving: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = PredictionLog(home_of(loopline), header())
    log.write([batch(1_700_000_000_000, 1)])

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    for name in ("fdatasync", "write"):
        with monkeypatch.context() as patched:
            patched.setattr(os, name, full)
            with pytest.raises(OSError, match="No space"):
                log.write([batch(1_700_000_000_001, 3)])
        assert serving.read_predictions("late").num_rows == 3
    log.write([batch(1_700_000_000_001, 3)])
    assert serving.read_predictions("late").num_rows == 6


def test_truth_keeps_its_order_across_processes_and_sealing(loopline: Any, serving: Any) -> None:
    home = home_of(loopline)
    name = text_of(1_700_000_000_000, 7, 4)
    first = TruthLog(home, "late", 7)
    assert first.write([Truth(name, None, None, 1.0, 5), Truth(None, "UA1", 1000, 0.0, 6)]) == 1
    first.close()
    assert serving.seal() == 1
    second = TruthLog(home, "late", 8)
    assert second.write([Truth(name, None, None, 0.0, 7)]) == 3
    assert last_seq(home / "truth" / "late") == 3
    found = serving.read_truth("late").to_pylist()
    assert [(row["seq"], row["value"]) for row in found] == [(1, 1.0), (2, 0.0), (3, 0.0)]
    assert found[0]["prediction_id"] == name
    assert found[1]["event_time"].isoformat() == "1970-01-01T00:00:01+00:00"
    second.close()
    assert serving.seal() == 1
    assert TruthLog(home, "late", 9).write([Truth(name, None, None, 1.0, 8)]) == 4


def test_a_prediction_that_is_not_there(serving: Any) -> None:
    with pytest.raises(NotFound, match="no logged prediction"):
        serving.find_prediction(text_of(1_700_000_000_000, 7, 4))
    assert serving.read_predictions("nothing").num_rows == 0
    assert serving.read_truth("nothing").num_rows == 0


def test_the_mark_tells_of_news(loopline: Any, serving: Any) -> None:
    seen = [serving.log_mark("late")]
    log = PredictionLog(home_of(loopline), header())
    for number in range(2):
        log.write([batch(1_700_000_000_000 + number, 2 * number + 1)])
        seen.append(serving.log_mark("late"))
        assert serving.log_mark("late") == seen[-1]
    TruthLog(home_of(loopline), "late", 7).write([Truth(None, "UA1", 1000, 0.0, 6)])
    seen.append(serving.log_mark("late"))
    assert len(set(seen)) == 4
