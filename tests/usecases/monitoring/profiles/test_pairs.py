"""Scores beside labels and segments: small tables that add up."""

from __future__ import annotations

import itertools
import math

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopline.core.errors import Invalid
from loopline.usecases.monitoring.model import pairs
from loopline.usecases.monitoring.model.cells import Grid

pytestmark = pytest.mark.unit
row = st.tuples(
    st.one_of(st.floats(-50, 50), st.just(math.nan), st.sampled_from([math.inf, 0.0, 1.0])),
    st.sampled_from(["a", "b", "c", None]),
)
some = st.lists(row, max_size=40)
GRID = Grid(0.0, 4.0)


def counted(found: list[tuple[float, str | None]]) -> pairs.Pair:
    scores = np.array([score for score, _ in found], dtype=np.float64)
    return pairs.pair(scores, pa.array([value for _, value in found], pa.string()), GRID)


@settings(max_examples=60, deadline=None)
@given(some, some, some)
def test_pairs_add_up_in_any_order(one: list, two: list, three: list) -> None:  # type: ignore[type-arg]
    whole = counted([*one, *two, *three])
    for a, b, c in itertools.permutations([counted(one), counted(two), counted(three)]):
        assert pairs.merged(pairs.merged(a, b), c) == whole == pairs.merged(a, pairs.merged(b, c))
    assert whole.rows == len(one) + len(two) + len(three)
    assert msgspec.json.decode(msgspec.json.encode(whole), type=pairs.Pair) == whole


def test_labels_beside_probabilities() -> None:
    scores = np.array([0.0, 0.5, 0.999, 1.0, 0.2, math.nan])
    found = pairs.pair(scores, pa.array([0.0, 1.0, 1.0, 1.0, None, 0.0]))
    assert (found.low, found.width, found.unscored, sum(found.missing)) == (0.0, 1 / 64, 1, 1)
    assert (found.values["1"][32], found.values["1"][63], found.values["0"][0]) == (1, 2, 1)
    assert found.table().shape == (3, 64)
    same = [pa.array([False, True, True, True, None, False]), pa.array([0, 1, 1, 1, None, 0])]
    assert all(pairs.pair(scores, labels) == found for labels in same)


def test_more_values_than_rows_fold_into_one_row() -> None:
    segments = [f"s{i % 50}" for i in range(500)] + ["big"] * 30
    found = pairs.pair(np.linspace(0, 1, 530), pa.array(segments).dictionary_encode())
    assert (len(found.values), next(iter(found.values)), found.rows) == (32, "big", 530)
    assert sum(found.others) == 10 * (50 - 31)
    assert len(msgspec.json.encode(found)) < 16_384


def test_scores_of_any_size_have_bins_around_their_middle() -> None:
    rng = np.random.default_rng(2)
    scores = rng.normal(1013, 7, 5000)
    first = pairs.pair(scores, pa.array(["x"] * 5000))
    assert sum(count > 20 for count in first.values["x"]) > 25
    assert pairs.merged(first, pairs.pair(scores[:9] + 500, pa.array(["y"] * 9), like=first)).values["y"][-1] == 9
    with pytest.raises(Invalid, match="different bins"):
        pairs.merged(first, pairs.pair(np.array([0.5]), pa.array(["x"])))
