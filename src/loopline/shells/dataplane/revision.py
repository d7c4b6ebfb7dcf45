"""A revision being served: requests gather while its processes work and go out together as the next batch.

No timer is involved at low load: an idle process gets what one turn of the event loop has read, busy ones get everything
that came meanwhile. What a process had when it died is sent once more to another (predicting changes nothing), then
refused. Nobody asked for a long while: the processes end, and the next request starts them again.
"""

from __future__ import annotations

import asyncio
import dataclasses
import sys
import time
from typing import TYPE_CHECKING, Any

import msgspec

from loopline.core.errors import LooplineError
from loopline.shells.dataplane.answering import answer
from loopline.shells.dataplane.answers import RETRY, Fault, unavailable
from loopline.shells.dataplane.batches import Batches
from loopline.shells.dataplane.deadlines import Deadlines
from loopline.shells.dataplane.inline import Inline
from loopline.shells.dataplane.link import Link, Source
from loopline.shells.dataplane.queues import Item, Queue
from loopline.shells.dataplane.rows import Rows
from loopline.shells.dataplane.served import LIVE
from loopline.shells.dataplane.workers import COLD, READY, STARTING, STOPPED, UNFIT, Sent, Worker
from loopline.usecases.serving.options import DEFAULTS
from loopline.usecases.serving.records.columns import kind_of, one_row
from loopline.usecases.serving.records.writing import prediction_header

if TYPE_CHECKING:
    from loopline.shells.dataplane.application import Application
    from loopline.shells.dataplane.replies import Reply
    from loopline.usecases.serving.model import Desired
    from loopline.usecases.serving.model import Revision as Deployment
    from loopline.usecases.serving.options import Options

__all__ = ["COLD", "READY", "STARTING", "STOPPED", "UNFIT", "Revision", "fields_of"]
SLOWEST_RESTART_S = 5.0
DIE_TWICE = "The model's process died twice over this request."
# Options that a revision takes over as it stands; the others need it built anew.
IN_PLACE = {
    name: getattr(DEFAULTS, name)
    for name in (
        "batch_rows", "batch_wait_s", "timeout_s", "queue_rows", "idle_s", "memory_mb", "bake_s", "bake_errors",
        "bake_latency", "rules", "subject", "retention_days", "rate", "burst",
    )
}  # fmt: skip


