"""The statistics under the name that profiles know them by. Imports numpy."""

from __future__ import annotations

from loopline.usecases.monitoring.model.drifts.statistics import (
    aligned,
    aligned_values,
    distances,
    distances_by_period,
    quantiles,
)

__all__ = ["aligned", "aligned_values", "distances", "distances_by_period", "quantiles"]
