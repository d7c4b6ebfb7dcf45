"""When a schedule comes: once at each hour it names, by UTC when it comes every hour, caught up as asked."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import islice, pairwise, takewhile
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopline.core.errors import Invalid
from loopline.usecases.automation import schedules
from loopline.usecases.automation.model import Policy

pytestmark = pytest.mark.unit

CHANGES = {  # the days on which the clocks of a zone change, and the hour that is left out or comes twice
    "Europe/Paris": [(date(2026, 3, 29), 2), (date(2026, 10, 25), 2)],
    "America/New_York": [(date(2026, 3, 8), 2), (date(2026, 11, 1), 1)],
}
DAYS = [(zone, day, hour) for zone, days in CHANGES.items() for day, hour in days]


def policy(cron: str, zone: str = "UTC", **more: Any) -> Policy:
    return Policy(project="p", name="n", on="schedule", when={"cron": cron, "timezone": zone}, **more)


def on_day(cron: str, zone: str, day: date) -> list[datetime]:
    """The occasions of a local day."""
    place = ZoneInfo(zone)
    start = datetime(day.year, day.month, day.day, tzinfo=place)
    end = datetime.combine(day + timedelta(days=1), start.timetz())
    return list(takewhile(lambda one: one < end, schedules.occasions(policy(cron, zone), start - timedelta(seconds=1))))


@pytest.mark.parametrize(("zone", "day", "hour"), DAYS)
@pytest.mark.parametrize("minute", [0, 15, 30, 59])
def test_in_the_hour_left_out_and_in_the_hour_that_comes_twice_a_schedule_comes_once(
    zone: str, day: date, hour: int, minute: int
) -> None:
    (found,) = on_day(f"{minute} {hour} * * *", zone, day)
    local = found.astimezone(ZoneInfo(zone))
    if day.month < 6:  # left out: it comes at the moment after
        assert (local.hour, local.minute) == (hour + 1, 0)
    else:
        assert (local.hour, local.minute, local.fold) == (hour, minute, 0)


@pytest.mark.parametrize(("zone", "day", "hour"), DAYS)
def test_every_hour_follows_utc(zone: str, day: date, hour: int) -> None:
    for cron in ("15 * * * *", "15 0-23 * * *", "15 */1 * * *"):
        found = on_day(cron, zone, day)
        assert len(found) == (23 if day.month < 6 else 25)
        assert {later - one for one, later in pairwise(found)} == {timedelta(hours=1)}


@pytest.mark.parametrize(("zone", "day", "hour"), DAYS)
def test_minutes_with_a_star_do_not_change_that(zone: str, day: date, hour: int) -> None:
    found = on_day(f"*/20 {hour} * * *", zone, day)
    assert len(found) == (1 if day.month < 6 else 3)
    assert all(one.astimezone(ZoneInfo(zone)).fold == 0 for one in found)
    assert len(on_day("30 */2 * * *", zone, day)) == 12


@given(
    zone=st.sampled_from([*CHANGES, "Australia/Lord_Howe", "America/Sao_Paulo", "UTC"]),
    minute=st.integers(0, 59),
    hours=st.sets(st.integers(0, 23), min_size=1, max_size=4),
    start=st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
)
@settings(max_examples=60, deadline=None)
def test_where_one_begins_to_count_makes_no_difference(
    zone: str, minute: int, hours: set[int], start: datetime
) -> None:
    one = policy(f"{minute} {','.join(map(str, sorted(hours)))} * * *", zone)
    whole = list(islice(schedules.occasions(one, start), 12))
    assert whole == sorted(set(whole))
    assert whole[0] > start
    stepped, moment = [], start
    while len(stepped) < 12:
        moment = schedules.due(one, moment)
        stepped.append(moment)
    assert stepped == whole
    between = whole[3] + (whole[4] - whole[3]) / 2
    assert schedules.due(one, between) == whole[4]


@given(
    zone=st.sampled_from(list(CHANGES)),
    hour=st.integers(0, 23),
    minute=st.integers(0, 59),
    day=st.dates(date(2026, 1, 2), date(2026, 12, 30)),
)
@settings(max_examples=80, deadline=None)
def test_a_daily_schedule_comes_once_every_local_day(zone: str, hour: int, minute: int, day: date) -> None:
    assert len(on_day(f"{minute} {hour} * * *", zone, day)) == 1


NIGHTLY = "0 6 * * *"
START = datetime(2026, 1, 1, tzinfo=UTC)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("catch_up", "now", "fires", "missed"),
    [
        ("one", "2026-01-01T05:59:59Z", 0, 0),
        ("one", "2026-01-01T06:00:00Z", 1, 0),
        ("one", "2026-01-05T12:00:00Z", 1, 4),
        ("all", "2026-01-05T12:00:00Z", 5, 0),
        ("all", "2026-12-31T12:00:00Z", 100, 265),
        ("skip", "2026-01-05T12:00:00Z", 0, 5),
        ("skip", "2026-01-05T06:00:30Z", 1, 4),
    ],
)
def test_what_was_missed_is_caught_up_as_the_policy_says(catch_up: Any, now: str, fires: int, missed: int) -> None:
    found = schedules.attended(policy(NIGHTLY, catch_up=catch_up), START, at(now))
    assert (len(found.fire), found.missed.count if found.missed else 0) == (fires, missed)
    assert found.next_at > at(now)
    if found.missed:
        cause, reason = schedules.told(policy(NIGHTLY, catch_up=catch_up), found.missed)
        assert f"{missed} occasions from 2026-01-01T06:00:00.000Z" in cause
        assert "missed" in reason
        assert catch_up in reason


def test_a_clock_that_stood_wrong_for_years_costs_little() -> None:
    found = schedules.attended(policy("* * * * *"), datetime(1990, 1, 1, tzinfo=UTC), START)
    assert found.fire == [START]
    assert found.missed
    assert "more than" in schedules.told(policy("* * * * *"), found.missed)[0]


def test_jitter_is_the_same_for_everybody_and_keeps_the_order() -> None:
    one = policy("*/5 * * * *", jitter=300.0)
    occasions = list(islice(schedules.occasions(one, START), 200))
    spreads = [schedules.spread(one, each).total_seconds() for each in occasions]
    assert spreads == [
        schedules.spread(policy("*/5 * * * *", jitter=300.0), each).total_seconds() for each in occasions
    ]
    assert all(0 <= each < 300 for each in spreads)
    assert 100 < sum(spreads) / 200 < 200
    assert len(set(spreads)) > 190
    assert schedules.spread(policy("*/5 * * * *"), START) == timedelta(0)
    just_before = occasions[0] + timedelta(seconds=spreads[0]) - timedelta(milliseconds=1)
    assert schedules.attended(one, START, just_before).fire == []
    assert schedules.attended(one, START, just_before + timedelta(milliseconds=1)).fire == [occasions[0]]


@pytest.mark.parametrize(("cron", "zone"), [("a b", "UTC"), ("* * * * * *", "UTC"), ("0 0 31 2 *", "UTC"),
                                            ("0 6 * * *", "No/Where")])  # fmt: skip
def test_what_never_comes_is_refused(cron: str, zone: str) -> None:
    with pytest.raises(Invalid):
        schedules.due(policy(cron, zone), START)
