"""What the data plane measures of itself at the moment it is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any

from loopline.kit.exposition import Gauge
from loopline.shells.dataplane.workers import COLD, READY

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
    yield Gauge(
        "endpoint_ready", "Whether the live revision answers, be it after loading its model.",
        [({"endpoint": name}, float(one.state in (READY, COLD))) for name, one in live],
    )  # fmt: skip
    yield from _models(app)


def _models(app: Application) -> Iterator[Gauge]:
    """What is in memory. Models that are not have no lines: there may be thousands."""
    awake = sorted(app.awake, key=lambda one: (one.endpoint, one.number))
    named = [({"endpoint": one.endpoint, "revision": str(one.number)}, one) for one in awake]
    yield _one("models_loaded", "Revisions that have processes.", len(awake))
    yield _one("models_memory_bytes", "Memory of all of them, what they share counted once (PSS).", app.residents.used)
    yield _one("models_memory_budget_bytes", "Beyond it the models used longest ago leave.", app.residents.budget)
    each: tuple[tuple[str, str, Callable[[Any], float]], ...] = (
        ("model_processes", "Processes whose model is loaded.", lambda one: one.up()),
        ("model_processes_loading", "Processes whose model is being loaded.", lambda one: len(one.workers) - one.up()),
        ("model_memory_bytes", "Memory of the processes (PSS), as last measured.",
         lambda one: sum(worker.memory for worker in one.workers)),
        ("model_inline", "Whether it predicts in the router's own process.", lambda one: one.inline is not None),
        ("model_queue_rows", "Rows that wait for a process.", lambda one: one.queue.rows),
    )  # fmt: skip
    for name, text, value in each:
        yield Gauge(name, text, [(labels, float(value(one))) for labels, one in named])


def _one(name: str, text: str, value: float) -> Gauge:
    return Gauge(name, text, [({}, value)])
