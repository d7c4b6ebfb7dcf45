"""Who gets which arm: shares hold, values stick, and a change of shares moves as few as can be."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopline.core.errors import Invalid
from loopline.core.tables import Column, Signature
from loopline.usecases.serving.splitting import PLACES, checked_by, checked_name, laid, misfit, placed
from loopline.usecases.serving.traffic import Arm

pytestmark = pytest.mark.unit
weights = st.lists(st.floats(0.0, 1.0), min_size=4, max_size=4).filter(lambda each: sum(each) > 0.1)


def arms(number: int = 3) -> tuple[Arm, ...]:
    return tuple(Arm(name="abc"[place], revision=place + 2, share=0.0) for place in range(number))


def shares(given: list[float]) -> dict[str, float]:
    return {name: weight / sum(given) for name, weight in zip("abc", given[:3], strict=True)}


def owners(found: tuple[Arm, ...]) -> list[tuple[int, int, str]]:
    return sorted((start, end, arm.name) for arm in found for start, end in arm.spans)


def overlap(first: tuple[Arm, ...], second: tuple[Arm, ...], name: str) -> int:
    mine = [span for arm in first if arm.name == name for span in arm.spans]
    theirs = [span for arm in second if arm.name == name for span in arm.spans]
    return sum(max(0, min(a, b) - max(c, d)) for c, a in mine for d, b in theirs)


@given(st.lists(weights, min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_arms_have_their_shares_and_do_not_overlap(changes: list[list[float]]) -> None:
    found = arms()
    for given_weights in changes:
        wished = shares(given_weights)
        found = laid(found, wished)
        for arm in found:
            assert sum(end - start for start, end in arm.spans) == pytest.approx(wished[arm.name] * PLACES, abs=2)
        spans = owners(found)
        assert all(left[1] <= right[0] for left, right in pairwise(spans))
        assert all(0 <= start < end <= PLACES for start, end, _ in spans)


@given(weights, weights)
@settings(max_examples=60, deadline=None)
def test_no_more_places_change_hands_than_must(before: list[float], after: list[float]) -> None:
    old = laid(arms(), shares(before))
    new = laid(old, shares(after))
    for arm, other in zip(old, new, strict=True):
        kept = min(sum(end - start for start, end in arm.spans), sum(end - start for start, end in other.spans))
        assert overlap(old, new, arm.name) >= kept - 2  # each arm keeps all that it may keep


def test_values_are_spread_evenly_and_stick() -> None:
    places = [placed(f"customer {number}".encode(), "salt") for number in range(20_000)]
    assert places == [placed(f"customer {number}".encode(), "salt") for number in range(20_000)]
    tenths = [sum(place // (PLACES // 10) == tenth for place in places) for tenth in range(10)]
    assert max(abs(count - 2000) for count in tenths) < 200  # 4.7 standard deviations
    other = [placed(f"customer {number}".encode(), "another") for number in range(20_000)]
    both = sum(mine < PLACES // 2 and theirs < PLACES // 2 for mine, theirs in zip(places, other, strict=True))
    assert abs(both - 5000) < 300  # one split says nothing about another


def test_refusals() -> None:
    with pytest.raises(Invalid, match="add up to"):
        laid(arms(2), {"a": 0.7, "b": 0.5})
    with pytest.raises(Invalid, match="by 'cookie'"):
        checked_by("cookie", None)
    with pytest.raises(Invalid, match="has none"):
        checked_by("key", None)
    assert checked_by("header:X-User", None) == "header:x-user"
    for name in ("live", "shadow", "", "a b", "x" * 65):
        with pytest.raises(Invalid, match="name of an arm"):
            checked_name(name)


def test_what_can_stand_beside() -> None:
    def made(*columns: Column) -> Signature:
        return Signature(columns, Column("late", "float"))

    hour, delay = Column("hour", "float"), Column("delay", "float", True)
    assert misfit(made(hour, delay), made(delay)) == ""
    assert "does not take" in misfit(made(hour), made(hour, delay))
    assert "is integer" in misfit(made(hour), made(Column("hour", "integer")))
    assert "may not be null" in misfit(made(delay), made(Column("delay", "float")))
