"""How messages are read: types, names, what is missing, and how it is said."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopline.core.errors import Invalid
from loopline.usecases.tracking.wire_mlflow import limits
from loopline.usecases.tracking.wire_mlflow.messages import Field, double, int32, int64, one_of, read, text

pytestmark = pytest.mark.unit

INNER = (Field("key", text, True), Field("value", double))
MESSAGE = (
    Field("run_id", text, True, other="run_uuid"),
    Field("step", int64),
    Field("status", one_of("ON", "OFF")),
    Field("items", INNER, many=True),
    Field("order_by", text, many=True),
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)


def test_what_is_absent_or_null_is_none_or_empty_and_what_is_unknown_is_ignored() -> None:
    found = read(MESSAGE, {"run_id": "r", "step": None, "nobody_knows": [1]})
    assert found == {"run_id": "r", "step": None, "status": None, "items": [], "order_by": []}


@pytest.mark.parametrize("sent", [{}, {"run_id": None}, {"run_id": ""}, {"run_uuid": ""}])
def test_a_required_field_must_hold_something(sent: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match="Missing value for required parameter 'run_id'"):
        read(MESSAGE, sent)


@pytest.mark.parametrize("name", ["run_id", "runId", "run_uuid"])
def test_a_field_is_known_by_each_of_its_names(name: str) -> None:
    assert read(MESSAGE, {name: "r"})["run_id"] == "r"


@pytest.mark.parametrize(
    ("field", "sent", "said"),
    [
        ("run_id", 123, "Invalid value 123 for parameter 'run_id' supplied"),
        ("run_id", ["a"], "Invalid value [\"a\"] for parameter 'run_id' supplied"),
        ("run_id", "\ud800", "for parameter 'run_id' supplied"),
        ("run_id", "a\0b", "for parameter 'run_id' supplied"),
        ("step", True, "Invalid value true for parameter 'step' supplied"),
        ("step", 2**63, "for parameter 'step' supplied"),
        ("step", 10**400, "for parameter 'step' supplied"),
        ("step", "1.5", "for parameter 'step' supplied"),
        ("step", 1.5, "for parameter 'step' supplied"),
        ("status", "HALF", "Invalid value \"HALF\" for parameter 'status' supplied"),
        ("status", 3, "for parameter 'status' supplied"),
        ("items", {}, "Invalid value {} for parameter 'items' supplied"),
        ("items", [None], "Invalid value null for parameter 'items[0]' supplied"),
        ("items", [{"key": "a"}, {"value": 1}], "Missing value for required parameter 'items[1].key'"),
        ("items", [{"key": "a", "value": "x"}], "Invalid value \"x\" for parameter 'items[0].value' supplied"),
        ("order_by", "a", "Invalid value \"a\" for parameter 'order_by' supplied"),
        ("order_by", ["a", 1], "Invalid value 1 for parameter 'order_by[1]' supplied"),
    ],
)
def test_a_wrong_value_is_named_with_its_place(field: str, sent: Any, said: str) -> None:
    with pytest.raises(Invalid) as caught:
        read(MESSAGE, {"run_id": "r", field: sent})
    assert said in caught.value.message


def test_a_query_holds_texts_and_repeats_what_is_a_list() -> None:
    found = read(MESSAGE, {"run_id": ["a", "b"], "step": "-7", "order_by": "x"}, query=True)
    assert (found["run_id"], found["step"], found["order_by"]) == ("a", -7, ["x"])


def test_numbers_come_as_numbers_or_texts() -> None:
    assert [int64(one) for one in (5, "5", 5.0, "-9223372036854775808")] == [5, 5, 5, -(2**63)]
    assert [double(one) for one in (5, "2.5", "1e3", "Infinity")] == [5.0, 2.5, 1000.0, math.inf]
    assert math.isnan(double("NaN"))
    bad: list[Any] = ["nan", "inf", "1_0", " 1", "", True, None, [], 10**400]
    for wrong in bad:
        with pytest.raises(ValueError, match=r"\A\Z"):
            double(wrong)
    with pytest.raises(ValueError, match=r"\A\Z"):
        int32(2**31)


def test_a_long_value_is_shown_by_its_beginning() -> None:
    with pytest.raises(Invalid) as caught:
        read(MESSAGE, {"run_id": list(range(10_000))})
    assert len(caught.value.message) < 300


@given(st.dictionaries(st.sampled_from(["run_id", "step", "status", "items", "order_by", "runId"]), ANYTHING))
def test_whatever_is_sent_is_read_or_refused(sent: dict[str, Any]) -> None:
    for query in (False, True):
        with contextlib.suppress(Invalid):
            assert read(MESSAGE, sent, query)["run_id"]


@pytest.mark.parametrize("key", ["a", "a/b", "a b", "ü-ö.x", "a:b", "x" * 250, ".a", "a..b"])
def test_keys_that_may_be_given(key: str) -> None:
    assert limits.checked_key("key", key) == key


@pytest.mark.parametrize("key", ["", ".", "..", "../a", "/a", "a//b", "a/", "./a", "a/../b", "a,b", "a\n", "x" * 251])
def test_keys_that_may_not_be_given(key: str) -> None:
    with pytest.raises(Invalid):
        limits.checked_key("key", key)
