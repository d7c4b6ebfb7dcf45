"""A revision being served: requests gather while its process works and go out together as the next batch.

No timer is involved: an idle process gets what one turn of the event loop has read, a busy one gets everything that
came meanwhile. If the process dies, what it had is sent once more to its successor (predicting changes nothing), then
refused; what waits is refused after a bound.
"""

from __future__ import annotations

import asyncio
import sys
import time
from array import array
from collections import deque
from typing import TYPE_CHECKING, Any

from loopline.shells.dataplane.answers import NO_MODEL, Fault, unavailable
from loopline.shells.dataplane.link import Link, Source
from loopline.shells.dataplane.rows import Rows, ms_of_time
from loopline.shells.dataplane.served import LIVE
from loopline.usecases.serving.records.columns import kind_of, pack
from loopline.usecases.serving.records.writing import Batch, prediction_header

if TYPE_CHECKING:
    from loopline.shells.dataplane.application import Application
    from loopline.shells.dataplane.replies import Reply
    from loopline.usecases.serving.model import Desired
    from loopline.usecases.serving.model import Revision as Deployment
    from loopline.usecases.serving.options import Options

STARTING, READY, UNFIT, STOPPED = "starting", "ready", "unfit", "stopped"
SLOWEST_RESTART_S = 5.0
DIE_TWICE = "The model's process died twice over this request."


class Item:
    """One request waiting for its predictions."""

    __slots__ = ("arm", "attempts", "caller", "counter", "exchange", "id", "ms", "reply", "rows", "sent_ns", "since")

    def __init__(
        self, exchange: Any, rows: list[tuple[Any, ...]], reply: Reply, ids: Any, now: float, arm: str
    ) -> None:
        self.exchange = exchange
        self.arm = arm
        self.caller: str = exchange.caller.name
        self.rows = rows
        self.reply = reply
        self.id: str = ids.next(len(rows) > 1)
        self.ms: int = ids.ms
        self.counter: int = ids.counter
        self.attempts = 0
        self.sent_ns = 0  # on the performance counter, kept only while somebody watches
        self.since = now


