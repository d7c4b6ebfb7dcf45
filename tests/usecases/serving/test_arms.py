"""What became of the arms: truth joined by id or by key and time, one unit a key, differences and shares."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from loopline.core.errors import Invalid
from loopline.usecases.serving.arms import Outcome, outcome
from loopline.usecases.serving.records.ids import Ids
from loopline.usecases.serving.traffic import Arm, Traffic

pytestmark = pytest.mark.unit
START = datetime(2026, 4, 1, tzinfo=UTC)
VERSIONS = {"live": (1, 1), "b": (2, 2)}
MOMENT = pa.timestamp("ms", tz="UTC")


def split(by: str, share: float = 0.5) -> Traffic:
    return Traffic(kind="test", arms=(Arm(name="b", revision=2, share=share),), by=by, since="2026-04-01T00:00:00.000Z")


def logged(arms: Any, predicted: Any, keys: Any) -> pa.Table:
    ids = Ids(7)
    count = len(arms)
    return pa.table(
        {
            "id": pa.array([ids.next(False) for _ in range(count)], pa.string()),
            "arm": pa.array(list(arms), pa.string()),
            "key": pa.array(list(keys), pa.string()),
            "caller": pa.array(["web"] * count, pa.string()),
            "event_time": pa.array([START + timedelta(seconds=place) for place in range(count)], MOMENT),
            "prediction": pa.array(predicted, None if count else pa.float64()),
        }
    )


def truth(predictions: pa.Table, values: Any, by_key: bool = False) -> pa.Table:
    count = predictions.num_rows
    return pa.table(
        {
            "prediction_id": pa.array([None] * count if by_key else predictions["id"].to_pylist(), pa.string()),
            "key": pa.array(predictions["key"].to_pylist() if by_key else [None] * count, pa.string()),
            "event_time": pa.array(predictions["event_time"].to_pylist() if by_key else [None] * count, MOMENT),
            "value": pa.array(np.asarray(values, float)),
            "seq": pa.array(range(1, count + 1), pa.int64()),
        }
    )


def two_arms(count: int, right: tuple[float, float], keys: int | None = None) -> tuple[pa.Table, Any]:
    """Predictions of yes or no, right with these probabilities, and the truth."""
    rng = np.random.default_rng(4)
    owner = np.arange(count) % (keys or count)
    second = rng.random(keys or count)[owner] < 0.5
    actual = rng.random(count) < 0.5
    fits = rng.random(count) < np.where(second, right[1], right[0])
    predicted = np.where(fits == actual, 0.9, 0.1)
    names = [f"customer {each}" for each in owner]
    return logged(np.where(second, "b", "live"), predicted, names), actual


def compared(
    predictions: pa.Table, values: Any, by: str = "request", metric: str = "", by_key: bool = False
) -> Outcome:
    return outcome("late", split(by), VERSIONS, predictions, truth(predictions, values, by_key), metric)


@pytest.mark.parametrize("by_key", [False, True])
def test_a_better_arm_is_found(by_key: bool) -> None:
    found = compared(*two_arms(3000, (0.7, 0.8)), by_key=by_key)
    one = found.comparisons[0]
    assert (found.metric, found.unit, one.verdict) == ("accuracy", "request", "better")
    assert one.low is not None
    assert one.high is not None
    assert 0 < one.low < 0.1 < one.high
    assert [arm.labelled for arm in found.arms] == [arm.predictions for arm in found.arms]
    assert not found.mismatched
    assert len(one.course) <= 60


def test_equal_arms_stay_open() -> None:
    assert compared(*two_arms(3000, (0.75, 0.75))).comparisons[0].verdict == "open"


def test_less_error_is_better() -> None:
    predictions, actual = two_arms(3000, (0.7, 0.8))
    assert compared(predictions, actual, metric="log_loss").comparisons[0].verdict == "better"
    assert compared(predictions, actual, metric="absolute_error").comparisons[0].verdict == "better"


def test_what_one_key_does_is_one_observation() -> None:
    predictions, actual = two_arms(3000, (0.7, 0.8), keys=60)
    found = compared(predictions, actual, by="key")
    assert sum(arm.units for arm in found.arms) == 60
    assert found.comparisons[0].low is None  # 60 customers say little, however often they ask
    assert compared(predictions, actual).comparisons[0].low is not None


def test_rows_without_a_key_are_nobodys() -> None:
    predictions, actual = two_arms(100, (0.7, 0.8))
    keyless = predictions.set_column(2, "key", pa.nulls(100, pa.string()))
    assert [arm.units for arm in compared(keyless, actual, by="key").arms] == [0, 0]


def test_the_newest_truth_counts() -> None:
    predictions, actual = two_arms(200, (0.7, 0.8))
    known = truth(predictions, actual)
    corrected = known.set_column(4, "seq", pa.array(range(201, 401))).set_column(
        3, "value", pa.array(np.full(200, 5.0))
    )
    found = outcome("late", split("request"), VERSIONS, predictions, pa.concat_tables([known, corrected]), "truth")
    assert [arm.mean for arm in found.arms] == [5.0, 5.0]


def test_arms_that_did_not_get_their_shares_are_noticed() -> None:
    predictions, actual = two_arms(2000, (0.7, 0.7))
    lost = predictions.filter(
        pa.array((np.arange(2000) % 3 > 0) | (np.asarray(predictions["arm"].to_pylist()) == "live"))
    )
    assert compared(lost, np.asarray(actual)[: lost.num_rows]).mismatched


def test_nothing_yet() -> None:
    found = compared(*two_arms(0, (0.5, 0.5)))
    assert ([arm.mean for arm in found.arms], found.comparisons[0].verdict, found.mismatch) == (
        [None, None],
        "open",
        1.0,
    )


def test_refusals() -> None:
    predictions, actual = two_arms(10, (0.7, 0.8))
    with pytest.raises(Invalid, match="no metric 'f1'"):
        compared(predictions, actual, metric="f1")
    text = predictions.set_column(5, "prediction", pa.array(["yes"] * 10))
    with pytest.raises(Invalid, match="text"):
        compared(text, actual, metric="accuracy")
    assert compared(text, actual, metric="truth").arms[0].mean is not None
