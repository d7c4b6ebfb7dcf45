"""How the requests of a revision become batches, and which process, or the router itself, gets the next one."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any

from loopline.core.errors import LooplineError
from loopline.shells.dataplane.answering import answer
from loopline.shells.dataplane.answers import Fault
from loopline.shells.dataplane.inline import Inline, loaded
from loopline.shells.dataplane.workers import STOPPED, Sent, Worker
from loopline.usecases.serving.records.columns import made_up, pack

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

    from loopline.core.tables import Signature
    from loopline.shells.dataplane.application import Application
    from loopline.shells.dataplane.metrics import Series
    from loopline.shells.dataplane.queues import Item, Queue
    from loopline.usecases.serving.options import Options

SPLIT_NS = 500_000  # a batch that takes less is not worth sharing out


class Batches:
    """The part of a revision that hands out batches. An idle process gets what one turn of the loop has read."""

    app: Application
    endpoint: str
    number: int
    signature: Signature
    series: Series
    state: str
    changed: asyncio.Event
    options: Options
    queue: Queue
    kinds: list[str]
    workers: list[Worker]
    inline: Inline | None
    inline_reason: str
    _one_row: Callable[[Sequence[Any]], list[Any]]
    _idle: list[Worker]
    _row_ns: float
    _scheduled: bool
    _held: Any

    def _soon(self) -> None:
        can = self._idle or self.inline is not None
        if can and not self._scheduled and (self._held is None or self.queue.rows >= self.options.batch_rows):
            self._scheduled = True
            self.app.loop.call_soon(self._turn_over)

    def _turn_over(self) -> None:
        self._scheduled = False
        if self.inline is not None and self._answer_inline(self.inline):
            return
        most = self._share()
        while self.queue and self._idle and self.state != STOPPED:
            self._give(self._idle.pop(), most)

    def _answer_inline(self, inline: Inline) -> bool:
        """Predict a batch here; False when the next one is for a process: it is large, or wants an explanation."""
        first = self.queue.first()
        if first is None or first.explain or len(first.rows) > inline.most_rows:
            return False
        items = self._taken(min(self.options.batch_rows, inline.most_rows))
        try:
            if items:
                sent = self._packed(items)
                predictions, faults = inline.predict(sent.packed)
                answer(self, sent, predictions, faults, None)  # type: ignore[arg-type]
        except Exception as error:
            self._spoilt(items, error)
        if self.queue:
            self._soon()
        return True

    def _share(self) -> int:
        """Rows for each idle process: together they are quicker only where a row's arithmetic takes its time."""
        most = self.options.batch_rows
        if len(self._idle) > 1 and self._row_ns * self.queue.rows > SPLIT_NS:
            return min(most, math.ceil(self.queue.rows / len(self._idle)))
        return most

    def _hold(self, sent: Sent) -> bool:
        """Under load, a larger batch may be worth a moment: `batch_wait_s`, when the last one held several requests and
        more came while it was worked on."""
        wait = self.options.batch_wait_s
        if not wait or len(sent.items) < 2 or self.queue.rows >= self.options.batch_rows:
            return False
        if self._held is None:
            self._held = self.app.loop.call_later(wait, self._release)
        return True

    def _release(self) -> None:
        self._held = None
        self._soon()

    def _give(self, worker: Worker, most_rows: int) -> None:
        """The next batch, for an idle worker."""
        items = self._taken(most_rows)
        if not items:
            self._idle.append(worker)
            return
        try:
            worker.send(self._packed(items))
        except Exception as error:
            worker.sent = None
            self._idle.append(worker)
            self._spoilt(items, error)

    def _taken(self, most_rows: int) -> list[Item]:
        items = self.queue.take(most_rows)
        if self.queue.cancelled:
            self.app.metrics.add("requests_cancelled", self.queue.cancelled, endpoint=self.endpoint)
            self.queue.cancelled = 0
        return items

    def _packed(self, items: list[Item]) -> Sent:
        rows: list[tuple[Any, ...]] = []
        for item in items:
            item.attempts += 1
            rows += item.rows
        if len(rows) == 1:
            packed = self._one_row(rows[0])
        else:
            packed = [pack(kind, values) for kind, values in zip(self.kinds, zip(*rows, strict=True), strict=False)]
        sent = Sent(items, packed, len(rows))
        self.series.batches += 1
        self.series.rows += sent.rows
        if self.app.watch is not None:
            for item in items:
                item.sent_ns = sent.at_ns
        return sent

    def _spoilt(self, items: list[Item], error: Exception) -> None:
        """A fault of ours must not leave anybody without an answer."""
        self.app.complain(error)
        for item in items:
            item.exchange.refuse(Fault(400, "The rows cannot be given to the model.", "The server's log says why."))

    async def _go_inline(self, worker: Worker) -> None:
        """Predict in this process too, if what the worker hands over can be run here; else the reason is kept."""
        offered = worker.told.get("inline")
        reason = worker.told.get("not_inline", "")
        try:
            if offered:
                row = made_up(self.signature)
                self.inline = await self.app.loop.run_in_executor(
                    self.app.decoding, loaded, *offered, self.signature, row
                )
        except Exception as error:
            reason = error.message if isinstance(error, LooplineError) else f"{type(error).__name__}: {error}"
        if self.state == STOPPED:
            self.inline = None
        self.inline_reason = "" if self.inline is not None else reason
        if self.inline_reason:
            told = f"data plane: {self.endpoint} revision {self.number} runs in a process, not inline: {reason}"
            print(told, file=sys.stderr, flush=True)
        if all(each.ready for each in self.workers):
            self.changed.set()
        self._soon()
