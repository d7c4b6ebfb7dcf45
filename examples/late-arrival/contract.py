"""What a batch must look like before anything uses it, as plain data.

A rule: `column`, `type` (float, integer, string, boolean, timestamp), `nullable`, and where they apply `min` and `max`
(inclusive) or `allowed` (the values). Ranges are wide on purpose: they refuse what cannot be, not what is rare.
"""

from __future__ import annotations

from typing import Any

ORIGINS = ["EWR", "JFK", "LGA"]
ONE_DAY_OF_MINUTES = 24 * 60

FLIGHTS: list[dict[str, Any]] = [
    {"column": "year", "type": "integer", "nullable": False, "min": 2013, "max": 2013},
    {"column": "month", "type": "integer", "nullable": False, "min": 1, "max": 12},
    {"column": "day", "type": "integer", "nullable": False, "min": 1, "max": 31},
    {"column": "dep_time", "type": "integer", "nullable": True, "min": 0, "max": 2400},
    {"column": "sched_dep_time", "type": "integer", "nullable": False, "min": 0, "max": 2359},
    {"column": "dep_delay", "type": "integer", "nullable": True, "min": -120, "max": ONE_DAY_OF_MINUTES},
    {"column": "arr_time", "type": "integer", "nullable": True, "min": 0, "max": 2400},
    {"column": "sched_arr_time", "type": "integer", "nullable": False, "min": 0, "max": 2359},
    {"column": "arr_delay", "type": "integer", "nullable": True, "min": -180, "max": ONE_DAY_OF_MINUTES},
    {"column": "carrier", "type": "string", "nullable": False},
    {"column": "flight", "type": "integer", "nullable": False, "min": 1, "max": 9999},
    {"column": "tailnum", "type": "string", "nullable": True},
    {"column": "origin", "type": "string", "nullable": False, "allowed": ORIGINS},
    {"column": "dest", "type": "string", "nullable": False},
    {"column": "air_time", "type": "integer", "nullable": True, "min": 1, "max": ONE_DAY_OF_MINUTES},
    {"column": "distance", "type": "integer", "nullable": False, "min": 1, "max": 6000},
    {"column": "hour", "type": "integer", "nullable": False, "min": 0, "max": 23},
    {"column": "minute", "type": "integer", "nullable": False, "min": 0, "max": 59},
    {"column": "time_hour", "type": "timestamp", "nullable": False},
]

# No maximum for wind_speed: one published reading says 1048 miles per hour; the features take it for unknown.
WEATHER: list[dict[str, Any]] = [
    {"column": "origin", "type": "string", "nullable": False, "allowed": ORIGINS},
    {"column": "year", "type": "integer", "nullable": False, "min": 2013, "max": 2013},
    {"column": "month", "type": "integer", "nullable": False, "min": 1, "max": 12},
    {"column": "day", "type": "integer", "nullable": False, "min": 1, "max": 31},
    {"column": "hour", "type": "integer", "nullable": False, "min": 0, "max": 23},
    {"column": "temp", "type": "float", "nullable": True, "min": -60, "max": 130},
    {"column": "dewp", "type": "float", "nullable": True, "min": -80, "max": 100},
    {"column": "humid", "type": "float", "nullable": True, "min": 0, "max": 100},
    {"column": "wind_dir", "type": "float", "nullable": True, "min": 0, "max": 360},
    {"column": "wind_speed", "type": "float", "nullable": True, "min": 0},
    {"column": "wind_gust", "type": "float", "nullable": True, "min": 0, "max": 250},
    {"column": "precip", "type": "float", "nullable": False, "min": 0, "max": 20},
    {"column": "pressure", "type": "float", "nullable": True, "min": 850, "max": 1100},
    {"column": "visib", "type": "float", "nullable": False, "min": 0, "max": 100},
    {"column": "time_hour", "type": "timestamp", "nullable": False},
]

CONTRACTS = {"flights": FLIGHTS, "weather": WEATHER}
