"""Erasing a person's records: what a plain list would hold afterwards is what the log holds, wherever it was broken off."""

from __future__ import annotations

import itertools
import random
import sys
from array import array
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from breaking import broken_off
from msgspec.structs import replace

from loopline.core.errors import Invalid, Unavailable
from loopline.core.tables import Column, Signature
from loopline.shells.dataplane.shadows import bare
from loopline.usecases.serving import compacting, erasing
from loopline.usecases.serving.records.columns import kind_of, pack
from loopline.usecases.serving.records.reading import read_predictions
from loopline.usecases.serving.records.segments import names
from loopline.usecases.serving.records.writing import (
    SHADOWS,
    Batch,
    PredictionLog,
    Truth,
    TruthLog,
    prediction_header,
)

pytestmark = pytest.mark.integration

START_MS = 1_700_000_000_000
DAY_MS = 86_400_000
SIGNATURE = Signature((Column("hour", "float"), Column("who", "string", True)), Column("late", "float"))
PEOPLE = ["Zaphod Beeblebrox", "Trillian", "Ford-Prefect", None]
COUNTER = itertools.count(1)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compacting, "GRACE_S", 0.0)
    monkeypatch.setattr(erasing, "FLUSHED_S", 0.0)


def batch(ms: int, rows: list[tuple[str | None, str | None]], explained: bool) -> Batch:
    """Rows of (key, who)."""
    count = len(rows)
    times = array("q", range(ms, ms + count)).tobytes()
    zeros = array("d", [0.0] * count).tobytes()
    columns = [pack(kind_of(SIGNATURE.inputs[0]), [1.0] * count), [who for _, who in rows]]
    return Batch(
        count, times, array("q", [2 * next(COUNTER) for _ in rows]).tobytes(), array("i", [-1] * count).tobytes(),
        array("i", [250] * count).tobytes(), times, [key for key, _ in rows], zeros, columns,
        explanation=(zeros, [zeros, zeros]) if explained else None,
    )  # fmt: skip


