"""Which flights a replay asks about, in the order in which they would be asked."""

from __future__ import annotations

from zlib import crc32

import numpy as np
import pandas as pd
from batches import utc


def one_in(keys: pd.Series, share: int) -> np.ndarray:
    """True for about one key in `share`, always the same ones: chosen by the key alone, so no outcome can steer it."""
    return np.fromiter((crc32(key.encode()) % share == 0 for key in keys), dtype=bool, count=len(keys))


def traffic(frame: pd.DataFrame, start: str | pd.Timestamp, end: str | pd.Timestamp, share: int = 1) -> pd.DataFrame:
    """Rows of `features.featurize` predicted in [start, end), one in `share`, by event time and then key.

    Cancelled and diverted flights are among them: three hours before departure nobody knows.
    """
    asked = frame[(frame["event_time"] >= utc(start)) & (frame["event_time"] < utc(end))]
    if share > 1:
        asked = asked[one_in(asked["key"], share)]
    return asked.sort_values(["event_time", "key"], ignore_index=True)
