"""The short way for points of metrics: checked here, written to a journal that outlives the process, delivered behind it.

A run and a key are first logged by the protocol's call, which says what is wrong with them; while nothing can have changed
about the run, further points of that key only need a value, a time and a step.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from typing import Any

from loopline.core.errors import LooplineError, Unavailable
from loopline.shells.mlflow_store.backends import Backend
from loopline.usecases.tracking.delivery import Delivery
from loopline.usecases.tracking.spool import synced

INT64 = 1 << 63
PAUSE_S = 0.25
MOST_KEYS = 50_000
_WORDS = {float("inf"): "Infinity", float("-inf"): "-Infinity"}


class Quick:
    """Points that need no answer. Safe for several threads: what they share is only ever added to or cleared."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._delivery = Delivery(backend.client, PAUSE_S)
        self._keys: set[str] = set()
        self._alive: dict[tuple[str, int], float] = {}  # by run and thread: what a thread sees change is its own
        self._looked = False

    def take(self, run_id: str, metrics: Sequence[Any]) -> bool:
        """Journal the points; False, with nothing written, when one of them or the run must be looked at first."""
        if not metrics or (run_id, threading.get_ident()) not in self._alive:
            return False
        keys, points = self._keys, []
        for one in metrics:
            key, value, at_ms, step = one.key, one.value, one.timestamp, one.step
            plain = type(value) is float and type(at_ms) is int and type(step) is int
            if not plain or key not in keys or not 0 <= at_ms < INT64 or not -INT64 <= step < INT64:
                return False
            if getattr(one, "model_id", None) or getattr(one, "dataset_name", None):
                return False
            if value != value or value in _WORDS:
                value = _WORDS.get(value, "NaN")
            points.append({"key": key, "value": value, "step": step, "at_ms": at_ms})
        return self._still(run_id) and self._delivery.add("tracking.log", {"run_id": run_id, "metrics": points})

    def good(self, run_id: str, metrics: Sequence[Any]) -> None:
        """These were taken by the protocol's call just now."""
        if len(self._keys) + len(metrics) > MOST_KEYS:
            self._keys = set()
        self._keys.update(one.key for one in metrics)
        self._alive[run_id, threading.get_ident()] = self._backend.changed()

    def flush(self, seconds: float) -> None:
        """Wait until all points have arrived (or nobody answers), so that what is read next shows them; the first time
        also those of processes that died before theirs had."""
        if not self._looked:
            self._looked = True
            with contextlib.suppress(LooplineError, OSError):
                synced(self._backend.client)
        self._delivery.flush(seconds)

    def forget(self) -> None:
        """Runs may have ended by a call of this process."""
        self._alive = {}

    def _still(self, run_id: str) -> bool:
        """Whether the run may still be written to; asked again whenever somebody may have changed it."""
        now, mine = self._backend.changed(), (run_id, threading.get_ident())
        if self._alive.get(mine) == now:
            return True
        alive = self._asked(run_id)
        if alive:
            self._alive[mine] = now
        else:
            self._alive.pop(mine, None)
        return alive

    def _asked(self, run_id: str) -> bool:
        try:
            found = self._backend.answer("GET", "/api/2.0/mlflow/runs/get", {"run_id": run_id})
        except Unavailable:  # it was alive when somebody last answered
            return True
        except LooplineError:
            return False
        return bool(found["run"]["info"]["lifecycle_stage"] == "active")
