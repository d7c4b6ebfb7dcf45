"""A sample of rows adds up in any order, and drawing again changes nothing."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopline.core.errors import Invalid
from loopline.usecases.monitoring.model import reservoir

pytestmark = pytest.mark.unit


def rows(numbers: list[int]) -> pa.Table:
    return pa.table(
        {"id": pa.array([f"01J{n:09d}-{n % 7}" for n in numbers], pa.string()), "x": pa.array(numbers, pa.int64())}
    )


numbered = st.lists(st.integers(0, 400), max_size=150)


@settings(max_examples=60, deadline=None)
@given(numbered, numbered, numbered)
def test_the_sample_of_a_union_is_the_sample_of_the_samples(one: list[int], two: list[int], three: list[int]) -> None:
    whole = reservoir.drawn(rows([*one, *two, *three]), 20)
    parts = [reservoir.drawn(rows(part), 20) for part in (one, two, three)]
    for a, b, c in itertools.permutations(parts):
        found = reservoir.merged(reservoir.merged(a, b, 20), c, 20)
        assert found.equals(whole)
        assert reservoir.merged(a, reservoir.merged(b, c, 20), 20).equals(whole)
    assert reservoir.merged(whole, whole, 20).equals(whole)
    assert len(whole) == min(20, len({*one, *two, *three}))


def test_every_row_is_as_likely_as_any_other() -> None:
    table = rows(list(range(60_000)))
    found = reservoir.drawn(table)
    assert len(found) == reservoir.MOST_ROWS
    kept = found["x"].to_numpy()
    assert kept.mean() == pytest.approx(30_000, abs=1500)
    assert np.bincount(kept // 6000, minlength=10).min() > 140
    other = reservoir.drawn(table, key=1)["x"].to_numpy()
    assert 30 < len(np.intersect1d(kept, other)) < 120  # 2,000 of 60,000 twice: about 67 by chance


def test_rows_without_an_id_or_other_columns_are_told() -> None:
    with pytest.raises(Invalid, match="no column 'id'"):
        reservoir.drawn(pa.table({"x": [1]}))
    both = reservoir.merged(rows([1]), rows([2]).append_column("y", pa.array([0.5])))
    assert sorted(map(str, both["y"].to_pylist())) == ["0.5", "None"]
    with pytest.raises(Invalid, match="cannot be put together"):
        reservoir.merged(rows([1]), pa.table({"id": ["a"], "x": [[1]]}))


def test_a_sample_survives_being_kept() -> None:
    found = reservoir.drawn(rows(list(range(5000))))
    assert reservoir.decode(reservoir.encode(found)).equals(found)
    assert reservoir.decode(reservoir.encode(rows([]))).num_rows == 0
    assert len(reservoir.encode(found)) < 60_000
    with pytest.raises(Invalid, match="cannot be read"):
        reservoir.decode(b"nonsense")
