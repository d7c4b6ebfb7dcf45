"""Every kind of value comes back equal and of its own type, and equal values have equal digests."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import os
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from loopline.core.errors import Invalid
from loopline.usecases.pipelines.hashing import of_tree
from loopline.usecases.pipelines.model import INLINE, Leaf, Many, Tree
from loopline.usecases.pipelines.values.reading import Reader
from loopline.usecases.pipelines.values.writing import Writer

pytestmark = pytest.mark.unit
quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def written(value: Any, folder: Path) -> tuple[Tree, dict[str, str]]:
    writer = Writer(folder, {})
    return writer.tree(value), writer.files


def back(value: Any, folder: Path, annotation: Any = None) -> Any:
    tree, files = written(value, folder / "w")
    return Reader(folder / "r", files, {}).value(tree, annotation)


class Colour(enum.StrEnum):
    RED = "r"


class Level(enum.IntEnum):
    HIGH = 3


class Place(enum.Enum):
    HERE = (1, 2)


@dataclass(frozen=True)
class Split:
    frame: pd.DataFrame
    seed: int = 0
    made: dt.date = field(default=dt.date(2013, 1, 1), init=False)


@dataclass
class Checked:
    low: int
    high: int

    def __post_init__(self) -> None:
        self.span = self.high - self.low


class Settings(msgspec.Struct):
    rate: float
    names: tuple[str, ...] = ()


class Pair(NamedTuple):
    left: Any
    right: Any


zones = st.sampled_from([None, dt.UTC, dt.timezone(dt.timedelta(hours=-5, minutes=-30)), ZoneInfo("Europe/Berlin")])
scalars = (
    st.datetimes(timezones=zones, allow_imaginary=False)
    | st.dates()
    | st.times()
    | st.timedeltas()
    | st.decimals(allow_nan=False)
    | st.fractions()
    | st.uuids()
    | st.complex_numbers(allow_nan=False)
    | st.sampled_from([Colour.RED, Level.HIGH])
    | st.binary(max_size=9)
)


@quick
@given(value=scalars)
def test_small_values_come_back_as_they_went(value: Any, tmp_path: Path) -> None:
    found = back([value, {"inside": (value,)}], tmp_path)
    assert found == [value, {"inside": (value,)}]
    assert type(found[0]) is type(value)
    assert getattr(found[0], "fold", 0) == getattr(value, "fold", 0)
    assert str(getattr(found[0], "tzinfo", "")) == str(getattr(value, "tzinfo", ""))


def test_objects_of_fields_come_back(tmp_path: Path) -> None:
    split = Split(pd.DataFrame({"a": range(3000)}), 7)
    found = back(split, tmp_path)
    assert (type(found), found.seed, found.made) == (Split, 7, split.made)
    pd.testing.assert_frame_equal(found.frame, split.frame)
    assert back(Settings(0.5, ("a",)), tmp_path) == Settings(0.5, ("a",))
    checked = back(Checked(1, 3), tmp_path)
    assert (checked, checked.span) == (Checked(1, 3), 2)
    assert back(Place.HERE, tmp_path) is Place.HERE
    pair = back(Pair(1, [dt.date(2013, 1, 1)]), tmp_path)
    assert pair == Pair(1, [dt.date(2013, 1, 1)])
    assert type(pair) is Pair


def test_an_object_can_be_taken_apart_by_its_fields(tmp_path: Path) -> None:
    tree, _ = written(Settings(0.5), tmp_path)
    assert isinstance(tree, Many)
    assert (tree.form, tree.names) == ("dict", ("rate", "names"))
    assert of_tree(tree) != of_tree(written({"rate": 0.5, "names": ()}, tmp_path)[0])


PANDAS = [
    pd.DataFrame({"a": [1, 2], "b": ["x", None], "c": [1.5, np.nan], "d": pd.Categorical(["u", "v"], ["v", "u", "w"])}),
    pd.DataFrame(
        {"i": pd.array([1, None], "Int64"), "s": pd.array(["x", None], "string"), "b": pd.array([True, None])}
    ),
    pd.DataFrame({"o": pd.Series([1, None, 2**40], dtype=object), "p": pd.Series(["x", None, "y"], dtype=object)}),
    pd.DataFrame(
        {
            "t": pd.Series([dt.datetime.fromisoformat("2013-01-01"), None], dtype=object),
            "d": [dt.date(2013, 1, 1), None],
        }
    ),
    pd.DataFrame({"m": [decimal.Decimal("1.50"), None], "y": pd.Series([b"x", b""], dtype=object)}),
    pd.DataFrame({"z": pd.to_datetime(["2013-07-01 12:00"], utc=True).tz_convert("America/New_York")}),
    pd.DataFrame({"p": pd.period_range("2013-01", periods=2, freq="M"), "v": pd.interval_range(0, 2)}),
    pd.DataFrame({"w": pd.to_timedelta([1, 2], unit="s"), "h": np.array([1, 2], "f2"), "u": np.array([1, 2], "u1")}),
    pd.DataFrame({"r": pd.array([1, None], "int64[pyarrow]")}, index=pd.Index(["k", "l"], name="key")),
    pd.DataFrame({"a": [1, 2]}, index=pd.MultiIndex.from_tuples([("x", 1), ("y", 2)], names=["one", None])),
    pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", "b"), ("a", "c")])),
    pd.DataFrame({0: [1], 1: [2]}),
    pd.DataFrame({"a": pd.Series([], dtype="int64")}),
    pd.DataFrame(index=range(3, 9, 2)),
    pd.DataFrame({"a": range(4)}).iloc[::-1].iloc[1:],
]


@pytest.mark.parametrize("frame", PANDAS, ids=lambda frame: "-".join(map(str, frame.dtypes)) or "empty")
def test_pandas_frames_come_back_with_types_index_and_names(frame: pd.DataFrame, tmp_path: Path) -> None:
    frame.attrs["unit"] = "minutes"
    found = back(frame, tmp_path)
    pd.testing.assert_frame_equal(found, frame, check_freq=False)
    assert found.attrs == frame.attrs
    assert of_tree(written(found, tmp_path)[0]) == of_tree(written(frame, tmp_path)[0])
    for name in frame.columns:
        series = back(frame[name], tmp_path)
        pd.testing.assert_series_equal(series, frame[name], check_freq=False)


def test_a_frame_is_one_to_write_into(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": np.arange(5000.0), "b": ["x"] * 5000})
    found = back(frame, tmp_path)
    found.loc[0, "a"] = 7.0
    found["a"] += 1
    pd.testing.assert_frame_equal(back(frame, tmp_path), frame)
    array = back(np.arange(500_000), tmp_path)
    array[0] = 7
    assert back(np.arange(500_000), tmp_path)[0] == 0


COLUMNS = [
    pd.Series([1, 2], name="x"),
    pd.Series([1.5, 2]),
    pd.Series(["x"] * 2000, name=""),
    pl.Series("x", [1, None]),
    pa.array([1, None]),
    pa.chunked_array([[1], [2]]),
    pa.record_batch({"a": [1, 2]}),
    pa.table({"a": range(3000)}),
    pl.DataFrame({"a": [1, None], "b": [["x"], []], "c": [{"p": 1}, None]}),
    pl.DataFrame({"e": pl.Series(["x", "y"], dtype=pl.Enum(["y", "x"])), "t": pl.Series([1, 2]).cast(pl.Time)}),
    pl.DataFrame(
        {"d": pl.Series(["1.5", "2"]).cast(pl.Decimal(10, 2)), "c": pl.Series(["x", "y"], dtype=pl.Categorical)}
    ),
    pl.DataFrame({"a": pl.Series([], dtype=pl.Int8)}),
    pd.Timestamp("2013-01-01 12:00", tz="Europe/Berlin"),
    pd.Timedelta("1h"),
    pd.Period("2013-01", "M"),
    pd.Interval(0, 1),
]


@pytest.mark.parametrize("value", COLUMNS, ids=lambda value: type(value).__name__)
def test_columns_frames_and_pandas_scalars_come_back(value: Any, tmp_path: Path) -> None:
    found = back(value, tmp_path)
    assert type(found) is type(value)
    same = found.equals(value) if hasattr(value, "equals") else found == value
    assert same
    assert getattr(found, "name", None) == getattr(value, "name", None)
    assert getattr(found, "dtype", None) == getattr(value, "dtype", None)
    assert getattr(found, "schema", None) == getattr(value, "schema", None)


def test_a_lazy_frame_is_collected_and_comes_back_lazy(tmp_path: Path) -> None:
    found = back(pl.LazyFrame({"a": [1]}), tmp_path)
    assert isinstance(found, pl.LazyFrame)
    assert found.collect().equals(pl.DataFrame({"a": [1]}))
    assert isinstance(back(pl.LazyFrame({"a": [1]}), tmp_path, pd.DataFrame), pd.DataFrame)
    assert back(pd.NaT, tmp_path) is pd.NaT


def ascii_names(kind: np.dtype) -> bool:
    return str(np.lib.format.dtype_to_descr(kind)).isascii()


arrays = hnp.arrays(
    hnp.scalar_dtypes()
    | hnp.array_dtypes(hnp.integer_dtypes(), allow_subarrays=True, max_size=3).filter(ascii_names)
    | hnp.unicode_string_dtypes(max_len=5)
    | hnp.datetime64_dtypes(),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5),
)


@quick
@given(array=arrays)
def test_arrays_come_back_and_layout_does_not_count(array: np.ndarray, tmp_path: Path) -> None:
    found = back(array, tmp_path)
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(found, array)
    turned = np.array(array, order="F")
    spread = np.zeros((*array.shape, 2), array.dtype)
    spread[..., 0] = array
    digests = {of_tree(written(one, tmp_path)[0]) for one in (array, turned, np.asarray(spread[..., 0]))}
    assert len(digests) == 1


def test_what_lies_between_the_fields_of_a_row_does_not_count(tmp_path: Path) -> None:
    kind = np.dtype([("a", "i1"), ("b", "f8"), ("c", [("d", "i1"), ("e", "i4")])], align=True)
    one = np.frombuffer(bytes(range(kind.itemsize)) * 3, kind)
    two = np.zeros(3, kind)
    two["a"], two["b"], two["c"]["d"], two["c"]["e"] = one["a"], one["b"], one["c"]["d"], one["c"]["e"]
    assert one.tobytes() != two.tobytes()
    assert of_tree(written(one, tmp_path)[0]) == of_tree(written(two, tmp_path)[0])
    assert back(one, tmp_path).dtype == kind


@pytest.mark.parametrize(
    "value", [np.datetime64("2013-01-01", "ns"), np.timedelta64(3, "D"), np.complex64(1j), np.longdouble(1) / 3]
)
def test_numpy_scalars_without_a_plain_form_stay_what_they_are(value: Any, tmp_path: Path) -> None:
    found = back(value, tmp_path)
    assert (type(found), found.dtype) == (type(value), value.dtype)
    assert found == value


def test_long_json_lives_in_a_file(tmp_path: Path) -> None:
    tree, files = written(list(range(9000)), tmp_path)
    assert isinstance(tree, Leaf)
    assert tree.content is None
    assert tree.size > INLINE
    assert list(files) == [tree.digest]
    assert back(list(range(9000)), tmp_path) == list(range(9000))


def test_the_order_of_a_dict_stays_and_counts(tmp_path: Path) -> None:
    one, two = {"a": 1, "b": 2}, {"b": 2, "a": 1}
    assert list(back(two, tmp_path)) == ["b", "a"]
    assert of_tree(written(one, tmp_path)[0]) != of_tree(written(two, tmp_path)[0])


def test_a_folder_comes_back_with_all_that_is_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "plots"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "empty").mkdir()
    (folder / "b.txt").write_bytes(b"x" * 9000)
    (folder / "deep" / "er" / "a.txt").write_text("")
    (folder / "link.txt").symlink_to("b.txt")
    found = back({"plots": folder}, tmp_path)["plots"]
    assert found.name == "plots"
    assert sorted(path.relative_to(found).as_posix() for path in found.rglob("*")) == [
        "b.txt", "deep", "deep/er", "deep/er/a.txt", "empty", "link.txt",
    ]  # fmt: skip
    assert (found / "link.txt").read_bytes() == b"x" * 9000
    first = of_tree(written(folder, tmp_path / "one")[0])
    os.utime(folder / "b.txt", (1, 1))
    assert of_tree(written(folder, tmp_path / "two")[0]) == first
    folder.rename(tmp_path / "other")
    assert of_tree(written(tmp_path / "other", tmp_path / "three")[0]) != first
    (tmp_path / "other" / "lost").symlink_to("nowhere")
    with pytest.raises(Invalid, match="lost"):
        written(tmp_path / "other", tmp_path / "four")


def test_a_files_name_counts(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("same")
    one, two = (written(tmp_path / name, tmp_path / "w")[0] for name in ("a.csv", "b.csv"))
    assert of_tree(one) != of_tree(two)
    assert back(tmp_path / "b.csv", tmp_path).read_text() == "same"


def looped() -> list[Any]:
    inside: list[Any] = []
    inside.append(inside)
    return inside


def local() -> Any:
    @dataclass
    class Inside:
        a: int

    return Inside(1)


REFUSED = {
    "set": ({1, 2}, "sorted"),
    "frozenset": (frozenset([1]), "sorted"),
    "derived dict": (OrderedDict(a=dt.date(2013, 1, 1)), "plain dict"),
    "masked array": (np.ma.masked_array([1, 2], [True, False]), "filled"),
    "object array": (np.array([object()]), "Python objects"),
    "mixed column": (pd.DataFrame({"a": [1, "x"]}), "plain type"),
    "column of dicts": (pd.DataFrame({"a": [{"b": 1}]}), "a column"),
    "mixed names": (pd.DataFrame({1: [1], "a": [2]}), "texts"),
    "doubled names": (pd.DataFrame([[1, 2]], columns=["a", "a"]), "name of its own"),
    "sparse": (pd.DataFrame({"a": pd.arrays.SparseArray([0, 0, 1])}), "plain type"),
    "polars objects": (pl.DataFrame({"a": [object()]}), "type that Polars knows"),
    "loop": (looped(), "flat"),
    "local class": (local(), "top of a module"),
    "anything": (object(), "@loopline.materializer(object)"),
    "function": (open, "@loopline.materializer"),
    "pathless": (Path("/nowhere/at/all"), "file or folder"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_not_come_back_is_refused_with_the_way_out(name: str, tmp_path: Path) -> None:
    value, hint = REFUSED[name]
    with pytest.raises(Invalid) as refused:
        written(value, tmp_path)
    assert hint in refused.value.hint
    assert refused.value.message.endswith(".")


def test_a_table_that_is_handed_on_is_not_written_again(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": range(5000), "b": [None, "x"] * 2500})
    tree, files = written(frame, tmp_path)
    again = Writer(tmp_path / "again", {}, files)
    same = again.tree(Reader(tmp_path, files, {}).value(tree))
    assert same == tree
    assert again.files == {}
    assert not (tmp_path / "again").exists()
    other = again.tree(frame.assign(a=frame["a"] + 1))
    assert isinstance(other, Leaf)
    assert list(again.files) == [other.digest]
    assert not isinstance(tree, Leaf) or other.digest != tree.digest


@pytest.mark.parametrize("fields", [[("é", "i1")], [(("Ā", "a"), "i1")], [("a", [("Ā", "i1")])]])
def test_fields_whose_names_or_titles_no_file_can_hold_are_refused(fields: list[Any], tmp_path: Path) -> None:
    with pytest.raises(Invalid) as caught:
        written(np.zeros(2, np.dtype(fields)), tmp_path)
    assert "plain letters" in caught.value.hint
