"""Drift of one window, read from the prediction log. Imports numpy when it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from loopline.core.errors import NotFound
from loopline.core.tables import Signature
from loopline.core.times import to_ms
from loopline.usecases.monitoring.model import Window
from loopline.usecases.monitoring.model.profile import Profile
from loopline.usecases.monitoring.needs import Serving
from loopline.usecases.monitoring.profiling import profile_in as profile_in

if TYPE_CHECKING:
    from loopline.usecases.monitoring.model.reporting import DriftReport

Describe = Callable[[str, int], tuple[Signature | None, Profile | None]]


def report(serving: Serving, endpoint: str, window: Window, period: str, describe: Describe) -> DriftReport:
    """Compare the rows of a window with the training profile of the version that served the last of them."""
    from loopline.usecases.monitoring.model import evaluation, reporting, sketching

    rows = serving.read_predictions(endpoint, window.start, window.end, "event_time")
    if len(rows) != window.predictions:  # some have no event time of their own, or more have come since
        rows = evaluation.current_rows(serving.read_predictions(endpoint), to_ms(window.start), to_ms(window.end))
    model, version = evaluation.live_version(rows)
    signature, before = (None, None) if version is None else describe(model, version)
    if signature is None or before is None:
        raise NotFound(
            f"Version {version} of {model!r} was registered without a training profile.",
            "Register versions with the rows that they were trained on, so that live data can be compared.",
        )
    now = sketching.profile(evaluation.inputs_of(rows, signature), signature, like=before)
    return reporting.report(before, now, period, window.start, version or 0)
