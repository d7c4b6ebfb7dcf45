"""Profiles as they are kept: two forms, earlier formats, and buckets of time that roll up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopline.core.errors import Invalid
from loopline.core.tables import Column, Signature
from loopline.usecases.monitoring.model import cells, numbers, sketching
from loopline.usecases.monitoring.model.drift import quantiles
from loopline.usecases.monitoring.model.profile import FORMAT, NumericColumn, Profile, decode, encode, encode_small
from loopline.usecases.monitoring.model.reporting import report
from loopline.usecases.monitoring.model.rolling import rolled

pytestmark = pytest.mark.unit
FORMAT_1 = Path(__file__).with_name("format-1.json").read_bytes()
SIGNATURE = Signature(
    inputs=(Column("wind", "float", True), Column("pressure", "float"), Column("carrier", "string")),
    output=Column("late", "float"),
)
MINUTE = 60_000
APRIL = 1_364_774_400_000


def rows(count: int, seed: int) -> pa.Table:
    rng = np.random.default_rng(seed)
    wind = np.where(rng.random(count) < 0.02, np.nan, np.round(rng.gamma(4, 3, count), 1))
    carriers = np.array(["AA", "B6", "UA"])[rng.integers(0, 3, count)]
    return pa.table({"wind": wind, "pressure": 1013 + rng.normal(0, 7, count), "carrier": carriers})


def profiled(count: int = 200, seed: int = 0, like: Profile | None = None) -> Profile:
    return sketching.profile(rows(count, seed), SIGNATURE, like)


def wind(profile: Profile) -> NumericColumn:
    found = profile.column("wind")
    assert isinstance(found, NumericColumn)
    return found


def test_profiles_of_the_first_format_are_read_compared_and_added_to() -> None:
    old = decode(FORMAT_1)
    assert (old.format, old.rows, sorted(old.usual)) == (1, 700, ["day"])
    assert wind(old).mean == pytest.approx(8331.0 / 686)
    assert cells.unpacked(wind(old).cells)[1].sum() == 686
    assert quantiles(wind(old), (0.5,)) == pytest.approx([11.6], abs=0.6)
    now = profiled(300, 5, old)
    assert numbers.grid_of(wind(now)) == numbers.grid_of(wind(old))
    found = report(old, now, "day")
    assert (found.periods, found.columns[0].times_usual is not None) == (7, True)
    both = sketching.merged(old, now)
    assert (both.rows, wind(both).rows) == (1000, 1000)
    assert wind(both).total == pytest.approx(wind(old).total + wind(now).total)
    assert decode(encode(both)) == both


@pytest.mark.parametrize("written", [encode, encode_small])
def test_both_forms_give_the_profile_back(written: Any) -> None:
    made = profiled()
    assert decode(written(made)) == made
    assert decode(written(decode(FORMAT_1))) == decode(FORMAT_1)


def test_the_small_form_is_smaller() -> None:
    made = profiled(5000)
    assert len(encode_small(made)) < 0.8 * len(encode(made))


@pytest.mark.parametrize("content", [b"", b"{}", b"x\x9c", b"nonsense", encode_small(profiled())[:-9]])
def test_what_is_no_profile_is_refused(content: bytes) -> None:
    with pytest.raises(Invalid, match="cannot be read"):
        decode(content)


def test_a_format_of_the_future_is_refused_in_plain_words() -> None:
    future = msgspec.structs.replace(profiled(), format=FORMAT + 1)
    with pytest.raises(Invalid, match=f"has format {FORMAT + 1}"):
        decode(encode(future))


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 4000), min_size=1, max_size=25, unique=True), st.integers(0, 1000))
def test_minutes_roll_up_to_days_directly_or_by_hours(minutes: list[int], seed: int) -> None:
    first = profiled(50, seed)
    buckets = {APRIL + MINUTE * minute: profiled(7, minute, first) for minute in minutes}
    days = rolled(buckets, "day")
    assert days == rolled(rolled(buckets, "hour"), "day")
    assert list(days) == sorted(days)
    assert all((start - APRIL) % (1440 * MINUTE) == 0 for start in days)
    for start, found in days.items():
        inside = [minute for minute in minutes if 0 <= APRIL + MINUTE * minute - start < 1440 * MINUTE]
        whole = pa.concat_tables([rows(7, minute) for minute in inside])
        assert found == sketching.profile(whole, SIGNATURE, first)


def test_nothing_rolls_up_to_nothing_and_an_empty_bucket_to_itself() -> None:
    assert rolled({}, "day") == {}
    empty = profiled(0, 0, profiled())
    assert rolled({APRIL + MINUTE: empty}, "minute") == {APRIL + MINUTE: empty}


def test_centre_and_scale_come_from_the_first_profile_that_has_the_column() -> None:
    training = profiled(400)
    scored = rows(100, 3).append_column("prediction", pa.array(np.linspace(1000, 1040, 100)))
    first = sketching.profile(scored, SIGNATURE, training)
    second = sketching.profile(scored.slice(90), SIGNATURE, (training, first))
    assert sketching.merged(first, second).rows == 110
    share = rows(100, 3).append_column("prediction", pa.array(np.linspace(0, 1, 100)))
    assert sketching.merged(sketching.profile(share, SIGNATURE, training),
                            sketching.profile(share.slice(99), SIGNATURE, training)).rows == 101  # fmt: skip
