"""What takes too long: requests are given up in time, and a process that hangs is ended."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from loopline.shells.dataplane.answers import RETRY, Fault, unavailable

if TYPE_CHECKING:
    from loopline.shells.dataplane.application import Application
    from loopline.shells.dataplane.queues import Item, Queue
    from loopline.shells.dataplane.workers import Worker
    from loopline.usecases.serving.options import Options


class Deadlines:
    """The part of a revision that watches the time. One timer, for whoever is due first."""

    app: Application
    endpoint: str
    options: Options
    queue: Queue
    workers: list[Worker]
    _timeout_ns: int
    _alarm: Any

    def up(self) -> int:
        """How many of its processes have the model loaded."""
        return sum(worker.ready for worker in self.workers)

    def watch(self, now: float) -> None:
        """End processes that never come up, and let go of dead ones whose sockets something that they started still
        holds: the second time that they are found dead, as what they said last has been read by then. Asked once a
        second."""
        for worker in list(self.workers):
            if worker.pid and worker.link is not None and worker.link.ended():
                if worker.dead:
                    worker.link.kill()
                worker.dead = True
            elif not worker.ready and now - worker.started_at > self.app.limits.start_s and worker.link is not None:
                self._kill(worker)

    def _ring(self) -> None:
        """The oldest request may be overdue: give up those that are, end a process that took as long for one batch."""
        now = time.perf_counter_ns()
        for item in self.queue.overdue(now):
            self._give_up(item)
        due = self.queue.first_due()
        for worker in self.workers:
            if worker.sent is None:
                continue
            for item in worker.sent.items:
                if item.due <= now and not item.given_up:
                    worker.sent.given_up = item.given_up = True
                    self._give_up(item)
            ends = worker.sent.at_ns + self._timeout_ns
            if ends <= now:
                self._kill(worker)
            else:
                due = min([due or ends, ends, *(item.due for item in worker.sent.items if not item.given_up)])
        self._alarm = None
        if due is not None:
            self._alarm = self.app.loop.call_later(max(0.001, (due - now) / 1e9), self._ring)

    def _give_up(self, item: Item) -> None:
        limit = f"{self.options.timeout_s:g} s (timeout_s)"
        if self.up():
            fault = Fault(504, f"Endpoint {self.endpoint!r} had no answer within {limit}.", "Try again later.", RETRY)
        else:
            fault = unavailable(f"The model of endpoint {self.endpoint!r} did not come up within {limit}.")
        self.app.metrics.add("requests_given_up", endpoint=self.endpoint)
        item.exchange.refuse(fault)

    def _kill(self, worker: Worker) -> None:
        self.app.metrics.add("model_processes_hung", endpoint=self.endpoint)
        if worker.link is not None:
            worker.link.kill()
