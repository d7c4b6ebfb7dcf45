"""The normal form of tables: equal ones have equal bytes, different ones different bytes."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopline.usecases.pipelines.values import normal
from loopline.usecases.pipelines.values.frames import as_arrow
from loopline.usecases.pipelines.values.tables import encoded, read, settled

pytestmark = pytest.mark.unit
quick = settings(max_examples=80, deadline=None)

small = st.integers(-9, 9)
texts = st.text(st.characters(codec="utf-8"), max_size=6)
LEAVES: list[tuple[pa.DataType, st.SearchStrategy[Any]]] = [
    (pa.int32(), small),
    (pa.float64(), st.floats(allow_nan=False).filter(lambda value: value != 0)),
    (pa.bool_(), st.booleans()),
    (pa.string(), texts),
    (pa.large_binary(), st.binary(max_size=5)),
    (pa.string_view(), texts | st.text("x", min_size=13, max_size=20)),
    (pa.decimal128(9, 2), st.decimals(-100, 100, places=2)),
    (pa.binary(3), st.binary(min_size=3, max_size=3)),
    (pa.null(), st.none()),
]


def kinds(depth: int = 2) -> st.SearchStrategy[tuple[pa.DataType, st.SearchStrategy[Any]]]:
    leaf = st.sampled_from(LEAVES)
    return leaf if depth == 0 else leaf | kinds(depth - 1).flatmap(lambda inner: st.sampled_from(wrapped(*inner)))


def wrapped(kind: pa.DataType, values: st.SearchStrategy[Any]) -> list[tuple[pa.DataType, st.SearchStrategy[Any]]]:
    nullable = st.none() | values
    return [
        (pa.list_(kind), st.lists(nullable, max_size=3)),
        (pa.large_list(kind), st.lists(nullable, max_size=3)),
        (pa.list_(kind, 2), st.lists(nullable, min_size=2, max_size=2)),
        (pa.struct([("p", kind), ("q", pa.int8())]), st.fixed_dictionaries({"p": nullable, "q": small})),
        (pa.map_(pa.string(), kind), st.lists(st.tuples(texts, nullable), max_size=2)),
    ]


@st.composite
def arrays(draw: st.DrawFn) -> pa.Array:
    kind, values = draw(kinds())
    return pa.array(draw(st.lists(st.none() | values, max_size=20)), kind)


def bytes_of(*columns: Any) -> bytes:
    return encoded(pa.table({str(position): column for position, column in enumerate(columns)}))


@quick
@given(array=arrays(), data=st.data())
def test_chunks_and_offsets_do_not_show(array: pa.Array, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(array)))
    twice = pa.concat_arrays([array, array])
    pieces = [twice.slice(len(array), cut), array.slice(cut), array.slice(0, 0)]
    assert bytes_of(pa.chunked_array(pieces, array.type)) == bytes_of(array)
    assert bytes_of(array.slice(0, cut)) == bytes_of(pa.array(array.slice(0, cut).to_pylist(), array.type))


@quick
@given(array=arrays())
def test_a_table_in_normal_form_is_the_same_table_and_stays_as_it_is(array: pa.Array) -> None:
    table = pa.table({"x": array})
    assert settled(table).equals(table)
    assert settled(table).schema == table.schema
    settled(table).validate(full=True)
    assert encoded(settled(table)) == encoded(table)
    assert read(encoded(table)).equals(table)


@quick
@given(one=arrays(), two=arrays())
def test_different_columns_have_different_bytes(one: pa.Array, two: pa.Array) -> None:
    alike = one.type == two.type and one.equals(two)
    assert (bytes_of(one) == bytes_of(two)) == alike


def raw(values: list[Any], kind: pa.DataType, seen: list[bool]) -> list[pa.Array]:
    """The same array twice, with nulls where `seen` is false, but other bytes under them."""
    found = []
    for other in (values, values[::-1]):
        shown = [value if keep else garbage for value, keep, garbage in zip(values, seen, other, strict=True)]
        found.append(under_nulls(pa.array(shown, kind), seen))
    return found


def under_nulls(array: pa.Array, seen: list[bool]) -> pa.Array:
    mask = pa.array([not one for one in seen])
    kind = array.type
    if pa.types.is_struct(kind):
        return pa.StructArray.from_arrays(
            [array.field(n) for n in range(kind.num_fields)], fields=list(kind), mask=mask
        )
    if pa.types.is_fixed_size_list(kind):
        return pa.FixedSizeListArray.from_arrays(array.values, type=kind, mask=mask)
    if pa.types.is_map(kind):
        return pa.MapArray.from_arrays(array.offsets, array.keys, array.items, type=kind, mask=mask)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return type(array).from_arrays(array.offsets, array.values, type=kind, mask=mask)
    valid = pa.array(seen).buffers()[1]
    return pa.Array.from_buffers(kind, len(array), [valid, *array.buffers()[1:]])


@quick
@given(data=st.data(), kind=kinds())
def test_what_lies_under_a_null_does_not_show(data: st.DataObject, kind: Any) -> None:
    if pa.types.is_null(kind[0]) or pa.types.is_string_view(kind[0]):
        return
    values = data.draw(st.lists(kind[1], min_size=1, max_size=12))
    seen = data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values)))
    one, two = raw(values, kind[0], seen)
    assert one.equals(two)
    assert bytes_of(one) == bytes_of(two)


@quick
@given(words=st.lists(st.none() | st.sampled_from("abc"), min_size=1, max_size=12), data=st.data())
def test_how_a_dictionary_numbers_its_words_does_not_show(words: list[Any], data: st.DataObject) -> None:
    def numbered(order: list[str]) -> pa.Array:
        codes = [None if word is None else order.index(word) for word in words]
        return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int8()), pa.array(order))

    one, two = (numbered(data.draw(st.permutations(["a", "b", "c", "unused"]))) for _ in range(2))
    cut = data.draw(st.integers(0, len(words)))
    assert bytes_of(one) == bytes_of(two)
    assert bytes_of(pa.chunked_array([one.slice(0, cut), two.slice(cut)])) == bytes_of(one)
    assert settled(pa.table({"x": one})).column(0).to_pylist() == words


def test_the_order_of_ordered_words_and_of_pandas_categories_stays() -> None:
    ordered = pa.DictionaryArray.from_arrays(pa.array([1, 0], pa.int8()), pa.array(["x", "y", "z"]), ordered=True)
    assert settled(pa.table({"x": ordered})).column(0).chunk(0).dictionary.to_pylist() == ["x", "y", "z"]
    frame = pd.DataFrame({"x": pd.Categorical(["b", "a"], categories=["a", "b", "c"])})
    assert list(settled(as_arrow(frame)).to_pandas()["x"].cat.categories) == ["a", "b", "c"]


@pytest.mark.parametrize("rows", [0, 1, 2500])
def test_batches_of_rows_follow_from_the_schema_alone(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(normal, "_BATCH_BYTES", 1)
    table = pa.table({"i": range(rows), "s": [str(n) for n in range(rows)]})
    batches = list(normal.batches(pa.concat_tables([table.slice(0, rows // 3), table.slice(rows // 3)])))
    assert [batch.num_rows for batch in batches] == ([rows] if rows < 1024 else [1024, 1024, 452])
    assert pa.Table.from_batches(batches).equals(table)


def test_notes_of_pandas_count_without_who_wrote_them() -> None:
    table = pa.Table.from_pandas(pd.DataFrame({"a": [1]}))
    notes = json.loads(table.schema.metadata[b"pandas"])
    other = {"pandas_version": "1.0", "creator": {"library": "other", "version": "0"}} | {
        key: notes[key] for key in reversed(notes) if key not in ("pandas_version", "creator")
    }
    assert encoded(table) == encoded(table.replace_schema_metadata({b"pandas": json.dumps(other).encode()}))
    assert encoded(table) != encoded(table.replace_schema_metadata({b"mine": b"1"}))
    turned = ({b"a": b"1", b"b": b"2"}, {b"b": b"2", b"a": b"1"})
    assert len({encoded(table.replace_schema_metadata(one)) for one in turned}) == 1
    assert encoded(table.replace_schema_metadata({b"pandas": b"no json"}))


@quick
@given(values=st.lists(st.none() | small, max_size=9), data=st.data())
def test_equal_frames_of_every_library_have_equal_bytes(values: list[Any], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(values)))
    words = ["x" if value is None else "y" for value in values]
    plain = {"v": pl.Series(values, dtype=pl.Int64), "w": pl.Series(words, dtype=pl.Categorical)}
    whole = pl.DataFrame(plain)
    pieces = pl.concat([whole.slice(0, cut), whole.slice(cut)], rechunk=False)
    assert encoded(as_arrow(pieces)) == encoded(as_arrow(whole))
    frame = pd.DataFrame({"v": pd.array(values, dtype="Int64"), "w": words, "f": np.arange(len(values)) / 7})
    joined = pd.concat([frame.iloc[:cut], frame.iloc[cut:]], ignore_index=False) if 0 < cut < len(values) else frame
    if joined.index.equals(frame.index) and type(joined.index) is type(frame.index):
        assert encoded(as_arrow(joined)) == encoded(as_arrow(frame.copy()))