class Revision(Batches, Deadlines):
    """One model version behind one endpoint, with its processes. All methods run on the loop."""

    def __init__(self, app: Application, desired: Desired, deployment: Deployment) -> None:
        self.app = app
        self.endpoint = deployment.endpoint
        self.number = deployment.revision
        self.model = deployment.model
        self.version = deployment.version
        self.signature = deployment.signature
        self.state = COLD
        self.reason = ""
        self.changed = asyncio.Event()
        self.series = app.metrics.of(self.endpoint, self.number)
        self.tail = f'"version":{self.version},"revision":{self.number}}}'
        self.rules_around = deployment.rules  # those of the options are for deployments to come
        self.options: Options = msgspec.structs.replace(desired.endpoint.options, rules=self.rules_around)
        self.header = prediction_header(
            self.endpoint, app.ids.writer, self.number, self.model, self.version, self.signature, self.options
        )
        self.fields = fields_of(desired.endpoint)
        self.rows = Rows(
            self.signature, desired.endpoint.key, desired.endpoint.event_time, app.limits.rows, self.options,
            self._outside, app.limits.columnar_rows,
        )  # fmt: skip
        self.kinds = [kind_of(column) for column in self.signature.inputs]
        self._one_row = one_row(self.kinds)
        self.queue = Queue()
        self.workers: list[Worker] = []
        self.used = app.loop.time()
        self.source = Source(
            app.home,
            self.endpoint,
            self.number,
            self.model,
            self.version,
            app.installation,
            self.options.threads,
            inline=self.options.mode == "inline",
        )
        self._surroundings = app.surroundings
        self.adopt(self.options)
        self.inline: Inline | None = None
        self.inline_reason = ""  # why it is not, where it shall be
        self._idle: list[Worker] = []
        self._row_ns = 0.0
        self._scheduled = False
        self._held: Any = None
        self._alarm: Any = None
        self.deaths = 0  # of its processes, since it was made
        self._restarts = 0

    def adopt(self, options: Options) -> None:
        """Take over options that differ in nothing that it was built for."""
        self.options = msgspec.structs.replace(options, rules=self.rules_around)
        self._timeout_ns = round(options.timeout_s * 1e9)

    def _outside(self, field: str, reason: str, outcome: str) -> None:
        add = self.app.metrics.add
        add("values_outside", endpoint=self.endpoint, field=field, reason=reason, outcome=outcome)

    # Its life

    def wake(self) -> None:
        """Start the processes, unless they are; `state` and `changed` tell the outcome."""
        if self.state != COLD:
            return
        self.state = STARTING
        self.used = self.app.loop.time()
        for _ in range(self.options.workers):
            self.start_worker()

    def sleep(self) -> None:
        """Let go of processes that nobody needs; the next request wakes it. Nothing may wait or be under way."""
        self.state, self.inline = COLD, None
        self._end_workers()
        self.app.metrics.add("models_unloaded", endpoint=self.endpoint)

    def stop(self) -> None:
        """Let the processes end for good; nothing may wait any more."""
        self.state = STOPPED
        self.changed.set()
        for timer in (self._alarm, self._held):
            if timer is not None:
                timer.cancel()
        self._end_workers()
        if not self.app.ended:
            self.app.recorder.close(self.header)

    def idle(self) -> bool:
        """Whether nothing waits or is under way."""
        return not self.queue and not any(worker.sent for worker in self.workers)

    def start_worker(self, replaces: Worker | None = None) -> Worker:
        """One more process; `replaces` ends as soon as it is ready."""
        worker = Worker(self, self.app.loop.time(), replaces)
        self.workers.append(worker)
        self.app.awake.add(self)
        self.app.spawn(self._start(worker))
        return worker

    async def _start(self, worker: Worker) -> None:
        if worker.leaving or not await self._settled(worker):
            return
        worker.link = Link(self.source, worker, self.app.nursery)
        try:
            await worker.link.start(self.app.loop)
        except OSError as error:
            self.on_failed(worker, f"Its process could not be started ({error.strerror}).")
            self.on_lost(worker)

    async def _settled(self, worker: Worker) -> bool:
        """Whether it is known in which environment the model runs, and that is there; asked once, beside the loop."""
        if self._surroundings is None:
            return not worker.leaving
        try:
            python = await self.app.loop.run_in_executor(None, self._surroundings, self.endpoint, self.number)
        except LooplineError as error:
            self.on_failed(worker, error.message)
            self.on_lost(worker)
            return False
        self.source, self._surroundings = dataclasses.replace(self.source, python=python or None), None
        worker.started_at = self.app.loop.time()
        return not worker.leaving

    def replace(self, worker: Worker) -> None:
        """Start another in place of one that has grown too large, which ends when that is ready: nobody waits for it."""
        if not any(each.replaces is worker for each in self.workers):
            self.app.metrics.add("model_processes_replaced", endpoint=self.endpoint)
            self.start_worker(worker)

    def _leave(self, worker: Worker) -> None:
        worker.leaving = True
        if worker.sent is None:
            self._end(worker)

    def _end_workers(self) -> None:
        for worker in list(self.workers):
            self._end(worker)

    def _end(self, worker: Worker) -> None:
        worker.stop()
        self.workers.remove(worker)
        if not self.workers:
            self.app.awake.discard(self)
        if worker in self._idle:
            self._idle.remove(worker)
        if worker.link is not None:
            self.app.bury(worker.link)

    # Requests

    def submit(
        self, exchange: Any, rows: list[tuple[Any, ...]], reply: Reply, arm: str = LIVE, explain: bool = False
    ) -> Item:
        """Take one valid request; it is answered later, and logged under `arm`. Raises Fault when too much waits already."""
        if self.queue.rows and self.queue.rows + len(rows) > self.options.queue_rows:
            raise self._full()
        exchange.label = self.series
        explain = explain or self.options.explain
        ids = self.app.ids
        number = ids.next(len(rows) > 1)
        item = Item(
            exchange, rows, reply, arm, explain, exchange.caller.name, exchange.started + self._timeout_ns, number,
            ids.ms, ids.counter,
        )  # fmt: skip
        if self.app.watch is not None:  # else it would only be a cycle for the garbage collector
            exchange.item = item
        self.queue.put(item)
        self.used = self.app.now
        if self.state == COLD:
            self.wake()
        if self._alarm is None:
            self._alarm = self.app.loop.call_later(self.options.timeout_s, self._ring)
        self._soon()
        return item

    def _full(self) -> Fault:
        text = (
            f"Endpoint {self.endpoint!r} has {self.queue.rows} rows waiting, of {self.options.queue_rows} (queue_rows)"
        )
        if self.up():
            return Fault(429, f"{text}.", "Send fewer at a time, or try again in a moment.", RETRY)
        return unavailable(f"{text}, and its model is not up yet.")

    # The workers call these

    def on_ready(self, worker: Worker) -> None:
        self.state = READY
        self._idle.append(worker)
        if worker.replaces in self.workers:
            self._leave(worker.replaces)
        if self.options.mode == "inline" and self.inline is None and self.app.runs_inline:
            self.app.spawn(self._go_inline(worker))
        elif all(each.ready for each in self.workers):
            self.changed.set()
        self._soon()
        self.app.residents.loaded(self)

    def on_failed(self, worker: Worker, reason: str) -> None:
        if not (self.up() and self.changed.is_set()):  # else the others go on
            self.state, self.reason = UNFIT, reason
            self.changed.set()
        print(f"data plane: {self.endpoint} revision {self.number}: {reason}", file=sys.stderr, flush=True)

    def on_answer(self, worker: Worker, sent: Sent, predictions: Any, faults: list[Any], explained: Any) -> None:
        self._restarts = 0
        self._row_ns = 0.8 * self._row_ns + 0.2 * (time.perf_counter_ns() - sent.at_ns) / sent.rows
        if worker.leaving:
            self._end(worker)
        elif self.queue and not self._hold(sent):
            self._give(worker, self.options.batch_rows)  # the process works on while we answer
        else:
            self._idle.append(worker)
        answer(self, sent, predictions, faults, explained)

    def on_lost(self, worker: Worker) -> None:
        if worker not in self.workers:  # we let it go
            return
        left, (sent, worker.sent) = worker.leaving, (worker.sent, None)
        self.deaths += not left
        self._end(worker)
        if sent is not None:
            self._again(sent.items)
        if not left or not self.workers:
            self._restart()
        self._soon()

    def _again(self, items: list[Item]) -> None:
        items = [item for item in items if not item.given_up]
        self.queue.put_back(item for item in items if item.attempts < 2)
        self.app.metrics.add("requests_sent_again", len(items), endpoint=self.endpoint)
        for item in items:
            if item.attempts >= 2:
                item.exchange.refuse(unavailable(DIE_TWICE))

    def _restart(self) -> None:
        """Start a process in place of one that died, ever more slowly; a revision that never was ready stays down."""
        if not self.changed.is_set():
            self.reason = self.reason or "Its process died before it was ready."
            self.state = UNFIT
            self.changed.set()
        if self.state == UNFIT:
            for item in self.queue.all():
                item.exchange.refuse(unavailable(f"The model of endpoint {self.endpoint!r} does not load."))
            if not self.app.is_live(self):
                return
        self.state = READY if self.up() or self.inline is not None else STARTING
        self.app.metrics.add("model_processes_restarted", endpoint=self.endpoint)
        delay = 0.0 if self._restarts == 0 else min(SLOWEST_RESTART_S, 0.2 * 2**self._restarts)
        self._restarts += 1
        self.app.loop.call_later(delay, self._start_again)

    def _start_again(self) -> None:
        if self.state in (STARTING, READY) and len(self.workers) < self.options.workers and not self.app.ended:
            self.start_worker()


def fields_of(endpoint: Any) -> tuple[Any, ...]:
    """What a revision was built for besides its version: when any of it changes, it is built anew beside the old one."""
    return (endpoint.key, endpoint.event_time, msgspec.structs.replace(endpoint.options, **IN_PLACE))
