"""Drift of one window, read from the prediction log. Imports numpy when it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from loopline.core.errors import Invalid, NotFound
from loopline.core.tables import Signature
from loopline.core.times import to_ms
from loopline.usecases.monitoring.model import Window
from loopline.usecases.monitoring.model.profile import Profile, decode
from loopline.usecases.monitoring.needs import Serving

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


def profile_in(content: bytes, signature: Signature) -> Profile:
    """The profile that was registered: as such (JSON), or as Arrow rows, from which it is made here.

    Rows with a column `event_time` also say how much their own days and weeks differ. Invalid for anything else.
    """
    if content[:1] == b"{":
        return decode(content)
    import pyarrow as pa

    from loopline.usecases.monitoring.model import sketching

    try:
        opened = pa.ipc.open_file if content.startswith(b"ARROW1") else pa.ipc.open_stream
        rows = opened(pa.BufferReader(content)).read_all()
    except pa.ArrowInvalid as error:
        raise Invalid(f"The training profile cannot be read: {error}.", "Register the version again.") from None
    return sketching.profile(rows, signature, event_time="event_time")
