"""A search's points: inside their space, the same again for the same history, and better than chance."""

from __future__ import annotations

import builtins
import math
from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopline.core.errors import Invalid, Unavailable
from loopline.usecases.pipelines.model import Search
from loopline.usecases.pipelines.searching import points, summary

pytestmark = pytest.mark.unit

SPACE = {
    "rate": {"range": [1e-4, 1.0, "log"]},
    "shift": {"range": [-5.0, 5.0]},
    "depth": {"range": [1, 8]},
    "leaves": {"range": [2, 512, "log"]},
    "kind": ["a", 1, 1.0, True, None, [1, 2], {"b": 3}],
}
Told = list[tuple[dict[str, Any], float | None]]

wholes = st.integers(-1000, 1000)
floats = st.floats(-1e6, 1e6)
positive = st.floats(1e-6, 1e6)
spaces = st.dictionaries(
    st.sampled_from("abcd"),
    st.one_of(
        st.tuples(wholes, wholes).map(lambda pair: {"range": sorted(pair)}),
        st.tuples(floats, floats).map(lambda pair: {"range": sorted(pair)}),
        st.tuples(positive, positive).map(lambda pair: {"range": [*sorted(pair), "log"]}),
        st.tuples(wholes, wholes).map(lambda pair: {"range": [*sorted(abs(one) + 1 for one in pair), "log"]}),
        st.lists(st.one_of(wholes, floats, st.text(max_size=3), st.booleans(), st.none()), min_size=1, max_size=5),
    ),
    min_size=1,
)
histories = st.lists(st.one_of(st.none(), st.floats(-1e9, 1e9), st.just(math.nan), st.just(math.inf)), max_size=12)


def tried(search: Search, values: list[float | None]) -> Told:
    """The history in which the search's trials gave these values."""
    told: Told = []
    while len(told) < len(values) and (found := points(search, told)):
        told += zip(found, values[len(told) :], strict=False)
    return told


def whole(search: Search, measure: Any) -> Told:
    told: Told = []
    while found := points(search, told):
        assert len(found) <= search.width
        told += [(point, measure(point)) for point in found]
    return told


def inside(axis: Any, value: Any) -> bool:
    if isinstance(axis, list):
        return any(type(one) is type(value) and one == value for one in axis)
    low, high = axis["range"][:2]
    return type(value) is type(low) and low <= value <= high


@settings(deadline=None, max_examples=60)
@given(spaces, histories, st.sampled_from(["tpe", "random"]), st.integers(0, 2**40), st.integers(1, 5))
def test_points_lie_inside_and_come_again(
    space: dict[str, Any], values: list[float | None], sampler: str, seed: int, width: int
) -> None:
    search = Search(space=space, trials=15, sampler=sampler, seed=seed, width=width)
    told = tried(search, values)
    found = points(search, told)
    assert len(found) == min(width, 15 - len(told))
    assert points(search, told) == found
    assert all(list(point) == list(space) for point in found)
    assert all(inside(space[name], value) for point in found for name, value in point.items())


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from("abc"), st.lists(st.integers(0, 9), min_size=1, max_size=4, unique=True), min_size=1
    ),
    st.integers(1, 70),
    st.integers(1, 9),
)
def test_a_grid_tries_each_point_once(space: dict[str, Any], trials: int, width: int) -> None:
    told = whole(Search(space=space, trials=trials, sampler="grid", width=width), lambda _: 0.0)
    size = math.prod(len(values) for values in space.values())
    assert len(told) == min(trials, size)
    assert max(Counter(str(point) for point, _ in told).values()) == 1


def test_a_grid_goes_in_order_and_counts_whole_numbers() -> None:
    search = Search(space={"a": {"range": [1, 3]}, "b": ["x", "y"]}, trials=9, sampler="grid", width=4)
    told = whole(search, lambda _: 0.0)
    assert [tuple(point.values()) for point, _ in told] == [(a, b) for a in (1, 2, 3) for b in "xy"]


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_the_seed_decides(sampler: str) -> None:
    one = Search(space=SPACE, trials=8, sampler=sampler, seed=1)
    other = msgspec.structs.replace(one, seed=2)
    assert whole(one, lambda point: point["shift"]) == whole(one, lambda point: point["shift"])
    assert points(one, []) != points(other, [])
    assert len({str(point) for point in points(one, [])}) == one.width