class Model:
    """What was logged, as plain lists."""

    def __init__(self, loopline: Any, seed: int) -> None:
        self.random = random.Random(seed)
        self.loopline, self.home = loopline, loopline.home
        self.predictions: list[dict[str, Any]] = []
        self.truth: list[dict[str, Any]] = []

    def log(self) -> None:
        """A segment of predictions, and truth for some of all, sealed or not."""
        ms = START_MS + self.random.choice([0, 1, 5]) * DAY_MS + self.random.randrange(DAY_MS // 2)
        rows = [(self.random.choice(PEOPLE), self.random.choice(PEOPLE)) for _ in range(self.random.randint(1, 6))]
        log = PredictionLog(self.home, prediction_header("late", 7, 1, "flights", 3, SIGNATURE))
        log.write([batch(ms, rows, self.random.random() < 0.3)])
        log.close()
        found = self.loopline.serving.read_predictions("late").to_pylist()
        self.predictions = [{name: row[name] for name in ("id", "key", "who", "event_time")} for row in found]
        truths = TruthLog(self.home, "late", 7)
        for row in self.random.sample(self.predictions, min(4, len(self.predictions))):
            if self.random.random() < 0.5 or row["key"] is None:
                record = Truth(row["id"], None, None, 1.0, 5)
            else:
                record = Truth(None, row["key"], round(row["event_time"].timestamp() * 1000), 0.0, 6)
            truths.write([record])
        truths.close()
        self.truth = self.loopline.serving.read_truth("late").to_pylist()
        if self.random.random() < 0.5:
            self.loopline.serving.seal()

    def erase(self, field: str, value: str) -> None:
        gone = [row for row in self.predictions if row[field] == value]
        ids, moments = {row["id"] for row in gone}, {(row["key"], row["event_time"]) for row in gone}
        self.predictions = [row for row in self.predictions if row not in gone]
        self.truth = [
            row for row in self.truth
            if row["prediction_id"] not in ids
            and not (row["key"] == value if field == "key" else (row["key"], row["event_time"]) in moments)
        ]  # fmt: skip

    def agrees(self) -> bool:
        serving = self.loopline.serving
        found = serving.read_predictions("late").to_pylist()
        shown = [{name: row[name] for name in ("id", "key", "who", "event_time")} for row in found]
        truth = serving.read_truth("late").to_pylist()
        assert [row for row in truth if row not in self.truth] == []
        assert [row for row in self.truth if row not in truth] == []
        assert [row for row in shown if row not in self.predictions] == []
        assert [row for row in self.predictions if row not in shown] == []
        assert len(truth) == len(self.truth)
        assert shown == self.predictions
        return (shown, truth) == (self.predictions, self.truth)


@pytest.mark.parametrize("seed", range(6))
def test_what_is_left_is_what_a_list_would_hold(
    loopline: Any, serving: Any, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    subject = "who" if seed % 2 else None
    field = subject or "key"
    serving.put("late", "flights", "ada", key="who_key")
    serving.configure("late", {"subject": subject}, "ada")
    model = Model(loopline, seed)
    for _ in range(8):
        model.log()
    assert model.agrees()
    for value in ("Zaphod Beeblebrox", "Trillian"):
        erase = lambda value=value: serving.erase("late", value, "ada")  # noqa: E731
        for _ in range(3):  # broken off three times, gone on with by whoever comes next
            number = model.random.randint(2, 40)
            if not broken_off(monkeypatch, number, erase, model.random.random() < 0.5):
                break
        asked = {row["subject_hash"] for row in serving.erasures("late")}
        if erasing.keyed(loopline.home, "late", value) in asked:
            serving.tidy("worker")  # knows the hash alone
        else:
            erase()
        model.erase(field, value)
        assert model.agrees()
        model.log()
    assert all(row["finished_at"] for row in serving.erasures("late"))
    assert serving.check_log("late")["wrong"] == []
    assert nowhere(loopline.home, model, "Trillian" if field == "who" else "\0nothing")


def nowhere(home: Path, model: Model, value: str) -> bool:
    """Whether a value that no record of the model holds is in no file either (but in those of the test's own later rows)."""
    if any(value in (row["who"], row["key"]) for row in model.predictions):
        return True
    return not [path for path in home.rglob("*") if path.is_file() and value.encode() in path.read_bytes()]


def test_facts_tell_that_and_not_whom(loopline: Any, serving: Any) -> None:
    serving.put("late", "flights", "ada", key="who_key")
    log = PredictionLog(loopline.home, prediction_header("late", 7, 1, "flights", 3, SIGNATURE))
    log.write([batch(START_MS, [("Zaphod Beeblebrox", "x"), ("Trillian", "y"), ("Zaphod Beeblebrox", "z")], True)])
    log.close()
    truths = TruthLog(loopline.home, "late", 7)
    truths.write([Truth(None, "Zaphod Beeblebrox", 1000, 0.0, 6), Truth(None, "Trillian", 1000, 0.0, 6)])
    truths.close()
    serving.seal()
    done = serving.erase("late", "Zaphod Beeblebrox", "ada")
    assert (done.predictions, done.truth, done.field) == (2, 1, "who_key")
    facts = [fact for fact in loopline.ledger.about("endpoint:late") if "eras" in fact.kind]
    assert [fact.kind for fact in facts] == [
        "predictions.erasure_asked", "truth.erased", "predictions.erased", "predictions.erasure_finished",
    ]  # fmt: skip
    assert facts[2].body["erased"] == 2
    assert list(facts[2].body["from"].values()) == [
        fact.body["digest"] for fact in loopline.ledger.about("endpoint:late") if fact.kind == "predictions.sealed"
    ]
    assert facts[3].body["subject"] == done.subject
    assert serving.read_predictions("late")["key"].to_pylist() == ["Trillian"]
    assert [row["key"] for row in serving.read_truth("late").to_pylist()] == ["Trillian"]
    everything = [path for path in loopline.home.rglob("*") if path.is_file()]
    assert not [path for path in everything if b"Zaphod" in path.read_bytes()]
    again = serving.erase("late", "Zaphod Beeblebrox", "ada")
    assert (again.predictions, again.truth, again.subject) == (0, 0, done.subject)
    truths = TruthLog(loopline.home, "late", 8)
    assert truths.write([Truth(None, "Trillian", 1000, 1.0, 7)]) == 3  # numbers are never given twice
    truths.close()


def copied(loopline: Any) -> Any:
    return read_predictions(loopline.home / SHADOWS, "late", None, None, "at")


def shadowed(loopline: Any, shown: Any) -> None:
    """A log of a shadow under the ids of what was answered."""
    serving = loopline.serving
    log = PredictionLog(loopline.home, prediction_header("late", 7, 1, "flights", 3, SIGNATURE))
    log.write([shown])
    log.close()
    header = bare(prediction_header("late", 7, 2, "flights", 4, SIGNATURE))
    copies = PredictionLog(loopline.home / SHADOWS, header)
    copies.write([replace(shown, columns=[], key=None, event=None, explanation=None)])
    copies.close()
    assert serving.read_predictions("late")["id"] == copied(loopline)["id"]


def test_what_shadows_predicted_goes_too(loopline: Any, serving: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    serving.put("late", "flights", "ada", key="who_key")
    shadowed(loopline, batch(START_MS, [("Zaphod Beeblebrox", "x"), ("Trillian", "y")], False))
    loopline.database.write(lambda tx: serving.retire_in(tx, "late", "ada"))  # its logs are there all the same
    with monkeypatch.context() as patched:
        patched.setattr(erasing, "_rewrite_copies", broken)
        with pytest.raises(KeyboardInterrupt):
            serving.erase("late", "Zaphod Beeblebrox", "ada")
    serving.tidy("worker")  # goes on by the hash alone
    copies = copied(loopline)
    assert copies["id"].to_pylist() == serving.read_predictions("late")["id"].to_pylist()
    assert copies.num_rows == 1
    assert {fact.kind for fact in loopline.ledger.about("endpoint:late")} >= {"shadows.sealed", "shadows.erased"}
    (row,) = serving.erasures("late")
    assert (row["predictions"], bool(row["finished_at"])) == (1, True)
    checked = serving.check_log("late")
    assert (checked["files"], checked["wrong"]) == (2, [])


def test_shadows_are_kept_no_longer_than_what_was_answered(loopline: Any, serving: Any) -> None:
    serving.put("late", "flights", "ada", key="who_key")
    shadowed(loopline, batch(START_MS, [("Zaphod Beeblebrox", "x"), ("Trillian", "y")], False))
    serving.tidy("worker")
    assert copied(loopline).num_rows == 2
    serving.configure("late", {"retention_days": 30}, "ada")
    loopline.database.write(lambda tx: serving.retire_in(tx, "late", "ada"))
    serving.tidy("worker")
    assert copied(loopline).num_rows == 0
    assert serving.read_predictions("late").num_rows == 0
    assert not list((loopline.home / SHADOWS).rglob("*.parquet"))
    assert serving.check_log("late") == {"endpoint": "late", "files": 0, "wrong": []}


def broken(*given: Any) -> None:
    raise KeyboardInterrupt


def test_an_open_segment_is_let_go_of_when_asked(loopline: Any, serving: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasing, "PATIENCE_S", 0.2)
    serving.put("late", "flights", "ada", key="who_key")
    log = PredictionLog(loopline.home, prediction_header("late", 7, 1, "flights", 3, SIGNATURE))
    log.write([batch(START_MS, [("Zaphod Beeblebrox", "x"), ("Trillian", "y")], False)])
    with pytest.raises(Unavailable, match="keeps writing"):
        serving.erase("late", "Zaphod Beeblebrox", "ada")
    assert serving.read_predictions("late").num_rows == 2
    log.rotate()  # as the data plane does once a second
    assert names(loopline.home / "predictions" / "late")
    log.write([batch(START_MS + 10, [("Trillian", "z")], False)])
    log.close()
    serving.tidy("worker")  # by the hash alone
    assert serving.read_predictions("late")["key"].to_pylist() == ["Trillian"] * 2
    (row,) = serving.erasures("late")
    assert (row["predictions"], bool(row["finished_at"])) == (1, True)


def test_numbers_are_found_however_they_are_written(loopline: Any, serving: Any) -> None:
    signature = Signature((Column("customer", "integer"), Column("seat", "integer", True)), Column("late", "float"))
    serving.put("late", "flights", "ada")
    log = PredictionLog(loopline.home, prediction_header("late", 7, 1, "flights", 3, signature))
    count = 3
    log.write([Batch(
        count, array("q", range(START_MS, START_MS + count)).tobytes(), array("q", [2, 4, 6]).tobytes(),
        array("i", [-1] * count).tobytes(), array("i", [250] * count).tobytes(), None, None,
        array("d", [0.0] * count).tobytes(), [pack("q", [5, 6, 5]), pack("d", [None, 7.0, 8.0])],
    )])  # fmt: skip
    log.close()
    with pytest.raises(Invalid, match="whose its records are"):
        serving.erase("late", "5", "ada")
    serving.configure("late", {"subject": "customer"}, "ada")
    assert serving.erase("late", "5", "ada").predictions == 2
    serving.configure("late", {"subject": "seat"}, "ada")
    assert serving.erase("late", "7", "ada").predictions == 1
    assert serving.read_predictions("late").num_rows == 0
