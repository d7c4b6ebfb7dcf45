"""Pages of monitoring: all models, and one with its performance, drift, segments and truth."""

from __future__ import annotations

from loopline.usecases.monitoring import web_drift, web_fleet, web_limits, web_monitor, web_segments, web_truth

PAGES = (
    *web_fleet.PAGES,
    *web_monitor.PAGES,
    *web_drift.PAGES,
    *web_segments.PAGES,
    *web_truth.PAGES,
    *web_limits.PAGES,
)
FORMS = web_limits.FORMS
