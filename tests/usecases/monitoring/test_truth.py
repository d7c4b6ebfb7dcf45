"""The join of truth against a recomputation with plain dictionaries."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from loopline.usecases.monitoring.model.truth import Joined, joined

pytestmark = pytest.mark.unit
MOMENT = pa.timestamp("ms", tz="UTC")
SCHEMA = pa.schema(
    [
        ("prediction_id", pa.string()), ("key", pa.string()), ("event_time", MOMENT), ("value", pa.float64()),
        ("observed_at", MOMENT), ("received_at", MOMENT), ("seq", pa.int64()),
    ]
)  # fmt: skip


def record(seq: int, value: float, prediction: str | None = None, pair: Any = (None, None), observed: int = 0) -> Any:
    row = {"prediction_id": prediction, "key": pair[0], "event_time": pair[1], "value": value}
    return row | {"observed_at": observed or None, "received_at": seq * 1000, "seq": seq}


def predictions(rows: list[tuple[str, str | None, int | None]]) -> pa.Table:
    names, keys, events = zip(*rows, strict=True) if rows else ((), (), ())
    columns = {"id": pa.array(names, pa.string()), "key": pa.array(keys, pa.string())}
    return pa.table(columns | {"event_time": pa.array(events, MOMENT)})


def join(rows: list[tuple[str, str | None, int | None]], records: list[Any]) -> Joined:
    return joined(predictions(rows), pa.Table.from_pylist(records, SCHEMA))


def by_hand(rows: list[tuple[str, str | None, int | None]], records: list[Any]) -> dict[str, Any]:
    """One record after the other, with dictionaries only."""
    value: dict[str, float] = {}
    known: dict[str, int] = {}
    told: dict[Any, float] = {}
    duplicates = corrections = orphans = 0
    for row in sorted(records, key=lambda row: row["seq"]):
        name, pair = row["prediction_id"], (row["key"], row["event_time"])
        target = name if name is not None else pair
        meant = [r[0] for r in rows if (r[0] == name if name is not None else (r[1], r[2]) == pair)]
        orphans += not meant
        duplicates += target in told and told[target] == row["value"]
        corrections += target in told and told[target] != row["value"]
        told[target] = row["value"]
        for prediction in meant:
            value[prediction] = row["value"]
            known.setdefault(prediction, row["observed_at"] or row["received_at"])
    found = {"value": [value.get(r[0], -1.0) for r in rows], "known": [known.get(r[0], -1) for r in rows]}
    return found | {"duplicates": duplicates, "corrections": corrections, "orphans": orphans}


def same(result: Joined) -> dict[str, Any]:
    found: dict[str, Any] = {"value": np.nan_to_num(result.value, nan=-1.0).tolist()}
    found["known"] = np.where(result.known_ms == np.iinfo(np.int64).min, -1, result.known_ms).tolist()
    return found | {"duplicates": result.duplicates, "corrections": result.corrections, "orphans": result.orphans}


@pytest.mark.parametrize("seed", range(25))
def test_shuffled_repeated_corrected_and_unknown_truth_equals_a_recomputation_by_hand(seed: int) -> None:
    rng = random.Random(seed)
    rows = [(f"p{i}", f"k{i % 60}", 1000 * (i % 7)) for i in range(300)]
    targets: list[dict[str, Any]] = [
        {"prediction": r[0]} if rng.random() < 0.6 else {"pair": (r[1], r[2])} for r in rows if rng.random() < 0.9
    ]
    told = [(target, float(rng.random() < 0.3)) for target in targets]
    told += rng.sample(told, len(told) // 20)
    told += [(target, 1 - value) for target, value in rng.sample(told, len(told) // 50)]
    told += [({"prediction": f"unknown{i}"}, 1.0) for i in range(max(1, len(told) // 100))]
    told += [({"pair": ("k1", 999)}, 1.0), ({"pair": ("nobody", 1000)}, 0.0)]
    rng.shuffle(told)
    records = [record(i + 1, value, observed=rng.randint(1, 9**6), **target) for i, (target, value) in enumerate(told)]
    expected = by_hand(rows, records)
    rng.shuffle(records)
    assert same(join(rows, records)) == expected
    assert min(expected["duplicates"], expected["corrections"], expected["orphans"]) > 0


def test_what_is_received_later_wins_whichever_way_it_names_the_prediction() -> None:
    rows = [("a", "k", 5)]
    assert join(rows, [record(1, 0.0, "a"), record(2, 1.0, pair=("k", 5))]).value.tolist() == [1.0]
    assert join(rows, [record(3, 0.0, "a"), record(2, 1.0, pair=("k", 5))]).value.tolist() == [0.0]


def test_truth_by_key_speaks_of_every_prediction_with_that_key_and_time() -> None:
    rows = [("a", "k", 5), ("b", "k", 5), ("c", "k", 6), ("d", None, 5), ("e", "k", None)]
    result = join(rows, [record(1, 1.0, pair=("k", 5))])
    assert np.isfinite(result.value).tolist() == [True, True, False, False, False]


def test_a_key_without_a_time_names_nothing() -> None:
    result = join([("e", "k", None)], [record(1, 1.0, pair=("k", None))])
    assert (result.orphans, np.isfinite(result.value).any()) == (1, False)


def test_without_an_observed_time_the_receipt_counts() -> None:
    assert join([("a", None, None)], [record(7, 1.0, "a")]).known_ms.tolist() == [7000]


def test_nothing_joins_nothing() -> None:
    assert join([("a", "k", 1)], []).records == 0
    assert len(join([], [record(1, 1.0, "a")]).value) == 0
    assert join([], [record(1, 1.0, "a")]).orphans == 1
