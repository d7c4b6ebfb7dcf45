"""What a model's process makes of a model: predictions, single bad rows, and whether it is fit at all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from loopline.core.tables import Column, Signature
from loopline.shells.dataplane.forking import environment
from loopline.shells.dataplane.model_process import warm
from loopline.shells.dataplane.models import Model
from loopline.usecases.serving.records.columns import kind_of, pack

pytestmark = pytest.mark.unit

NUMBERS = Signature((Column("x", "float", True), Column("n", "integer")), Column("y", "float"))
TEXTS = Signature((Column("c", "string"), Column("n", "integer")), Column("y", "string"))


class Loaded:
    def __init__(self, predict: Any) -> None:
        self.predict = predict


def packed(x: list[Any], n: list[int]) -> list[Any]:
    return [pack("d", x), pack("q", n)]


def test_columns_arrive_with_their_types() -> None:
    seen: dict[str, Any] = {}

    def predict(columns: Any) -> Any:
        seen.update(columns)
        return columns["n"] * 2

    found, faults = Model(Loaded(predict), NUMBERS).predict(packed([1.5, None], [3, 4]))
    assert np.frombuffer(found).tolist() == [6.0, 8.0]
    assert faults == []
    assert (seen["x"].dtype, seen["n"].dtype) == (np.float64, np.int64)
    assert np.isnan(seen["x"][1])


@pytest.mark.parametrize("other", ["float", "integer", "boolean", "string"])
def test_a_column_keeps_its_type_beside_floats(other: Any) -> None:
    values = {"float": [2.5], "integer": [7], "boolean": [True], "string": ["UA"]}[other]
    signature = Signature((Column("x", "float"), Column("o", other), Column("z", "float")), Column("y", "float"))
    seen: dict[str, Any] = {}

    def predict(columns: Any) -> Any:
        seen.update(columns)
        return columns["x"]

    columns = [pack("d", [1.5]), pack(kind_of(signature.inputs[1]), values), pack("d", [3.5])]
    found, faults = Model(Loaded(predict), signature).predict(columns)
    assert (np.frombuffer(found).tolist(), faults) == ([1.5], [])
    assert (seen["x"].tolist(), seen["o"].tolist(), seen["z"].tolist()) == ([1.5], values, [3.5])


def test_bad_rows_are_found_one_by_one() -> None:
    calls = []

    def predict(columns: Any) -> Any:
        calls.append(len(columns["n"]))
        if (columns["n"] < 0).any():
            raise ValueError("negative")
        return columns["n"].astype(float)

    found, faults = Model(Loaded(predict), NUMBERS).predict(packed([0.0] * 8, [1, 2, -3, 4, 5, 6, 7, -8]))
    assert faults == [(2, "ValueError: negative"), (7, "ValueError: negative")]
    assert np.frombuffer(found).tolist() == [1, 2, 0, 4, 5, 6, 7, 0]
    assert len(calls) < 16


@pytest.mark.parametrize(
    ("answer", "reason"),
    [([1.0, 2.0], "answered 2 values for 1 rows"), ([float("nan")], "not a finite"), (["a"], "could not convert")],
)
def test_answers_that_cannot_be(answer: Any, reason: str) -> None:
    _, faults = Model(Loaded(lambda columns: answer), NUMBERS).predict(packed([0.0], [1]))
    assert reason in faults[0][1]


def test_text_answers() -> None:
    model = Model(Loaded(lambda columns: np.array(["late", "on time"], dtype=object)), TEXTS)
    assert model.predict([["a", "b"], pack("q", [1, 2])]) == (["late", "on time"], [])


@pytest.mark.parametrize(
    ("answer", "reason"),
    [(["a"], "answered 1 values for 2 rows"), (["a"] * 3, "answered 2 values for 1 rows"), (["\ud800", "b"], "UTF-8")],
)
def test_texts_that_cannot_be(answer: list[str], reason: str) -> None:
    """Fewer than rows would shift the answers of other requests in the batch."""

    def predict(columns: Any) -> Any:
        return answer if len(columns["n"]) == 2 else answer[: max(1, len(answer) - 1)]

    _, faults = Model(Loaded(predict), TEXTS).predict([["a", "b"], pack("q", [1, 2])])
    if len(answer) == 1:
        assert faults == []  # row by row it answers
    else:
        assert reason in faults[0][1]


@pytest.mark.parametrize("answer", [([1.0], 0.0), ([[1.0, 2.0]], 0.0), ([[1.0], [2.0]], 0.0), (1, 2, 3), ([["a"]], 0.0),
                                    ([[1.0, 2.0]] * 2, [1.0, 2.0, 3.0])])  # fmt: skip
def test_explanations_that_cannot_be_are_left_out(answer: Any) -> None:
    loaded = Loaded(lambda columns: columns["n"])
    loaded.explain = lambda columns: answer  # type: ignore[attr-defined]
    assert Model(loaded, NUMBERS).explain(packed([0.0, 1.0], [1, 2])) is None
    loaded.explain = lambda columns: ([[1.0, 2.0]] * 2, 0.5)  # type: ignore[attr-defined]
    base, columns = Model(loaded, NUMBERS).explain(packed([0.0, 1.0], [1, 2])) or (b"", [])
    assert np.frombuffer(base).tolist() == [0.5, 0.5]
    assert [np.frombuffer(column).tolist() for column in columns] == [[1.0, 1.0], [2.0, 2.0]]


def test_a_models_process_sees_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOPLINE_TOKEN", "loop_secret")
    assert "loop_secret" not in environment(1).values()


def fails_on_unknown(columns: Any) -> Any:
    if any(value not in ("UA", "AA") for value in columns["c"]):
        raise ValueError("unknown category")
    return columns["c"]


def test_a_made_up_text_says_nothing_about_a_model() -> None:
    assert warm(Model(Loaded(fails_on_unknown), TEXTS), TEXTS, None) is None
    good = pa.table({"c": ["UA", "AA"], "n": [1, 2], "label": [0, 1]})
    assert warm(Model(Loaded(fails_on_unknown), TEXTS), TEXTS, good) is None
    unknown = pa.table({"c": ["UA", "ZZ"], "n": [1, 2]})
    assert "row 1" in str(warm(Model(Loaded(fails_on_unknown), TEXTS), TEXTS, unknown))


def test_held_out_rows_that_do_not_fit_are_not_used() -> None:
    model = Model(Loaded(lambda columns: columns["n"].astype(float)), NUMBERS)
    assert warm(model, NUMBERS, pa.table({"x": [1.0], "n": pa.array([None], pa.int64())})) is None
    assert warm(model, NUMBERS, pa.table({"other": [1.0]})) is None


def test_a_model_that_fails_on_numbers_is_unfit() -> None:
    def broken(columns: Any) -> Any:
        raise RuntimeError("no weights")

    assert "RuntimeError: no weights" in str(warm(Model(Loaded(broken), NUMBERS), NUMBERS, None))
