"""What an airline's feed would deliver: one Parquet file a week of the flights whose outcome became known in it.

python batches.py data --until 2013-04-01        January to March
python batches.py data --from 2013-04-01 --until 2013-04-08
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd
from flights import RAW_COLUMNS, read_flights, read_weather, timed

WEEK = pd.Timedelta(days=7)
BEGIN, END = "2012-12-31", "2014-01-06"  # the Mondays around 2013
WHOLE_NUMBERS = ("dep_time", "dep_delay", "arr_time", "arr_delay", "air_time")


def utc(moment: str | pd.Timestamp) -> pd.Timestamp:
    """A UTC timestamp for a date or time; one without zone is taken as UTC."""
    stamp = pd.Timestamp(moment)
    return stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp.tz_convert("UTC")


def weekly(known_at: pd.Series, start: str | pd.Timestamp, end: str | pd.Timestamp) -> list[tuple[str, pd.Series]]:
    """(Monday as text, which rows) for each week from Monday 00:00 UTC, cut to [start, end); empty weeks left out."""
    inside = (known_at >= utc(start)) & (known_at < utc(end))
    mondays = known_at.dt.floor("D") - pd.to_timedelta(known_at.dt.day_of_week, unit="D")
    return [(f"{monday:%Y-%m-%d}", inside & (mondays == monday)) for monday in sorted(mondays[inside].unique())]


def write_parquet(frame: pd.DataFrame, path: Path) -> Path:
    """The same rows give the same bytes; the file appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    frame.to_parquet(unfinished, index=False, engine="pyarrow", compression="zstd")
    return unfinished.replace(path)


def write_batches(
    folder: str | Path,
    start: str | pd.Timestamp = BEGIN,
    end: str | pd.Timestamp = END,
    flights: pd.DataFrame | None = None,
) -> list[Path]:
    """Write raw rows known in [start, end) to `folder`/flights-<Monday>.parquet, oldest first.

    A row is known when its flight has landed; one that was cancelled or diverted a day after scheduled departure.
    `start` and `end` should be Mondays, or a file would hold part of a week and be replaced by the next call.
    """
    rows = timed(read_flights() if flights is None else flights).sort_values(["known_at", "key"])
    rows = rows.astype(dict.fromkeys(WHOLE_NUMBERS, "Int64"))
    return [
        write_parquet(rows.loc[which, list(RAW_COLUMNS)], Path(folder) / f"flights-{monday}.parquet")
        for monday, which in weekly(rows["known_at"], start, end)
    ]


def write_weather(folder: str | Path, start: str | pd.Timestamp = BEGIN, end: str | pd.Timestamp = END) -> list[Path]:
    """Write the hourly observations of [start, end) to `folder`/weather-<Monday>.parquet, oldest first."""
    rows = read_weather().sort_values(["time_hour", "origin"])
    return [
        write_parquet(rows[which], Path(folder) / f"weather-{monday}.parquet")
        for monday, which in weekly(rows["time_hour"], start, end)
    ]


def main() -> None:
    """Fill FOLDER/flights and FOLDER/weather."""
    parser = argparse.ArgumentParser(description="Write weekly batches of flights and weather as Parquet files.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--from", dest="start", default=BEGIN, help=f"first Monday (default {BEGIN})")
    parser.add_argument("--until", dest="end", default=END, help=f"Monday after the last week (default {END})")
    asked = parser.parse_args()
    written = write_batches(asked.folder / "flights", asked.start, asked.end)
    written += write_weather(asked.folder / "weather", asked.start, asked.end)
    print(f"{len(written)} files in {asked.folder}")


if __name__ == "__main__":
    main()
