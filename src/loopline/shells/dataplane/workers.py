"""The processes of a revision: each works on one batch at a time; the death of one is no other's business."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from loopline.shells.dataplane.link import Link
    from loopline.shells.dataplane.queues import Item


# The states of a revision: without processes; loading; answering; not to be loaded; let go for good.
COLD, STARTING, READY, UNFIT, STOPPED = "cold", "starting", "ready", "unfit", "stopped"


class Owner(Protocol):
    """Who is told what its workers do: a revision."""

    def on_ready(self, worker: Worker) -> None: ...
    def on_failed(self, worker: Worker, reason: str) -> None: ...
    def on_answer(self, worker: Worker, sent: Sent, predictions: Any, faults: list[Any], explained: Any) -> None: ...
    def on_lost(self, worker: Worker) -> None: ...


class Sent:
    """A batch under way: its requests, their rows' columns as they were packed, and when it was sent (ns)."""

    __slots__ = ("at_ns", "given_up", "items", "packed", "rows")

    def __init__(self, items: list[Item], packed: list[Any], rows: int) -> None:
        self.items = items
        self.packed = packed
        self.rows = rows
        self.at_ns = time.perf_counter_ns()
        self.given_up = False  # some of them were given up: their predictions are nobody's


class Worker:
    """One process and what it works on. `ready`: its model is loaded; `leaving`: it ends after its batch."""

    def __init__(self, owner: Owner, started_at: float, replaces: Worker | None = None) -> None:
        self.owner = owner
        self.replaces = replaces
        self.link: Link | None = None
        self.started_at = started_at
        self.ready = False
        self.leaving = False
        self.dead = False  # it was found ended, though nothing has said so yet
        self.sent: Sent | None = None
        self.memory = 0  # bytes, as last measured
        self.memory_first = 0  # and as measured first
        self.explains = False
        self.told: dict[str, Any] = {}  # what it said of its model
        self._number = 0

    @property
    def pid(self) -> int:
        """The process, 0 when it is none."""
        return self.link.pid if self.link is not None else 0

    def send(self, sent: Sent) -> None:
        """Give it a batch; it must have none."""
        self._number += 1
        self.sent = sent
        if self.link is not None:
            self.link.send(self._number, sent.packed, sent.items[0].explain)

    def stop(self) -> None:
        """Let it end by itself; one that still loads its model is ended at once."""
        self.leaving = True
        if self.link is not None:
            self.link.stop()
            if not self.ready:
                self.link.kill()

    # The link calls these

    def on_ready(self, told: dict[str, Any]) -> None:
        self.ready = True
        self.told = told
        self.explains = bool(told.get("explains"))
        self.owner.on_ready(self)

    def on_failed(self, reason: str) -> None:
        self.owner.on_failed(self, reason)

    def on_answer(self, number: int, predictions: Any, faults: list[Any], explained: Any = None) -> None:
        sent = self.sent
        if sent is not None and number == self._number:
            self.sent = None
            self.owner.on_answer(self, sent, predictions, faults, explained)

    def on_lost(self) -> None:
        self.ready = False
        self.owner.on_lost(self)
