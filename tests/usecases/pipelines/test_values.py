"""Values written and read back: equal ones have equal digests, and each comes back as it went."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loopline.core.errors import Invalid
from loopline.usecases.pipelines.hashing import digest, of_tree
from loopline.usecases.pipelines.model import INLINE, Leaf, Many
from loopline.usecases.pipelines.values.reading import Reader
from loopline.usecases.pipelines.values.tables import encoded, settled
from loopline.usecases.pipelines.values.writing import Writer

pytestmark = pytest.mark.unit
quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

COLUMNS = {
    "i": (pa.int64(), st.integers(-(2**62), 2**62)),
    "f": (pa.float64(), st.floats(allow_nan=False).map(lambda value: value + 0.0)),  # -0.0 is another value than 0.0
    "s": (pa.string(), st.text(max_size=8)),
    "b": (pa.bool_(), st.booleans()),
    "t": (pa.timestamp("us", "UTC"), st.integers(0, 2**50)),
    "l": (pa.list_(pa.int32()), st.lists(st.integers(0, 100), max_size=3)),
    "d": (pa.dictionary(pa.int32(), pa.string()), st.sampled_from(["x", "y", "z"])),
    "u": (
        pa.struct([("p", pa.int8()), ("q", pa.string())]),
        st.fixed_dictionaries({"p": st.integers(0, 9), "q": st.text(max_size=3)}),
    ),
}


class Pair(NamedTuple):
    left: Any
    right: Any


def back(value: Any, tmp_path: Path, annotation: Any = None) -> Any:
    writer = Writer(tmp_path / "w", {})
    tree = writer.tree(value)
    return Reader(tmp_path / "r", writer.files, {}).value(tree, annotation)


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    rows = draw(st.integers(0, 12))
    names = draw(st.lists(st.sampled_from(sorted(COLUMNS)), min_size=1, unique=True))
    data = {}
    for name in names:
        kind, values = COLUMNS[name]
        data[name] = pa.array(draw(st.lists(st.none() | values, min_size=rows, max_size=rows)), kind)
    return pa.table(data)


@quick
@given(table=tables(), data=st.data())
def test_chunks_and_slices_do_not_change_the_digest_of_a_table(table: pa.Table, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, table.num_rows))
    padded = pa.concat_tables([table.slice(0, cut), table, table.slice(cut)])
    pieces = pa.concat_tables([padded.slice(cut, cut), padded.slice(cut + cut, table.num_rows - cut)])
    assert pieces.equals(table)
    assert encoded(settled(pieces)) == encoded(settled(table))


@quick
@given(values=st.lists(st.integers(-5, 5), min_size=1, max_size=40), data=st.data())
def test_what_lies_under_a_null_does_not_count(values: list[int], data: st.DataObject) -> None:
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values))))
    garbage = np.where(mask, 99, values)
    one, two = (pa.table({"x": pa.array(np.asarray(raw), mask=mask)}) for raw in (values, garbage))
    assert one.equals(two)
    assert encoded(settled(one)) == encoded(settled(two))


@quick
@given(table=tables(), other=tables())
def test_different_tables_have_different_bytes(table: pa.Table, other: pa.Table) -> None:
    assert (encoded(settled(table)) == encoded(settled(other))) == table.equals(other, check_metadata=True)


def nested(inner):
    return st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    nested,
    max_leaves=12,
)


@quick
@given(value=plain)
def test_plain_values_come_back_as_they_went(value: Any, tmp_path: Path) -> None:
    assert back(value, tmp_path) == value


def test_no_number_and_infinity_come_back(tmp_path: Path) -> None:
    found = back([math.nan, math.inf, -math.inf], tmp_path)
    assert math.isnan(found[0])
    assert found[1:] == [math.inf, -math.inf]


@pytest.mark.parametrize("rows", [3, 5_000])
def test_frames_come_back_as_their_kind_or_as_asked(rows: int, tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": np.arange(rows), "b": ["x", None, "z"] * (rows // 3) + ["x"] * (rows % 3)})
    frame.index = pd.RangeIndex(5, 5 + rows)
    pd.testing.assert_frame_equal(back(frame, tmp_path), frame)
    assert back(frame, tmp_path, pl.DataFrame)["a"].to_list() == list(range(rows))
    assert back(pl.DataFrame({"a": range(rows)}), tmp_path).equals(pl.DataFrame({"a": range(rows)}))
    assert isinstance(back(frame, tmp_path, pa.Table), pa.Table)
    assert isinstance(back(pa.table({"a": range(rows)}), tmp_path, "pd.DataFrame"), pd.DataFrame)


def test_a_filtered_pandas_frame_keeps_its_index(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": range(10)}, index=pd.date_range("2013-01-01", periods=10, name="day", unit="us")).iloc[
        ::3
    ]
    pd.testing.assert_frame_equal(back(frame, tmp_path), frame, check_freq=False)


@pytest.mark.parametrize(
    "array", [np.arange(6).reshape(2, 3), np.zeros((40, 40), "f4"), np.array(3.5), np.arange(20)[::2]]
)
def test_arrays_come_back(array: np.ndarray, tmp_path: Path) -> None:
    found = back(array, tmp_path)
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


def test_numpy_scalars_become_plain_numbers(tmp_path: Path) -> None:
    assert back({"auc": np.float32(0.5), "n": np.int64(3)}, tmp_path) == {"auc": 0.5, "n": 3}


def test_containers_bytes_and_files_come_back(tmp_path: Path) -> None:
    (tmp_path / "plot.svg").write_text("<svg/>" * 2000)
    value = Pair((1, b"\x00" * 9000), {"frame": pd.DataFrame({"a": [1]}), "file": tmp_path / "plot.svg"})
    found = back(value, tmp_path)
    assert found.left == value.left
    assert found._fields == ("left", "right")
    assert found.right["file"].name == "plot.svg"
    assert found.right["file"].read_text() == "<svg/>" * 2000
    pd.testing.assert_frame_equal(found.right["frame"], value.right["frame"])


def test_small_values_live_in_the_row_and_large_ones_in_files(tmp_path: Path) -> None:
    writer = Writer(tmp_path, {})
    small, large = writer.tree(b"x" * INLINE), writer.tree(b"x" * (INLINE + 1))
    assert isinstance(small, Leaf)
    assert isinstance(large, Leaf)
    assert (small.content, large.content) == (b"x" * INLINE, None)
    assert list(writer.files) == [large.digest]


@pytest.mark.parametrize("value", [object(), {1: 2}, np.array([object()]), {1, 2}, open, Path("/nowhere")])
def test_what_cannot_be_stored_is_refused_with_the_way_out(value: Any, tmp_path: Path) -> None:
    with pytest.raises(Invalid) as refused:
        Writer(tmp_path, {}).tree([value], "the result of train")
    assert "the result of train[0]" in refused.value.message
    assert refused.value.hint


def test_forms_of_containers_are_told_apart() -> None:
    leaf = Leaf("json", "d", 1, b"1")
    trees = [
        Many("list", (leaf,)),
        Many("tuple", (leaf,)),
        Many("dict", (leaf,), ("d",)),
        Many("list", (leaf, leaf)),
        leaf,
    ]
    assert len({of_tree(tree) for tree in trees}) == len(trees)


@quick
@given(one=st.lists(st.binary(max_size=4), max_size=4), two=st.lists(st.binary(max_size=4), max_size=4))
def test_fields_are_never_confused(one: list[bytes], two: list[bytes]) -> None:
    assert (digest(*one) == digest(*two)) == (one == two)


@pytest.mark.parametrize("name", ["../../escaped", "/escaped", "a/../../escaped"])
def test_a_model_from_elsewhere_writes_only_into_its_folder(tmp_path: Path, name: str) -> None:
    about = {
        "format": "any",
        "signature": {"inputs": [], "output": {"name": "y", "type": "float"}},
        "files": {name: "d"},
    }
    content = json.dumps(about).encode()
    (tmp_path / "blob").write_bytes(b"x")
    reader = Reader(tmp_path / "in", {"d": str(tmp_path / "blob")}, {"any": object()})  # type: ignore[dict-item]
    with pytest.raises(Invalid, match="escaped"):
        reader.value(Leaf("model", "0" * 64, len(content), content))
    assert not list(tmp_path.parent.rglob("escaped"))
