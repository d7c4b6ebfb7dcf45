"""Prediction ids sort by time and say where to look."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopline.core.errors import Invalid
from loopline.usecases.serving.records import ids

pytestmark = pytest.mark.unit

MS, WRITER, COUNTER = st.integers(0, 2**48 - 1), st.integers(0, 2**16 - 1), st.integers(0, 2**40 - 1)


@given(MS, WRITER, COUNTER)
def test_an_id_is_base32hex_of_its_parts(ms: int, writer: int, counter: int) -> None:
    raw = ms.to_bytes(6) + writer.to_bytes(2) + counter.to_bytes(5)
    expected = base64.b32hexencode(raw).decode().rstrip("=").lower()
    assert ids.text_of(ms, writer, counter) == expected
    assert ids.parts_of(expected) == (ms, writer, counter)


@settings(deadline=None)
@given(st.lists(st.tuples(MS, COUNTER, st.integers(-1, 2**31 - 1)), min_size=1, max_size=20), WRITER)
def test_the_column_of_ids_agrees(rows: list[tuple[int, int, int]], writer: int) -> None:
    ms, counter, row = (np.array(values, dtype) for values, dtype in zip(zip(*rows, strict=True), "qqi", strict=True))
    expected = [ids.text_of(m, writer, c) + (f"-{r}" if r >= 0 else "") for m, c, r in rows]
    assert ids.id_column(ms, writer, counter, row).to_pylist() == expected


def test_ids_of_a_writer_are_unique_and_sorted_whatever_the_clock_does() -> None:
    times = iter([5_000_000] * 1500 + [4_000_000] * 1500 + [6_000_000] * 1500)
    made = ids.Ids(7, lambda: next(times))
    found = []
    for place in range(4500):
        name = made.next(several=place % 3 == 0)
        assert name == ids.text_of(made.ms, 7, made.counter)
        assert made.counter % 2 == (place % 3 == 0)
        found.append(name)
    assert sorted(set(found)) == found


def test_which_row_is_meant() -> None:
    single, several = ids.text_of(1000, 7, 4), ids.text_of(1000, 7, 5)
    assert ids.parsed(single) == ids.parsed(f"{single}-0") == (1000, 7, 4, -1)
    assert ids.canonical(f"{single}-0") == single
    assert ids.parsed(f"{several}-12") == (1000, 7, 5, 12)
    for wrong in (f"{single}-1", several, "", "x", single[:-1], single.upper(), f"{several}-01", f"{single} ", single + "\n",
                  single[:-1] + "v"):  # fmt: skip
        with pytest.raises(Invalid):
            ids.canonical(wrong)
