"""What is known about a flight three hours before its scheduled departure."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
from flights import timed
from history import History, group_codes, mean, minutes

LATE_AFTER_MINUTES = 15
# An observation carries the start of its hour and is taken as published at the end of it.
WEATHER_KNOWN_AFTER = timedelta(hours=1)
WEATHER_STALE_AFTER = timedelta(hours=6)
POSSIBLE_WIND = 200.0  # miles per hour; the data hold one reading of 1048
HOUR, DAY = 60, 24 * 60

WEATHER = ("humid", "wind_speed", "precip", "visib", "pressure")
TEXTS = ("carrier", "origin", "dest")
SCHEDULE = ("minute_of_day", "weekday", "distance", "block")
# (name, what the landed flights share with this one, window in minutes, mean of "late" or "delay")
HISTORIES: tuple[tuple[str, tuple[str, ...], int, str], ...] = (
    ("all_late_3h", (), 3 * HOUR, "late"),
    ("origin_late_3h", ("origin",), 3 * HOUR, "late"),
    ("origin_delay_3h", ("origin",), 3 * HOUR, "delay"),
    ("carrier_late_6h", ("carrier",), 6 * HOUR, "late"),
    ("carrier_late_24h", ("carrier",), DAY, "late"),
    ("dest_late_6h", ("dest",), 6 * HOUR, "late"),
    ("dest_late_24h", ("dest",), DAY, "late"),
    ("route_late_7d", ("origin", "dest", "carrier"), 7 * DAY, "late"),
    ("flight_late_14d", ("origin", "carrier", "flight"), 14 * DAY, "late"),
    ("hour_late_7d", ("origin", "hour"), 7 * DAY, "late"),
)
NUMBERS = (*SCHEDULE, *WEATHER, *(name for name, *_ in HISTORIES))
INPUTS = (*TEXTS, *NUMBERS)


def featurize(flights: pd.DataFrame, weather: pd.DataFrame, schedule: pd.DataFrame | None = None) -> pd.DataFrame:
    """One row for each flight of `schedule` (raw rows; default: of `flights`), in its order.

    Outcomes come from `flights` and `weather` (raw rows) as far as they were known at the flight's `event_time`.
    Columns: `key`, `event_time`, `landed_at`, the `INPUTS` (strings and float64) and `late` (1.0, 0.0, NaN: no truth).
    """
    past = timed(flights)
    asked = past if schedule is None else timed(schedule)
    frame = asked[["key", "event_time", "landed_at", *TEXTS]].copy()
    parts = (scheduled(asked), last_weather(asked, weather), delay_history(asked, past))
    frame = pd.concat([frame, *parts], axis=1)
    return frame.assign(late=truth(asked))


def truth(flights: pd.DataFrame) -> np.ndarray:
    """1.0 for more than 15 minutes late at the gate, 0.0 for not, NaN for a flight that never landed."""
    delay = flights["arr_delay"].astype("float64").to_numpy()
    return np.where(np.isnan(delay), np.nan, (delay > LATE_AFTER_MINUTES).astype(np.float64))


def scheduled(flights: pd.DataFrame) -> pd.DataFrame:
    """What the timetable says, in New York's clock: minute of the day, weekday (Monday 0), miles, block minutes."""
    day = pd.to_datetime(flights[["year", "month", "day"]])
    columns = {
        "minute_of_day": flights["hour"] * 60 + flights["minute"],
        "weekday": day.dt.day_of_week,
        "distance": flights["distance"],
        "block": flights["block"],
    }
    return pd.DataFrame(columns).astype(np.float64)


def last_weather(flights: pd.DataFrame, weather: pd.DataFrame) -> pd.DataFrame:
    """The newest observation at the origin published by `event_time`, NaN when that is more than six hours ago."""
    known = weather.assign(known_at=(weather["time_hour"] + WEATHER_KNOWN_AFTER).astype("datetime64[us, UTC]"))
    known["wind_speed"] = known["wind_speed"].where(known["wind_speed"] <= POSSIBLE_WIND)
    asked = flights[["event_time", "origin"]].reset_index().sort_values("event_time", kind="stable")
    found = pd.merge_asof(
        asked,
        known[["known_at", "origin", *WEATHER]].sort_values("known_at", kind="stable"),
        left_on="event_time",
        right_on="known_at",
        by="origin",
        tolerance=WEATHER_STALE_AFTER,
    )
    return found.set_index("index").sort_index()[list(WEATHER)].rename_axis(None).astype(np.float64)


def delay_history(asked: pd.DataFrame, flights: pd.DataFrame) -> pd.DataFrame:
    """Means over flights that had landed by each asked flight's `event_time`; NaN where none had."""
    past = flights[flights["landed_at"].notna()]
    known, until = minutes(past["landed_at"]), minutes(asked["event_time"])
    delay = past["arr_delay"].astype("int64").to_numpy()
    values = {"late": (delay > LATE_AFTER_MINUTES).astype(np.int64), "delay": np.clip(delay, -30, 180)}
    columns, histories = {}, {}
    for name, by, length, value in HISTORIES:
        if by not in histories:
            past_group, asked_group = group_codes(past, asked, list(by))
            histories[by] = History(past_group, known, values), asked_group
        history, group = histories[by]
        count, sums = history.window(group, until, length)
        columns[name] = mean(sums[value], count)
    return pd.DataFrame(columns, index=asked.index)
