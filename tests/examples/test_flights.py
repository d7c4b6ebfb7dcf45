"""The published rows and the times derived from them."""

from __future__ import annotations

import flights
import numpy as np
import pandas as pd
import pytest

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def timed(all_flights):
    return flights.timed(all_flights)


def test_the_counts_are_those_published(all_flights):
    assert len(all_flights) == 336_776
    assert int(all_flights["dest"].isin(flights.ZONES_MISSING).sum()) == 7_602
    assert int(all_flights["arr_delay"].isna().sum()) == 9_430
    assert tuple(all_flights.columns) == flights.RAW_COLUMNS


def test_four_zones_are_missing_and_supplied(all_flights):
    published = pd.read_csv(flights.data_file("airports.csv"))["faa"]
    assert set(all_flights["dest"]) - set(published) == set(flights.ZONES_MISSING)
    assert set(all_flights["dest"]) <= set(flights.airport_zones())


def test_an_unknown_destination_is_refused_not_guessed(fortnight):
    with pytest.raises(ValueError, match="time zone is unknown"):
        flights.timed(fortnight.head(3).assign(dest="XXX"))


def test_keys_are_unique_and_readable(timed):
    assert timed["key"].is_unique
    assert timed["key"].iloc[0] == "2013-01-01-EWR-UA-1545"


def test_departure_in_utc_is_the_local_timetable(timed):
    local = timed["departs_at"].dt.tz_convert(flights.HOME_ZONE)
    assert (local.dt.hour * 100 + local.dt.minute).equals(timed["sched_dep_time"].astype(local.dt.hour.dtype))
    assert ((timed["departs_at"] - timed["event_time"]) == pd.Timedelta(hours=3)).all()


def test_no_flight_is_longer_in_the_air_than_away_from_the_gates(timed):
    ground = flights.ground_minutes(timed)
    assert int(ground.notna().sum()) == 336_776 - 9_430
    assert 5 <= ground.min() <= ground.max() <= 240
    assert 25 <= ground.median() <= 31


def test_landed_at_is_the_published_arrival_clock(timed):
    """One row in 327,346 differs: a flight in the night of the clock change, published an hour off."""
    landed = timed[timed["landed_at"].notna()]
    offsets = flights.utc_offsets(landed["landed_at"], landed["dest"].map(flights.airport_zones()))
    minute = landed["landed_at"].dt.hour.to_numpy() * 60 + landed["landed_at"].dt.minute.to_numpy()
    differs = (minute + offsets) % 1440 != flights.minutes_of_day(landed["arr_time"]) % 1440
    assert landed["key"][differs].tolist() == ["2013-03-09-JFK-B6-35"]


def test_adding_dep_delay_again_would_contradict_air_time(timed):
    """arr_delay counts from the scheduled arrival: adding dep_delay as well lands some flights before they can."""
    twice = timed.assign(landed_at=timed["landed_at"] + pd.to_timedelta(timed["dep_delay"], unit="min"))
    assert int((flights.ground_minutes(twice) < 0).sum()) == 89
    assert flights.ground_minutes(twice).max() > 1_300


def test_a_flight_without_landing_is_known_a_day_after_departure(timed):
    lost = timed[timed["landed_at"].isna()]
    assert len(lost) == 9_430
    assert ((lost["known_at"] - lost["departs_at"]) == pd.Timedelta(hours=24)).all()
    assert np.array_equal(timed["known_at"].notna(), np.ones(len(timed), bool))
