"""What a batch must look like before anything uses it.

Limits are inclusive and wide on purpose: they refuse what cannot be, not what is rare.
"""

from __future__ import annotations

from loopline import Contract, column

ORIGINS = ("EWR", "JFK", "LGA")
ONE_DAY_OF_MINUTES = 24 * 60

flights = Contract(
    columns=[
        column("year", "integer", minimum=2013, maximum=2013),
        column("month", "integer", minimum=1, maximum=12),
        column("day", "integer", minimum=1, maximum=31),
        column("dep_time", "integer", nullable=True, minimum=0, maximum=2400),
        column("sched_dep_time", "integer", minimum=0, maximum=2359),
        column("dep_delay", "integer", nullable=True, minimum=-120, maximum=ONE_DAY_OF_MINUTES),
        column("arr_time", "integer", nullable=True, minimum=0, maximum=2400),
        column("sched_arr_time", "integer", minimum=0, maximum=2359),
        column("arr_delay", "integer", nullable=True, minimum=-180, maximum=ONE_DAY_OF_MINUTES),
        column("carrier", "string"),
        column("flight", "integer", minimum=1, maximum=9999),
        column("tailnum", "string", nullable=True),
        column("origin", "string", allowed=ORIGINS),
        column("dest", "string"),
        column("air_time", "integer", nullable=True, minimum=1, maximum=ONE_DAY_OF_MINUTES),
        column("distance", "integer", minimum=1, maximum=6000),
        column("hour", "integer", minimum=0, maximum=23),
        column("minute", "integer", minimum=0, maximum=59),
        column("time_hour", "timestamp"),
    ],
    unique=["year", "month", "day", "origin", "carrier", "flight"],
)

weather = Contract(
    columns=[
        column("origin", "string", allowed=ORIGINS),
        column("year", "integer", minimum=2013, maximum=2013),
        column("month", "integer", minimum=1, maximum=12),
        column("day", "integer", minimum=1, maximum=31),
        column("hour", "integer", minimum=0, maximum=23),
        column("temp", "float", nullable=True, minimum=-60, maximum=130),
        column("dewp", "float", nullable=True, minimum=-80, maximum=100),
        column("humid", "float", nullable=True, minimum=0, maximum=100),
        column("wind_dir", "float", nullable=True, minimum=0, maximum=360),
        # No maximum: one published reading says 1048 miles per hour, and the features take it for unknown.
        column("wind_speed", "float", nullable=True, minimum=0),
        column("wind_gust", "float", nullable=True, minimum=0, maximum=250),
        column("precip", "float", minimum=0, maximum=20),
        column("pressure", "float", nullable=True, minimum=850, maximum=1100),
        column("visib", "float", minimum=0, maximum=100),
        column("time_hour", "timestamp"),
    ],
    unique=["origin", "time_hour"],
)
