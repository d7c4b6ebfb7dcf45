"""Texts: exact while they fit, within a stated bound where they are folded, never larger than a column may be."""

from __future__ import annotations

import itertools
import random
import uuid
from collections import Counter
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopline.core.tables import Column, Signature
from loopline.usecases.monitoring.model import sketching, texts
from loopline.usecases.monitoring.model.profile import COLUMN_BYTES, CategoricalColumn, Profile, decode, encode

pytestmark = pytest.mark.unit
TEXT = Signature(inputs=(Column("c", "string", True),), output=Column("y", "float"))

word = st.one_of(st.sampled_from(["a", "b", "c", "", "ä", '"\\', "\x00"]), st.text(max_size=80), st.none())


def profiled(values: Any, like: Profile | None = None) -> Profile:
    return sketching.profile(pa.table({"c": pa.array(values, pa.string())}), TEXT, like)


def column(found: Profile) -> CategoricalColumn:
    assert isinstance(found.columns[0], CategoricalColumn)
    return found.columns[0]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(word, max_size=30), min_size=3, max_size=3))
def test_texts_that_fit_add_up_exactly_in_any_order(parts: list[list[str | None]]) -> None:
    whole = profiled([value for part in parts for value in part])
    for one, two, three in itertools.permutations([profiled(part) for part in parts]):
        assert sketching.merged(sketching.merged(one, two), three) == whole
        assert sketching.merged(one, sketching.merged(two, three)) == whole


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.5, 2.0))
def test_folded_texts_are_right_within_their_bound_in_any_order(seed: int, power: float) -> None:
    rng = np.random.default_rng(seed)
    weights = 1 / np.arange(1, 4001) ** power
    drawn = rng.choice(4000, size=9000, p=weights / weights.sum())
    values = [f"customer {value}" for value in drawn]
    true, known = Counter(values), profiled(values[:3000])
    parts = [profiled(values[start : start + 3000], known) for start in (0, 3000, 6000)]
    whole = column(profiled(values))
    for one, two, three in itertools.permutations(parts):
        found = column(sketching.merged(sketching.merged(one, two), three))
        assert (found.rows, found.missing) == (9000, 0)
        assert sum(found.values.values()) + found.others == 9000
        assert all(count <= true[text] <= count + found.missed for text, count in found.values.items())
        assert all(count <= found.missed for text, count in true.items() if text not in found.values)
        assert found.folded >= len(true) - len(found.values)
        if whole.folded:
            assert (found.distinct, found.sampled) == (whole.distinct, whole.sampled)
        assert texts.distinct_values(found) == pytest.approx(len(true), rel=0.1)
    assert all(whole.values[text] == true[text] for text in whole.values)


@pytest.mark.parametrize(
    "values",
    [
        [str(uuid.UUID(int=random.Random(i).getrandbits(128))) for i in range(20_000)],
        ["x" * 3000 + str(i) for i in range(1000)],
        ['"\\\x00' * 20 + str(i) for i in range(2000)],
        ["漢字" * 30 + str(i) for i in range(1500)],
        [str(i % 1000) for i in range(200_000)],
    ],
    ids=["ids", "long", "to be escaped", "of three bytes", "a thousand"],
)
def test_a_column_of_texts_stays_within_its_size(values: list[str]) -> None:
    made = profiled(values)
    for found in (made, sketching.merged(made, profiled([f"{value}." for value in values]))):
        assert len(encode(found)) <= COLUMN_BYTES
        assert decode(encode(found)) == found
        assert sum(column(found).values.values()) + column(found).others == found.rows


def test_long_texts_that_begin_alike_stay_different() -> None:
    found = column(profiled(["a" * 100 + "1", "a" * 100 + "2", "a" * 100 + "2"]))
    assert sorted(found.values.values()) == [1, 2]
    assert found.folded == 0


def test_values_of_the_reference_are_folded_last() -> None:
    reference = profiled([f"plane {i}" for i in range(500)])
    crowd = [f"stranger {i % 3000}" for i in range(9000)]
    now = profiled([*crowd, "plane 7"], reference)
    assert column(now).values["plane 7"] == 1
    both = sketching.merged(now, profiled([*crowd, "plane 8"], reference), reference)
    assert (column(both).values["plane 7"], column(both).values["plane 8"]) == (1, 1)


def test_new_values_are_expected_as_good_and_turing_do() -> None:
    rng = np.random.default_rng(3)
    drawn = [f"v{value}" for value in rng.zipf(1.5, 40_000)]
    seen, later = drawn[:20_000], drawn[20_000:]
    there = set(seen)
    share = np.mean([value not in there for value in later])
    made = column(profiled(seen))
    assert made.folded > 0
    assert texts.expected_new(made) == pytest.approx(share, abs=0.04)
    assert texts.seen_once(column(profiled(["a", "b", "b"]))) == 1
    assert texts.expected_new(column(profiled([None, None]))) == 0


def test_a_text_prediction_is_counted_by_value_and_latency_in_milliseconds() -> None:
    table = pa.table({"c": ["a"] * 3, "prediction": ["late", "late", None], "latency_us": [1500, 2500, 500]})
    made = sketching.profile(table, TEXT)
    assert [one.name for one in made.columns] == ["c", "prediction", "latency_ms"]
    prediction, latency = made.column("prediction"), made.column("latency_ms")
    assert isinstance(prediction, CategoricalColumn)
    assert (prediction.values, prediction.missing, prediction.outside) == ({"late": 2}, 1, 0)
    assert latency.mean == 1.5  # type: ignore[union-attr]
    other = sketching.profile(table.set_column(2, "latency_us", pa.array([10**6, 7, 99])), TEXT)
    assert sketching.merged(made, other).rows == 6


def test_very_many_values_in_batches_are_those_of_the_table() -> None:
    values = [f"user {i % 70_000}" for i in range(140_000)]
    profiler = sketching.Profiler(TEXT)
    for batch in pa.table({"c": values}).to_batches(max_chunksize=20_000):
        profiler.add(batch)
    found, whole = column(profiler.finish()), column(profiled(values))
    assert (found.distinct, found.sampled) == (whole.distinct, whole.sampled)
    assert found.rows == sum(found.values.values()) + found.others
    assert texts.distinct_values(found) == pytest.approx(70_000, rel=0.07)


def test_a_column_of_a_reference_fits_with_its_own_days_and_weeks() -> None:
    rng = np.random.default_rng(4)
    count, days = 60_000, 400
    times = pa.array(
        1_364_774_400_000 + np.sort(rng.integers(0, days * 86_400_000, count)), pa.timestamp("ms", tz="UTC")
    )
    names = [f"customer {value:06d}" for value in rng.integers(0, 9000, count)]
    table = pa.table({"c": names, "x": rng.standard_cauchy(count), "event_time": times})
    both = Signature((Column("c", "string"), Column("x", "float", True)), Column("y", "float"))
    made = sketching.profile(table, both, event_time="event_time")
    assert sorted(made.usual) == ["day", "week"]
    for one in made.columns:
        laws = [law.distances[one.name] for law in made.usual.values()]
        assert len(msgspec.json.encode(one)) + sum(len(msgspec.json.encode(law)) for law in laws) <= COLUMN_BYTES
    assert decode(encode(made)) == made


def test_rows_with_values_never_seen_are_told_however_long_they_are() -> None:
    long = "a" * 100
    reference = column(profiled(["x", long]))
    assert texts.unseen(pa.array(["x", long, long + "b", None, "y", "y"]), reference) == 3
    assert texts.unseen(pa.array(["x"]), column(profiled([f"plane {i}" for i in range(3000)]))) is None
