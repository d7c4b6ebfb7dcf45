"""Arrow columns as numpy arrays. Imports numpy: import it only where tables are read."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from loopline.core.errors import Invalid

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000
NO_TIME = np.iinfo(np.int64).min
EARLIEST_MS = -2_208_988_800_000  # 1900
AHEAD_MS = 3_653 * DAY_MS


def milliseconds(column: Any) -> NDArray[np.int64]:
    """A timestamp or ISO 8601 text column (without an offset it is UTC) as UTC milliseconds; empty places become the smallest
    int64."""
    import pyarrow as pa

    for zone in ("UTC", None):
        try:
            times = column.cast(pa.timestamp("ms", tz=zone), safe=False).cast("int64")
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            reason = error
        else:
            return np.asarray(times.fill_null(NO_TIME).to_numpy(), dtype=np.int64)
    raise Invalid(f"A column of times cannot be read as times: {reason}.") from None


def believed(times_ms: NDArray[np.int64], written_ms: NDArray[np.int64]) -> NDArray[np.int64]:
    """The times that callers gave, and when it was written down where they gave none or an impossible one: one before 1900
    or more than ten years ahead. A single one of those would set the event clock for ever."""
    possible = (times_ms >= EARLIEST_MS) & ((times_ms - AHEAD_MS <= written_ms) | (written_ms == NO_TIME))
    return np.where(possible, times_ms, written_ms)


def period_of(times_ms: NDArray[np.int64], window: str) -> NDArray[np.int64]:
    """The first millisecond of the minute, hour, day, ISO week (Monday 00:00 UTC) or month in which each time lies."""
    if window in ("minute", "hour"):
        length = MINUTE_MS if window == "minute" else HOUR_MS
        return times_ms // length * length
    if window == "month":
        return times_ms.astype("datetime64[ms]").astype("datetime64[M]").astype("datetime64[ms]").astype(np.int64)
    days = times_ms // DAY_MS
    return (days if window == "day" else (days + 3) // 7 * 7 - 3) * DAY_MS


def next_period(start_ms: int, window: str) -> int:
    """The first millisecond after the minute, hour, day, week or month that begins at `start_ms`."""
    if window == "month":
        return int(
            (np.datetime64(start_ms, "ms").astype("datetime64[M]") + 1).astype("datetime64[ms]").astype(np.int64)
        )
    return start_ms + {"minute": MINUTE_MS, "hour": HOUR_MS, "day": DAY_MS, "week": 7 * DAY_MS}[window]


def floats_of(column: Any) -> NDArray[np.float64]:
    """Numbers as float64 with NaN for null; times as UTC milliseconds. Invalid for a column of neither."""
    import pyarrow as pa

    try:
        if pa.types.is_date(column.type):
            column = column.cast(pa.timestamp("ms"))
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.timestamp("ms", tz="UTC"), safe=False).cast("int64")
        numbers = column.cast("float64", safe=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise Invalid(f"A column of numbers cannot be read as numbers: {error}.") from None
    return np.asarray(numbers.to_numpy() if numbers.null_count == 0 else numbers.to_numpy(zero_copy_only=False))


def moments_of(column: Any) -> NDArray[np.float64]:
    """Times as UTC milliseconds in float64 with NaN for null: of timestamps, dates, or texts in ISO 8601 (without an
    offset they are UTC). Invalid for a column of none of them."""
    import pyarrow as pa

    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return floats_of(column)
    for kind in (pa.timestamp("ms", tz="UTC"), pa.timestamp("ms")):
        try:
            return floats_of(column.cast(kind))
        except pa.ArrowInvalid:
            continue
    raise Invalid("A column of times cannot be read as times.", "Write ISO 8601, all with an offset or all without.")
