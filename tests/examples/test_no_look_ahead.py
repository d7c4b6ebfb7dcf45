"""No feature looks past the cut-off: whatever became known later may change, and the features stay byte-equal.

Each change is also made with the cut-off removed on purpose; then the features must differ, or the test is blind.
"""

from __future__ import annotations

import features
import flights
import numpy as np
import pandas as pd
import pytest
from history import minutes

pytestmark = pytest.mark.integration

MOMENTS = [pd.Timestamp(text, tz="UTC") for text in ("2013-02-05 14:07", "2013-02-08 17:30")]


def unknown(rows, moment):
    """Which flights had not landed, nor been written off, at the moment."""
    return flights.timed(rows)["known_at"].to_numpy() > moment


def unpublished(weather, moment):
    return weather["time_hour"] + features.WEATHER_KNOWN_AFTER > moment


def later_delays(rows, weather, moment, rng):
    """Every flight still out lands later than it did; cancelled ones land after all, a day late and more."""
    changed = rows["arr_delay"].fillna(24.0 * 60) + rng.integers(30, 600, len(rows))
    return rows.assign(arr_delay=rows["arr_delay"].where(~unknown(rows, moment), changed)), weather


def deleted_flights(rows, weather, moment, rng):
    return rows[~unknown(rows, moment)], weather


def shuffled_outcomes(rows, weather, moment, rng):
    """Flights still out trade their delays; a trade that would bring one home by the moment is taken back."""
    late = unknown(rows, moment)
    traded = rows.assign(arr_delay=rows["arr_delay"].where(~late, rng.permutation(rows["arr_delay"].to_numpy())))
    return rows.assign(
        arr_delay=rows["arr_delay"].where(~(late & unknown(traded, moment)), traded["arr_delay"])
    ), weather


def reordered_flights(rows, weather, moment, rng):
    late = unknown(rows, moment)
    return pd.concat([rows[late].sample(frac=0.5, random_state=1), rows[~late]]), weather


def changed_weather(rows, weather, moment, rng):
    later = unpublished(weather, moment)
    return rows, weather.assign(**{name: weather[name].where(~later, 77.0) for name in features.WEATHER})


def deleted_weather(rows, weather, moment, rng):
    return rows, weather[~unpublished(weather, moment)]


CHANGES = [later_delays, deleted_flights, shuffled_outcomes, reordered_flights, changed_weather, deleted_weather]


def as_bytes(frame):
    numbers = frame[list(features.NUMBERS)].to_numpy(np.float64).tobytes()
    return numbers + "\n".join(frame[list(features.TEXTS)].agg("|".join, axis=1)).encode()


@pytest.mark.parametrize("cutoff", ["kept", "removed"])
@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: f"{moment:%d-%H%M}")
@pytest.mark.parametrize("change", CHANGES)
def test_what_became_known_later_changes_nothing(change, moment, cutoff, fortnight, weather, monkeypatch):
    times = flights.timed(fortnight)
    asked = fortnight[(times["event_time"] <= moment) & (times["event_time"] > moment - pd.Timedelta(hours=30))]
    if cutoff == "removed":
        monkeypatch.setattr(flights, "HORIZON", pd.Timedelta(hours=-48))
    before = features.featurize(fortnight, weather, schedule=asked)
    after = features.featurize(*change(fortnight, weather, moment, np.random.default_rng(5)), schedule=asked)
    assert len(asked) > 500
    assert (as_bytes(before) == as_bytes(after)) is (cutoff == "kept")


@pytest.mark.parametrize(("name", "by", "length", "value"), features.HISTORIES)
def test_each_history_equals_a_look_through_all_landed_flights(name, by, length, value, fortnight, weather):
    past = flights.timed(fortnight)
    frame = features.featurize(fortnight, weather)
    outcome = (past["arr_delay"] > 15).astype(float) if value == "late" else past["arr_delay"].clip(-30, 180)
    known = pd.Series(np.where(past["landed_at"].notna(), minutes(past["landed_at"].fillna(past["known_at"])), -1))
    for row in np.random.default_rng(7).integers(0, len(past), 40):
        until = minutes(past["event_time"].iloc[[row]])[0]
        inside = (known <= until) & (known > until - length) & past["landed_at"].notna()
        for column in by:
            inside &= past[column] == past[column].iloc[row]
        expected = outcome[inside].mean()
        assert frame[name].iloc[row] == pytest.approx(expected, rel=1e-12, nan_ok=True)


def test_an_observation_is_used_once_its_hour_is_over(fortnight, weather):
    frame = features.featurize(fortnight, weather)
    row = frame.iloc[2_000]
    at_origin = weather[weather["origin"] == row["origin"]]
    published = at_origin[at_origin["time_hour"] + pd.Timedelta(hours=1) <= row["event_time"]]
    newest = published.sort_values("time_hour").iloc[-1]
    assert [row[name] for name in features.WEATHER] == [newest[name] for name in features.WEATHER]


def test_truth_is_more_than_fifteen_minutes_at_the_gate(fortnight):
    rows = fortnight.head(4).assign(arr_delay=[15.0, 16.0, -3.0, np.nan])
    assert features.truth(rows).tolist()[:3] == [0.0, 1.0, 0.0]
    assert np.isnan(features.truth(rows)[3])
