"""Truth that is a text: joined, corrected, and read from logs of any age."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from loopline.core.errors import Invalid
from loopline.shells.dataplane.answers import Fault
from loopline.shells.dataplane.truths import parsed
from loopline.usecases.monitoring.model.truth import joined
from loopline.usecases.serving.arms import comparable, default_metric, scored
from loopline.usecases.serving.cli import true_value
from loopline.usecases.serving.records import tables
from loopline.usecases.serving.records.reading import read_truth
from loopline.usecases.serving.records.writing import Truth, TruthLog

pytestmark = pytest.mark.unit
MOMENT = pa.timestamp("ms", tz="UTC")


def taken(*values: Any) -> list[Truth]:
    rows = [{"key": "k", "event_time": "2013-04-01T00:00:00Z", "value": value} for value in values]
    return parsed(json.dumps({"rows": rows}).encode(), True, 100)


def test_truth_may_be_a_number_a_yes_or_a_text() -> None:
    assert [(record.value, record.label) for record in taken(2.5, True, False)] == [
        (2.5, None),
        (1.0, None),
        (0.0, None),
    ]
    (record,) = taken("refund")
    assert np.isnan(record.value)
    assert record.label == "refund"
    with pytest.raises(Fault, match="this endpoint predicts numbers"):
        parsed(
            json.dumps({"rows": [{"key": "k", "event_time": "2013-04-01T00:00:00Z", "value": "a"}]}).encode(),
            True,
            9,
            False,
        )
    for wrong in ("", "x" * 1001, None, [1]):
        with pytest.raises(Fault, match="Nothing was taken"):
            taken(wrong)


def test_the_command_line_says_numbers_as_numbers() -> None:
    assert [true_value(text) for text in ("1", "0.5", "true", "False", "refund", "nan", "1e999")] == [
        1.0, 0.5, True, False, "refund", "nan", "1e999",
    ]  # fmt: skip


def test_the_log_holds_both_and_reads_what_was_written_before_there_were_texts(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    log = TruthLog(tmp_path, "parcels", 1)
    log.write([Truth("a", None, None, 1.0, 5)])
    log.write([Truth("b", None, None, float("nan"), 6, "refund"), Truth("c", None, None, 0.0, 7)])
    log.close()
    found = read_truth(tmp_path, "parcels")
    assert found.schema == tables.truth_schema()
    assert found["value"].to_pylist() == [1.0, None, 0.0]
    assert found["label"].to_pylist() == [None, "refund", None]
    old = found.slice(0, 1).drop_columns(["label"])
    folder = tmp_path / "truth" / "older"
    folder.mkdir()
    pq.write_table(old, folder / "0000000000000001-0000000000000001-aa.parquet")
    assert read_truth(tmp_path, "older").schema == tables.truth_schema()


def test_what_is_received_last_wins_though_it_is_of_another_kind() -> None:
    predictions = pa.table({"id": ["a", "b", "c"], "key": pa.nulls(3, pa.string()), "event_time": pa.nulls(3, MOMENT)})
    rows = [
        ("a", 1.0, None),
        ("a", None, "lost"),
        ("b", None, "late"),
        ("b", None, "late"),
        ("b", 0.0, None),
        ("z", None, "x"),
    ]
    names, values, labels = zip(*rows, strict=True)
    truth = pa.table(
        {
            "prediction_id": names, "key": pa.nulls(6, pa.string()), "event_time": pa.nulls(6, MOMENT),
            "value": pa.array(values, pa.float64()), "observed_at": pa.array([10] * 6, MOMENT),
            "received_at": pa.array([10] * 6, MOMENT), "seq": list(range(6)), "label": labels,
        }
    )  # fmt: skip
    found = joined(predictions, truth)
    assert found.label is not None
    assert found.label.tolist() == ["lost", None, None]
    assert np.nan_to_num(found.value, nan=-1).tolist() == [-1, 0, -1]
    assert (found.duplicates, found.corrections, found.orphans) == (1, 2, 1)
    assert joined(predictions, truth.slice(0, 1)).label is None


def test_arms_that_answer_texts_are_compared_by_how_often_they_are_right() -> None:
    found = pa.table({"prediction": ["lost", "3", "late"], "value": [None, 3.0, None], "label": ["lost", None, "lost"]})
    kept = comparable(found)
    assert default_metric(kept) == "accuracy"
    assert scored(kept, "accuracy").tolist() == [1.0, 1.0, 0.0]
    with pytest.raises(Invalid, match="not of their words"):
        scored(
            comparable(pa.table({"prediction": ["yes"], "value": [1.0], "label": pa.nulls(1, pa.string())})), "accuracy"
        )
    numbers = pa.table({"prediction": [0.2, 0.7], "value": [None, 1.0], "label": ["lost", None]})
    assert comparable(numbers)["value"].to_pylist() == [1.0]