def test_random_points_do_not_hang_on_the_width() -> None:
    one = Search(space=SPACE, trials=9, sampler="random", width=1)
    assert whole(one, lambda _: 0.0) == whole(msgspec.structs.replace(one, width=4), lambda _: 0.0)


def test_a_history_survives_being_stored() -> None:
    search = Search(space=SPACE, trials=40)
    told = tried(search, [float(n) for n in range(12)])
    stored = msgspec.json.decode(msgspec.json.encode(search), type=Search)
    assert points(stored, msgspec.json.decode(msgspec.json.encode(told), type=Told)) == points(search, told)


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_tpe_learns_where_to_look(direction: Any) -> None:
    def measure(point: dict[str, Any]) -> float | None:
        if point["kind"] is None:
            return None
        far = (point["shift"] - 1) ** 2 + abs(math.log10(point["rate"]) + 2) + (point["kind"] != "a")
        return far if direction == "minimize" else -far

    search = Search(space=SPACE, trials=60, direction=direction, seed=3)
    told = whole(search, measure)
    late = sorted(abs(value) for _, value in told[30:] if value is not None)
    early = sorted(abs(value) for _, value in told[:30] if value is not None)
    assert late[len(late) // 2] < early[len(early) // 2] / 2
    found = summary(search, told)
    assert abs(found["value"]) < 1.5
    assert found["best"] == next(point for point, value in told if value == found["value"])
    assert [(one["params"], one["value"]) for one in found["trials"]] == told


def test_failed_trials_are_never_best() -> None:
    search = Search(space={"a": [1, 2, 3]}, trials=3)
    told: Told = [({"a": 1}, None), ({"a": 2}, math.nan), ({"a": 3}, 0.0), ({"a": 1}, 0.0)]
    assert summary(search, told)["best"] == {"a": 3}
    assert summary(search, told[:2])["best"] is summary(search, told[:2])["value"] is None
    assert summary(msgspec.structs.replace(search, direction="maximize"), told)["value"] == 0.0


@pytest.mark.parametrize(
    ("space", "sampler", "words"),
    [
        ({}, "tpe", "no space"),
        ({"rate": 3}, "tpe", "'rate' cannot be '3'"),
        ({"rate": []}, "random", "'rate' cannot be"),
        ({"rate": {"range": [1]}}, "tpe", "'rate' cannot be"),
        ({"rate": {"range": [1, 2, "lg"]}}, "tpe", "'rate' cannot be"),
        ({"rate": {"range": [1, 2, "log", 4]}}, "tpe", "'rate' cannot be"),
        ({"rate": {"range": [False, True]}}, "tpe", "'rate' cannot be"),
        ({"rate": {"range": ["a", "b"]}}, "tpe", "'rate' cannot be"),
        ({"rate": {"range": [0.0, math.nan]}}, "tpe", "'rate' cannot be"),
        ({"rate": {"range": [0, 10**400]}}, "tpe", "'rate' cannot be"),
        ({"rate": {"low": 1, "high": 2}}, "tpe", "'rate' cannot be"),
        ({"rate": (2.0, 1.0)}, "tpe", "'rate' begins at 2.0 and ends at 1.0"),
        ({"rate": (0.0, 1.0, "log")}, "random", "needs more than 0"),
        ({"rate": (0.1, 1.0)}, "grid", "no steps for 'rate'"),
        ({"rate": (1, 9, "log")}, "grid", "no steps for 'rate'"),
        (dict.fromkeys("ab", (0, 2**50)), "grid", "The grid has 1e"),
        ({"rate": [1]}, "annealing", "sampler cannot be 'annealing'"),
    ],
)
def test_a_space_that_cannot_be_is_named(space: dict[str, Any], sampler: str, words: str) -> None:
    with pytest.raises(Invalid, match=words) as refused:
        points(Search(space=space, trials=5, sampler=sampler), [])
    assert refused.value.hint


def test_optuna_is_asked_for_only_by_tpe(monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("optuna"):
            raise ImportError(name)
        return imported(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    search = Search(space=SPACE, trials=5)
    assert points(msgspec.structs.replace(search, sampler="random"), [])
    with pytest.raises(Unavailable, match=r"needs Optuna.*loopline\[search\]"):
        points(search, [])