class Revision:
    """One model version behind one endpoint, with its process. All methods run on the loop."""

    def __init__(self, app: Application, desired: Desired, deployment: Deployment) -> None:
        self.app = app
        self.endpoint = deployment.endpoint
        self.number = deployment.revision
        self.model = deployment.model
        self.version = deployment.version
        self.signature = deployment.signature
        self.state = STARTING
        self.reason = ""
        self.changed = asyncio.Event()
        self.series = app.metrics.of(self.endpoint, self.number)
        self.tail = f'"version":{self.version},"revision":{self.number}}}'
        self.header = prediction_header(
            self.endpoint, app.ids.writer, self.number, self.model, self.version, self.signature
        )
        self.options: Options = desired.endpoint.options
        self.fields = fields_of(desired.endpoint)
        self.rows = Rows(self.signature, desired.endpoint.key, desired.endpoint.event_time, app.limits.rows)
        self._kinds = [kind_of(column) for column in self.signature.inputs]
        self._pending: deque[Item] = deque()
        self._pending_rows = 0
        self._sent: list[Item] = []
        self._packed: list[Any] = []
        self._number = 0
        self._sent_at = 0.0
        self._started_at = app.loop.time()
        self._scheduled = False
        self._restarts = 0
        self._link: Link | None = None

    async def start(self) -> None:
        """Start the process; `state` and `changed` tell the outcome."""
        if self.state == STOPPED:
            return
        self._started_at = self.app.loop.time()
        source = Source(self.app.home, self.endpoint, self.number, self.model, self.version, self.app.installation)
        self._link = Link(source, self)
        try:
            await self._link.start(self.app.loop)
        except OSError as error:
            self.on_failed(f"Its process could not be started ({error.strerror}).")
            if self.app.is_live(self):
                self._restart()

    def submit(self, exchange: Any, rows: list[tuple[Any, ...]], reply: Reply, arm: str = LIVE) -> None:
        """Take one valid request; it is answered later, and logged under `arm`. Raises Fault when too much waits already."""
        if self._pending_rows + len(rows) > self.app.limits.waiting_rows:
            raise unavailable(f"Endpoint {self.endpoint!r} has too many rows waiting.")
        exchange.label = self.series
        item = exchange.item = Item(exchange, rows, reply, self.app.ids, self.app.now, arm)
        self._pending.append(item)
        self._pending_rows += len(rows)
        self._soon()

    def idle(self) -> bool:
        """Whether nothing waits or is under way."""
        return not self._pending and not self._sent

    def stop(self) -> None:
        """Let the process end; nothing may wait any more. One that still loads its model is ended at once."""
        loads, self.state = self.state == STARTING, STOPPED
        self.changed.set()
        if self._link is not None:
            self._link.stop()
            if loads:
                self._link.kill()
            self.app.bury(self._link)
        if not self.app.ended:
            self.app.recorder.close(self.header)

    def watch(self, now: float) -> None:
        """Refuse what waited too long and end a process that hangs; asked once a second."""
        limits = self.app.limits
        hangs = self._sent and now - self._sent_at > limits.model_s
        slow = self.state == STARTING and now - self._started_at > limits.start_s
        if (hangs or slow) and self._link is not None:
            self.app.metrics.add("model_processes_hung")
            self._link.kill()
        if self.state != READY:
            while self._pending and now - self._pending[0].since > limits.wait_s:
                self._refuse(self._taken(), unavailable(f"The model of endpoint {self.endpoint!r} is not up yet."))

    # The link calls these

    def on_ready(self) -> None:
        self.state = READY
        self._restarts = 0
        self.changed.set()
        self._soon()

    def on_failed(self, reason: str) -> None:
        self.state = UNFIT
        self.reason = reason
        self.changed.set()
        print(f"data plane: {self.endpoint} revision {self.number}: {reason}", file=sys.stderr, flush=True)

    def on_answer(self, number: int, predictions: Any, faults: list[Any]) -> None:
        if number != self._number or not self._sent:
            return
        items, packed = self._sent, self._packed
        self._sent, self._packed = [], []
        if self._pending:
            self._send()  # the process works on while we answer
        values = predictions
        if isinstance(predictions, bytes):
            values = array("d")
            values.frombytes(predictions)
        if faults:
            self._answer_some(items, values, dict(faults))
        else:
            self._answer_all(items, values, predictions, packed)

    def on_lost(self) -> None:
        if self.state == STOPPED:
            return
        again = [item for item in self._sent if item.attempts < 2]
        given_up = [item for item in self._sent if item.attempts >= 2]
        self._sent, self._packed = [], []
        self._pending.extendleft(reversed(again))
        self._pending_rows += sum(len(item.rows) for item in again)
        self.app.metrics.add("requests_sent_again", len(again))
        for item in given_up:
            self._refuse(item, unavailable(DIE_TWICE))
        if self._link is not None:
            self.app.bury(self._link)
        self._restart()

    def _restart(self) -> None:
        """Start the process again, ever more slowly; a revision that never was ready stays down."""
        if not self.changed.is_set():
            self.on_failed("Its process died before it was ready.")
        if self.state == UNFIT:
            while self._pending:
                self._refuse(self._taken(), unavailable(f"The model of endpoint {self.endpoint!r} does not load."))
            if not self.app.is_live(self):
                return
        self.state = STARTING
        self._started_at = self.app.loop.time()
        self.app.metrics.add("model_processes_restarted")
        delay = 0.0 if self._restarts == 0 else min(SLOWEST_RESTART_S, 0.2 * 2**self._restarts)
        self._restarts += 1
        self.app.loop.call_later(delay, self._start_again)

    def _start_again(self) -> None:
        if self.state == STARTING and not self.app.ended:
            self.app.spawn(self.start())

    # Batches

    def _soon(self) -> None:
        if not self._scheduled and not self._sent and self.state == READY:
            self._scheduled = True
            self.app.loop.call_soon(self._turn_over)

    def _turn_over(self) -> None:
        self._scheduled = False
        if self._pending and not self._sent and self.state == READY:
            self._send()

    def _send(self) -> None:
        try:
            self._send_batch()
        except Exception as error:  # a fault of ours must not leave anybody without an answer
            self.app.complain(error)
            items, self._sent = self._sent, []
            for item in items:
                self._refuse(item, Fault(400, "The rows cannot be given to the model.", "The server's log says why."))

    def _send_batch(self) -> None:
        pending, items = self._pending, self._sent
        rows: list[tuple[Any, ...]] = []
        most = self.app.limits.batch_rows
        while pending and (not rows or len(rows) + len(pending[0].rows) <= most):
            item = pending.popleft()
            item.attempts += 1
            items.append(item)
            rows += item.rows
        self._pending_rows -= len(rows)
        self._number += 1
        self._sent_at = self.app.now
        if self.app.watch is not None:
            sent = time.perf_counter_ns()
            for item in items:
                item.sent_ns = sent
        columns = list(zip(*rows, strict=True))
        self._packed = [pack(kind, values) for kind, values in zip(self._kinds, columns, strict=False)]
        if self._link is not None:
            self._link.send(self._number, self._packed)

    def _answer_all(self, items: list[Item], values: Any, predictions: Any, packed: list[Any]) -> None:
        now, start = time.perf_counter_ns(), 0
        latencies, numbers = array("i"), array("i")
        for item in items:
            count = len(item.rows)
            item.exchange.ok(item.reply.body(self, item, values[start : start + count]))
            spent = min((now - item.exchange.started) // 1000, 0x7FFFFFFF)
            if count == 1:
                latencies.append(spent)
                numbers.append(-1)
            else:
                latencies.extend([spent] * count)
                numbers.extend(range(count))
            start += count
        self.app.recorder.record(self.header, self._batch(items, latencies, numbers, predictions, packed))

    def _answer_some(self, items: list[Item], values: Any, faults: dict[int, str]) -> None:
        """Some rows could not be scored: their requests are refused, the others answered and logged."""
        start = 0
        for item in items:
            places = range(start, start + len(item.rows))
            bad = next((place for place in places if place in faults), None)
            if bad is not None:
                where = f"Row {bad - start}: " if len(item.rows) > 1 else ""
                message = f"{where}the model could not score this row: {faults[bad]}"
                self._refuse(
                    item, Fault(NO_MODEL, message, "Compare the row with those that the model was trained on.")
                )
            else:
                part = values[start : places.stop]
                columns = list(zip(*item.rows, strict=True))
                packed = [pack(kind, column) for kind, column in zip(self._kinds, columns, strict=False)]
                self._answer_all([item], part, part.tobytes() if isinstance(part, array) else part, packed)
            start = places.stop

    def _batch(self, items: list[Item], latencies: Any, numbers: Any, predictions: Any, packed: list[Any]) -> Batch:
        if len(items) == len(latencies):
            ms, counters = array("q", [item.ms for item in items]), array("q", [item.counter for item in items])
        else:
            ms = array("q", [item.ms for item in items for _ in item.rows])
            counters = array("q", [item.counter for item in items for _ in item.rows])
        key_at, event_at = self.rows.key_at, self.rows.event_at
        key = event = None
        if key_at is not None:
            key = [_text(row[key_at]) for item in items for row in item.rows]
        if event_at is not None:
            event = array("q", [ms_of_time(row[event_at]) for item in items for row in item.rows]).tobytes()
        return Batch(
            len(latencies), ms.tobytes(), counters.tobytes(), numbers.tobytes(), latencies.tobytes(), event, key,
            predictions, packed, [item.arm for item in items for _ in item.rows],
            [item.caller for item in items for _ in item.rows],
        )  # fmt: skip

    def _taken(self) -> Item:
        item = self._pending.popleft()
        self._pending_rows -= len(item.rows)
        return item

    def _refuse(self, item: Item, fault: Fault) -> None:
        item.exchange.refuse(fault)


def fields_of(endpoint: Any) -> tuple[Any, ...]:
    """What a revision was built for besides its version: when any of it changes, it is built anew beside the old one."""
    return (endpoint.key, endpoint.event_time, endpoint.options)


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else str(value)
