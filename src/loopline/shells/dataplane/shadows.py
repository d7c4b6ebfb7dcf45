"""Shadows: revisions that are sent copies of answered requests, and whose answers nobody waits for.

A copy is made after its request was answered, waits in a queue of its own that is bounded and drops what does not fit,
and is worked on by a process of lower priority. Its record carries the id of the request it is a copy of, in a log of
its own, so that both can be joined and nobody takes it for an answer.
"""

from __future__ import annotations

import time
from collections import deque
from contextlib import suppress
from random import random
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from loopline.core.verbs import Caller, Role
from loopline.shells.dataplane.answers import Fault
from loopline.shells.dataplane.choosing import picked
from loopline.shells.dataplane.revision import COLD, READY
from loopline.usecases.serving.records.segments import Header
from loopline.usecases.serving.records.writing import Batch
from loopline.usecases.serving.traffic import Arm

if TYPE_CHECKING:
    from loopline.shells.dataplane.application import Application
    from loopline.shells.dataplane.recorder import Recorder
    from loopline.shells.dataplane.revision import Revision

MOST_ROWS = 2000
AT_ONCE_ROWS = 256
NICE = 10


class GivenIds:
    """Hands out the id of the request that is copied, in place of a new one."""

    def __init__(self, writer: int) -> None:
        self.writer = writer
        self.id = ""
        self.ms = 0
        self.counter = 0

    def give(self, item: Any) -> None:
        """What `next` answers."""
        self.id, self.ms, self.counter = item.id, item.ms, item.counter

    def next(self, several: bool) -> str:
        """As in `Ids`."""
        return self.id


class Notes:
    """The log of shadows: predictions and latencies under the ids of the copied requests. It lies apart from the log of
    what was answered, and holds no inputs: those are in the record of the request itself."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def record(self, header: Header, batch: Batch) -> None:
        """As in `Recorder`."""
        self._recorder.record(bare(header), replace(batch, columns=[], key=None, event=None, explanation=None))

    def record_durably(self, header: Header, batch: Batch, waiting: list[tuple[Any, bytes]]) -> None:
        """As in `Recorder`; nobody waits for the disk."""
        self.record(header, batch)
        for copy, body in waiting:
            copy.ok(body)

    def close(self, header: Header) -> None:
        """As in `Recorder`."""
        self._recorder.close(bare(header))


def bare(header: Header) -> Header:
    """The header of records without inputs."""
    return replace(header, inputs=(), sample=1.0, redact=())


class ShadowApp:
    """The application as a shadow's revision sees it: ids are those of the copied requests, records go elsewhere."""

    def __init__(self, app: Application, recorder: Recorder) -> None:
        self._app = app
        self.ids = GivenIds(app.ids.writer)
        self.recorder = Notes(recorder)
        self.watch = None
        self.runs_inline = False  # the router's time is its callers'

    def __getattr__(self, name: str) -> Any:
        return getattr(self._app, name)


class Copy:
    """One copied request in place of an exchange; `started` is when it was made."""

    def __init__(self, shadow: Shadow, caller: str, rows: int) -> None:
        self.caller = Caller(caller, Role.VIEWER)
        self.started = time.perf_counter_ns()
        self.headers: dict[bytes, bytes] = {}
        self.body = b""
        self.form: Any = None
        self.label: Any = None
        self.item: Any = None
        self.gone = False
        self._shadow = shadow
        self._rows = rows

    def ok(self, body: Any) -> None:
        """It was predicted, and is logged."""
        self._done()
        self._shadow.answered += 1

    def refuse(self, fault: Fault) -> None:
        """It was not."""
        self._done()
        self._shadow.failed += 1

    def _done(self) -> None:
        self._shadow.waiting -= self._rows


class Nothing:
    """A reply that nobody reads."""

    def body(self, revision: Any, item: Any, values: Any) -> bytes:
        return b""


class Shadow:
    """One shadow: a share of the requests, copied to one revision. Counts: `answered` and `failed` copies, those
    `dropped` because too many waited or the revision was not up."""

    def __init__(self, app: Application, arm: Arm, beside: dict[int, Revision]) -> None:
        self.arm = arm
        self.waiting = 0
        self.answered = 0
        self.failed = 0
        self.dropped = 0
        self._app = app
        self._beside = beside
        self._queue: deque[tuple[Any, Any, list[str]]] = deque()
        self._scheduled = False

    def offer(self, item: Any, rows: Any, fields: list[str]) -> None:
        """Take a copy of an answered request, or drop it: never more than an append."""
        if random() >= self.arm.share:  # noqa: S311 (chance, no secret)
            return
        if self.waiting + len(rows) > MOST_ROWS:
            self.dropped += 1
            return
        self.waiting += len(rows)
        self._queue.append((item, rows, fields))
        if not self._scheduled:
            self._scheduled = True
            self._app.loop.call_soon(self._drain)

    def _drain(self) -> None:
        """Give a part of the queue to the revision; the loop turns between two parts."""
        taken = 0
        while self._queue and taken < AT_ONCE_ROWS:
            item, rows, fields = self._queue.popleft()
            taken += len(rows)
            self._give(item, rows, fields)
        self._scheduled = bool(self._queue)
        if self._queue:
            self._app.loop.call_soon(self._drain)

    def _give(self, item: Any, rows: Any, fields: list[str]) -> None:
        revision = self._beside.get(self.arm.revision)
        if revision is None or revision.state not in (READY, COLD):
            self.waiting -= len(rows)
            self.dropped += 1
            return
        copy = Copy(self, item.caller, len(rows))
        ids: Any = revision.app.ids
        ids.give(item)
        try:
            made = revision.submit(copy, picked(rows, fields, revision.rows.fields), Nothing(), self.arm.name)
            made.first = item.first
        except Fault:
            self.waiting -= len(rows)
            self.dropped += 1


def humble(pid: int) -> None:
    """Have a process work only when others do not want to."""
    import os

    if pid <= 0:  # 0 would be ourselves
        return
    with suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, pid, NICE)
