"""The prediction log off the hot path: batches gather in memory and a thread writes and fsyncs them every 50 ms."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from loopline.shells.dataplane.answers import unavailable
from loopline.shells.dataplane.metrics import Metrics
from loopline.usecases.serving.records.segments import Header
from loopline.usecases.serving.records.writing import Batch, PredictionLog

RETRY_S = 0.5
DISK = "The endpoint answers only what is on disk (durable); look after the disk, or try again."
Waiting = list[tuple[Any, bytes]]


class Recorder:
    """A prediction is acknowledged when `flushed` counts it: then it is on disk.

    A disk that fails stops nothing: batches are kept, written to a new segment later, and beyond a bound the oldest
    are dropped and counted.
    """

    def __init__(
        self, home: Path, loop: Any, executor: Executor, metrics: Metrics, flush_s: float, most_rows: int
    ) -> None:
        self.recorded = 0
        self.flushed = 0
        self._home = home
        self._loop = loop
        self._executor = executor
        self._metrics = metrics
        self._limits = flush_s, most_rows
        self._waiting: dict[Header, list[Batch]] = {}
        self._oldest = 0.0
        self._timer: Any = None
        self._writing = False
        self._failed = False
        self._closing: set[Header] = set()
        self._logs: dict[Header, PredictionLog] = {}  # only the thread touches it
        self._then: list[Callable[[], None]] = []
        self._answers: dict[Header, list[tuple[Batch, Waiting]]] = {}
        self._at_once = False

    def record(self, header: Header, batch: Batch) -> None:
        """Take one batch; costs a list's append."""
        self._waiting.setdefault(header, []).append(batch)
        self.recorded += batch.rows
        if self._timer is None and not self._writing:
            self._oldest = time.monotonic()
            self._timer = self._loop.call_later(self._limits[0], self._flush)

    def record_durably(self, header: Header, batch: Batch, waiting: Waiting) -> None:
        """Take one batch whose requests are answered once it is on disk; all that come while the disk is busy share the
        next fsync. When the disk refuses, so are the requests, and the batch is not kept."""
        self._waiting.setdefault(header, []).append(batch)
        self._answers.setdefault(header, []).append((batch, waiting))
        self.recorded += batch.rows
        self._oldest = self._oldest or time.monotonic()
        if not self._writing and not self._at_once:
            self._flush_soon()

    def lag(self) -> float:
        """For how many seconds the oldest record has waited; 0 when all is on disk."""
        return time.monotonic() - self._oldest if self._oldest else 0.0

    def close(self, header: Header) -> None:
        """Free a revision's segment for sealing at the next flush."""
        self._closing.add(header)
        self._waiting.setdefault(header, [])
        if self._timer is None and not self._writing:
            self._timer = self._loop.call_later(self._limits[0], self._flush)

    def flush_now(self, then: Callable[[], None]) -> None:
        """Write what waits, then call `then` on the loop, also when the disk refuses."""
        self._then.append(then)
        if not self._writing:
            if self._timer is not None:
                self._timer.cancel()
            self._flush()

    def rotate(self) -> None:
        """Free segments that are old; asked once in a while."""
        if not self._writing and self._timer is None:
            self._executor.submit(self._rotate)

    def shut(self) -> None:
        """Close all segments; the thread must be idle."""
        for log in self._logs.values():
            log.close()

    def _flush_soon(self) -> None:
        """In this turn of the loop, so that all of its batches share the write."""
        if self._timer is not None:
            self._timer.cancel()
        self._at_once = True
        self._timer = self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._timer = None
        self._writing, self._at_once = True, False
        taken, self._waiting = self._waiting, {}
        answers, self._answers = self._answers, {}
        closing, self._closing = self._closing, set()
        future = self._loop.run_in_executor(self._executor, self._write, taken, closing)
        future.add_done_callback(lambda done: self._written(taken, answers, done))

    def _write(
        self, taken: dict[Header, list[Batch]], closing: set[Header]
    ) -> tuple[int, dict[Header, list[Batch]], str]:
        """In the thread: (rows on disk, what could not be written, why)."""
        rows, left, why = 0, {}, ""
        for header, batches in taken.items():
            try:
                rows += self._log(header).write(batches) if batches else 0
            except OSError as error:
                left[header], why = batches, f"{error.strerror} ({error.errno})"
        for header in closing - left.keys():
            log = self._logs.pop(header, None)
            if log is not None:
                log.close()
        return rows, left, why

    def _written(
        self, taken: dict[Header, list[Batch]], answers: dict[Header, list[tuple[Batch, Waiting]]], done: Any
    ) -> None:
        error = done.exception()
        rows, left, why = (0, taken, repr(error)) if error else done.result()
        self.flushed += rows
        self._writing = False
        self._answer(answers, left, why)
        left = {header: batches for header, batches in left.items() if batches}
        self._keep(left)
        if bool(why) != self._failed:
            self._failed = bool(why)
            print(f"prediction log: {why or 'writing again'}", file=sys.stderr, flush=True)
        self._oldest = time.monotonic() if self._waiting and not left else self._oldest if left else 0.0
        if self._waiting and not left and (self._then or self._answers):
            self._flush()  # somebody waits until nothing waits
            return
        if self._answers:
            self._flush_soon()
            return
        if self._waiting:
            self._timer = self._loop.call_later(RETRY_S if left else self._limits[0], self._flush)
        then, self._then = self._then, []
        for call in then:
            call()

    def _answer(
        self, answers: dict[Header, list[tuple[Batch, Waiting]]], left: dict[Header, list[Batch]], why: str
    ) -> None:
        """Answer the requests whose records are on disk, refuse the others: those records are not written later."""
        for header, pairs in answers.items():
            refused = {id(batch) for batch, _ in pairs} if header in left else set()
            for batch, waiting in pairs:
                for exchange, body in waiting:
                    if refused:
                        exchange.refuse(unavailable(f"The prediction could not be recorded: {why}.", DISK))
                    else:
                        exchange.ok(body)
                if refused:
                    self.recorded -= batch.rows
                    self._metrics.add("predictions_refused_by_disk", batch.rows)
            if refused:
                left[header] = [batch for batch in left[header] if id(batch) not in refused]

    def _keep(self, left: dict[Header, list[Batch]]) -> None:
        for header, batches in left.items():
            self._waiting[header] = batches + self._waiting.get(header, [])
        if not left:
            return
        total = sum(batch.rows for batches in self._waiting.values() for batch in batches)
        for batches in self._waiting.values():
            while batches and total > self._limits[1]:
                dropped = batches.pop(0).rows
                total -= dropped
                self._metrics.add("predictions_not_logged", dropped)

    def _log(self, header: Header) -> PredictionLog:
        if header not in self._logs:
            self._logs[header] = PredictionLog(self._home, header)
        return self._logs[header]

    def _rotate(self) -> None:
        for log in self._logs.values():
            log.rotate()
