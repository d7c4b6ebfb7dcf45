"""Arrow columns as numpy arrays. Imports numpy: import it only where tables are read."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from loopline.core.errors import Invalid

DAY_MS = 86_400_000
NO_TIME = np.iinfo(np.int64).min


def milliseconds(column: Any) -> NDArray[np.int64]:
    """A timestamp or ISO 8601 text column as UTC milliseconds; empty places become the smallest int64."""
    import pyarrow as pa

    try:
        times = column.cast(pa.timestamp("ms", tz="UTC"), safe=False).cast("int64")
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise Invalid(f"A column of times cannot be read as times: {error}.") from None
    return np.asarray(times.fill_null(NO_TIME).to_numpy(), dtype=np.int64)


def period_of(times_ms: NDArray[np.int64], window: str) -> NDArray[np.int64]:
    """The first millisecond of the day, or of the ISO week (Monday 00:00 UTC), in which each time lies."""
    days = times_ms // DAY_MS
    return (days if window == "day" else (days + 3) // 7 * 7 - 3) * DAY_MS


def floats_of(column: Any) -> NDArray[np.float64]:
    """Numbers as float64 with NaN for null; times as UTC milliseconds. Invalid for a column of neither."""
    import pyarrow as pa

    try:
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.timestamp("ms", tz="UTC"), safe=False).cast("int64")
        numbers = column.cast("float64", safe=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise Invalid(f"A column of numbers cannot be read as numbers: {error}.") from None
    return np.asarray(numbers.to_numpy() if numbers.null_count == 0 else numbers.to_numpy(zero_copy_only=False))
