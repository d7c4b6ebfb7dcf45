"""All differences between data and a type come at once, each with its path and a way out."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopline.kit.shapes import differences

pytestmark = pytest.mark.unit

Name = Annotated[str, msgspec.Meta(pattern="^[a-z]+$")]


class Limit(msgspec.Struct):
    metric: Literal["auc", "brier"]
    low: Annotated[float, msgspec.Meta(ge=0, lt=1)] | None = None


class Thing(msgspec.Struct):
    name: Name
    limits: list[str | Limit] = []
    shares: dict[Name, float] = {}
    flag: bool = False
    anything: Any = None


def said(data: Any) -> list[tuple[tuple[str | int, ...], str]]:
    return [(each.path, each.message) for each in differences(data, Thing)]


def test_right_data_has_no_difference() -> None:
    assert said({"name": "a", "limits": ["x", {"metric": "auc", "low": 0}], "shares": {"b": 1}, "anything": [1]}) == []


@pytest.mark.parametrize(
    ("data", "path", "words"),
    [
        ([], (), "expected a mapping, found a list"),
        ({}, (), "'name' is missing"),
        ({"name": "a", "limit": []}, ("limit",), "did you mean 'limits'?"),
        ({"name": "a", "zzz": 1}, ("zzz",), "known are anything, flag, limits, name, shares"),
        ({"name": 3}, ("name",), "expected text, found 3"),
        ({"name": "A"}, ("name",), "not written as it must be"),
        ({"name": "a", "flag": 1}, ("flag",), "expected true or false"),
        ({"name": "a", "limits": {}}, ("limits",), "expected a list, found a mapping"),
        ({"name": "a", "limits": [3]}, ("limits", 0), "expected text or a mapping, found 3"),
        ({"name": "a", "limits": [{"metric": "au"}]}, ("limits", 0, "metric"), "did you mean auc?"),
        ({"name": "a", "limits": [{"metric": True}]}, ("limits", 0, "metric"), "expected auc or brier"),
        ({"name": "a", "limits": [{"metric": "auc", "low": 1}]}, ("limits", 0, "low"), "must be below 1, found 1"),
        ({"name": "a", "shares": {"b": True}}, ("shares", "b"), "expected a number, found true"),
        ({"name": "a", "shares": {"B": 1}}, ("shares", "B"), "not written as it must be"),
        ({"name": None}, ("name",), "expected text, found nothing"),
    ],
)
def test_a_difference_names_its_path(data: Any, path: tuple[str | int, ...], words: str) -> None:
    ((found, message),) = said(data)
    assert found == path
    assert words in message


def test_all_come_at_once() -> None:
    assert len(said({"nam": "a", "limits": [1, {}], "flag": "x", "shares": 2})) == 6


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.floats(0, 1) | st.sampled_from(["a", "auc", "B"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(
        st.sampled_from(["name", "limits", "shares", "flag", "metric", "low", "a"]), inner, max_size=3
    ),
    max_leaves=8,
)  # fmt: skip


@given(PLAIN)
def test_no_difference_means_that_msgspec_takes_it(data: Any) -> None:
    if not differences(data, Thing):
        msgspec.convert(data, Thing)
    else:
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(data, _Strict)


class _Strict(Thing, forbid_unknown_fields=True):
    limits: list[str | _StrictLimit] = []


class _StrictLimit(Limit, forbid_unknown_fields=True):
    pass
