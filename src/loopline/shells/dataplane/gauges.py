"""What the data plane measures of itself at the moment it is asked."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING

from loopline.kit.exposition import Gauge

if TYPE_CHECKING:
    from loopline.shells.dataplane.application import Application

VERSION: str = import_module("loopline").__version__


def gauges(app: Application) -> Iterator[Gauge]:
    """All gauges of this process."""
    recorder = app.recorder
    yield Gauge("build_info", "The version of Loopline.", [({"version": VERSION}, 1)])
    yield _one("log_lag_seconds", "Age of the oldest prediction that is not on disk.", recorder.lag())
    yield _one("log_recorded_rows", "Predictions answered.", recorder.recorded)
    yield _one("log_flushed_rows", "Predictions on disk.", recorder.flushed)
    yield _one("connections", "Open connections.", len(app.connections))
    live = [(name, served.live) for name, served in app.endpoints.items() if served.live is not None]
    yield Gauge(
        "endpoint_live",
        "What answers: 1 for the live revision of each endpoint.",
        [
            (
                {"endpoint": name, "model": one.model, "version": str(one.version), "revision": str(one.number)},
                1,
            )
            for name, one in live
        ],
    )
    yield Gauge("endpoint_ready", "Whether the live revision answers.",
                [({"endpoint": name}, float(one.state == "ready")) for name, one in live])  # fmt: skip


def _one(name: str, text: str, value: float) -> Gauge:
    return Gauge(name, text, [({}, value)])
