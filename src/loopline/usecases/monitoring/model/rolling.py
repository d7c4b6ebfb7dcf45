"""Buckets of time that roll up: minute to hour to day to week or month. Imports numpy.

A profile carries no time itself. Buckets are profiles by the first millisecond of their time since 1970, UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from loopline.usecases.monitoring.model.arrays import period_of
from loopline.usecases.monitoring.model.profile import Profile
from loopline.usecases.monitoring.model.sketching import merged_all

Grain = Literal["minute", "hour", "day", "week", "month"]


def rolled(buckets: Mapping[int, Profile], grain: Grain, like: Profile | None = None) -> dict[int, Profile]:
    """The buckets of the next larger grain, in order of time: each is what its parts add up to.

    It makes no difference whether days come from minutes or from hours. Invalid when the profiles' cells differ. `like`
    lists values of texts that are folded last (see `sketching.merged`).
    """
    starts = np.array(sorted(buckets), dtype=np.int64)
    parts: dict[int, list[Profile]] = {}
    for start, period in zip(starts.tolist(), period_of(starts, grain).tolist(), strict=True):
        parts.setdefault(period, []).append(buckets[start])
    found = {period: merged_all(inside, like) for period, inside in parts.items()}
    return {period: profile for period, profile in found.items() if profile is not None}
