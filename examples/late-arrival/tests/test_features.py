"""The feature code on a handful of flights written here by hand."""

from __future__ import annotations

import features
import flights
import pandas as pd
import pytest


@pytest.fixture
def three_flights():
    """Newark to Houston on 1 April: two in the morning, one in the evening."""
    rows = pd.DataFrame(
        {
            "sched_dep_time": [700, 800, 1900],
            "dep_delay": [0.0, 40.0, 0.0],
            "sched_arr_time": [930, 1030, 2130],
            "arr_delay": [-5.0, 35.0, 0.0],
            "flight": [1, 2, 3],
            "hour": [7, 8, 19],
            "time_hour": pd.to_datetime(["2013-04-01T11:00Z", "2013-04-01T12:00Z", "2013-04-01T23:00Z"]),
        }
    )
    return rows.assign(
        year=2013, month=4, day=1, minute=0, carrier="UA", origin="EWR", dest="IAH", distance=1400, air_time=180.0
    )


@pytest.fixture
def weather():
    hours = pd.date_range("2013-04-01T08:00Z", periods=20, freq="h")
    observed = pd.DataFrame({"origin": "EWR", "time_hour": hours, "pressure": range(1000, 1020)})
    return observed.assign(humid=50.0, wind_speed=10.0, precip=0.0, visib=10.0)


def test_an_hour_of_clock_to_the_west_is_part_of_the_block(three_flights):
    timed = flights.timed(three_flights)
    assert timed["block"].tolist() == [210, 210, 210]
    assert timed["landed_at"].iloc[1] == pd.Timestamp("2013-04-01T16:05Z")


def test_the_evening_flight_knows_both_morning_flights(three_flights, weather):
    evening = features.featurize(three_flights, weather).iloc[2]
    assert evening["carrier_late_24h"] == 0.5
    assert evening["pressure"] == 1011.0  # of 19:00, published at 20:00, when the prediction is made


def test_the_second_morning_flight_knows_nothing_of_the_first(three_flights, weather):
    morning = features.featurize(three_flights, weather).iloc[1]
    assert pd.isna(morning["carrier_late_24h"])
    assert morning["late"] == 1.0
