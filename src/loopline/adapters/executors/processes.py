"""Calls in a warm pool of spawned worker processes: a call's crash costs that call and one process."""

from __future__ import annotations

import contextlib
import os
import select
import tempfile
import threading
import time
from collections import deque
from concurrent.futures import Future
from pathlib import Path

import msgspec

import loopline
from loopline.adapters.executors.ending import ended, late, over_memory, stopped, unstarted
from loopline.adapters.executors.watching import Watch, family
from loopline.adapters.executors.worker import Key, Worker
from loopline.core.errors import Unavailable
from loopline.ports.executor import Call, Outcome

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Outcome).decode
_TOLERANCE = 1e-9


class Pending:
    """A call that waits (no worker) or runs."""

    __slots__ = ("began", "call", "cpu", "deadline", "end", "future", "key", "worker")

    def __init__(self, call: Call, slots: int) -> None:
        self.call = call
        self.future: Future[Outcome] = Future()
        self.key: Key = (call.python, tuple(sorted(call.environment.items())) if call.environment else ())
        self.cpu = min(call.cpu, float(slots)) if call.cpu > 0 else 1.0
        self.worker: Worker | None = None
        self.began = self.deadline = 0.0
        self.end: Outcome | None = None  # why it is being ended


class Processes:
    """At most `slots` idle processes, started with the first calls and kept warm, one kind for each interpreter and
    environment, until another kind needs the room or `close`.

    A call goes to an idle process at once. All else is the matter of one thread, which starts the processes (the kernel
    ends their guards with that very thread), takes in outcomes and looks after limits.
    """

    def __init__(self, slots: int = 2, guards: int = 1) -> None:
        self.slots = slots
        self._guards = guards
        self._lock = threading.RLock()
        self._waiting: deque[Pending] = deque()
        self._calls: dict[Future[Outcome], Pending] = {}
        self._workers: dict[int, Worker] = {}
        self._running: dict[Worker, Pending] = {}
        self._used = 0.0
        self._limited = 0  # running calls with a time limit
        self._blocked = False  # whether some pipe did not take a whole call
        self._closed = False
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        self._package: tempfile.TemporaryDirectory[str] | None = None
        self._watch = Watch()
        self._thread: threading.Thread | None = None

    def submit(self, call: Call) -> Future[Outcome]:
        pending = Pending(call, self.slots)
        content = _encode(call)
        with self._lock:
            if self._closed:
                raise Unavailable("The workers are closed.", "Open the installation again.")
            self._calls[pending.future] = pending
            worker = None if self._waiting else self._idle(pending)
            if worker is not None:
                self._begin(worker, pending, content)
            else:
                self._waiting.append(pending)
            if worker is None or worker.unsent or call.timeout or call.memory:
                self._wake()
        return pending.future

    def stop(self, future: Future[Outcome]) -> None:
        with self._lock:
            pending = self._calls.get(future)
            if pending is None:
                return
            outcome = stopped(pending.call)
            if pending.worker is not None:
                pending.end = pending.end or outcome
                pending.worker.kill()
                return
            del self._calls[future]
        if claimed(future):
            future.set_result(outcome)

    def log(self, future: Future[Outcome]) -> bytes:
        with self._lock:
            pending = self._calls.get(future)
            return pending.worker.log() if pending is not None and pending.worker is not None else b""

    def close(self) -> None:
        with self._lock:
            first, self._closed = not self._closed, True
            self._wake()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        if first and self._thread is None:
            self._release()

    def tidy(self) -> None:
        """End idle processes below which calls left something running, and that with them."""
        with self._lock:
            for worker in self._workers.values():
                if worker not in self._running and len(family(worker.pid)) > self._guards + 1:
                    worker.kill()

    def _idle(self, pending: Pending) -> Worker | None:
        """A worker that could take the call now."""
        if self._used + pending.cpu > self.slots + _TOLERANCE:
            return None
        for worker in self._workers.values():
            if worker.key == pending.key and worker not in self._running and not worker.doomed:
                return worker
        return None

    def _begin(self, worker: Worker, pending: Pending, content: bytes) -> None:
        """Give a call to a worker, unless it was cancelled meanwhile."""
        if not claimed(pending.future):
            self._calls.pop(pending.future, None)
            return
        self._running[worker] = pending
        self._used += pending.cpu
        self._limited += pending.call.timeout > 0
        pending.worker = worker
        if worker.ready:
            self._clock(worker, pending)
        with contextlib.suppress(BrokenPipeError):  # its end is noticed in a moment
            self._blocked = not worker.send(content) or self._blocked

    def _clock(self, worker: Worker, pending: Pending) -> None:
        """The call begins now: what limits it is counted from here."""
        pending.began = time.monotonic()
        if pending.call.timeout:
            pending.deadline = pending.began + pending.call.timeout
        if pending.call.memory:
            self._watch.begin(worker.pid, pending.call.memory)

    def _wake(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="executor", daemon=True)
            self._thread.start()
        with contextlib.suppress(BlockingIOError, OSError):
            os.write(self._wake_write, b"!")

    def _serve(self) -> None:
        try:
            self._look_after(select.poll())
        finally:  # however this ends, everybody gets an answer
            with self._lock:
                self._closed = True
                left, self._calls = list(self._calls.values()), {}
            for pending in left:
                if claimed(pending.future):
                    pending.future.set_result(stopped(pending.call))
            self._release()

    def _look_after(self, poll: select.poll) -> None:
        """Start, feed and end workers until all is closed."""
        poll.register(self._wake_read, select.POLLIN)
        while not self._closed or self._workers:
            if self._waiting:
                self._dispatch(poll)
            for file, _ in poll.poll(self._patience() if self._limited or self._watch.on else None):
                if file == self._wake_read:
                    os.read(self._wake_read, 4096)
                elif file in self._workers:
                    self._take(self._workers[file], poll)
                else:
                    self._push(file, poll)
            if self._limited or self._watch.on or self._blocked or self._closed:
                self._enforce(poll)

    def _release(self) -> None:
        with self._lock:
            os.close(self._wake_read)
            os.close(self._wake_write)
            self._wake_write = -1
            if self._package is not None:
                self._package.cleanup()

    def _dispatch(self, poll: select.poll) -> None:
        """Begin what can begin: in order, on idle workers, or on new ones where there is room."""
        while True:
            with self._lock:
                pending = self._first()
                if pending is None:
                    return
                worker = self._idle(pending)
                if worker is not None:
                    self._waiting.popleft()
                    self._begin(worker, pending, _encode(pending.call))
                    continue
                self._make_room()
            try:
                worker = Worker(pending.key, self._folder(), self._guards)
            except OSError as error:
                self._unstarted(pending, str(error))
                continue
            with self._lock:
                self._workers[worker.outcomes] = worker
            poll.register(worker.outcomes, select.POLLIN)

    def _first(self) -> Pending | None:
        """The first that waits, when there are slots for it."""
        while self._waiting and (self._waiting[0].future not in self._calls or self._waiting[0].future.cancelled()):
            self._calls.pop(self._waiting.popleft().future, None)
        if self._closed or not self._waiting or self._used + self._waiting[0].cpu > self.slots + _TOLERANCE:
            return None
        return self._waiting[0]

    def _make_room(self) -> None:
        """End idle workers of other kinds, so that no more than `slots` processes are there beside what runs."""
        idle = [one for one in self._workers.values() if one not in self._running and not one.doomed]
        for worker in idle[: max(0, len(self._running) + len(idle) + 1 - self.slots)]:
            worker.kill()

    def _folder(self) -> str:
        """A folder in which an interpreter that has no Loopline finds this one, and nothing else."""
        if self._package is None:
            self._package = tempfile.TemporaryDirectory(prefix="loopline-package-")
            Path(self._package.name, "loopline").symlink_to(Path(loopline.__file__).parent)
        return self._package.name

    def _take(self, worker: Worker, poll: select.poll) -> None:
        """Take in what a worker sent, or its end."""
        contents = worker.received()
        if contents is None:
            self._lost(worker, poll)
            return
        for content in contents:
            with self._lock:
                pending = self._running.get(worker)
                if content:
                    self._free(worker)
                else:
                    worker.ready = True
                    if pending is not None:
                        self._clock(worker, pending)
            if content and pending is not None:
                if self._waiting:
                    self._dispatch(poll)
                pending.future.set_result(decoded(pending.call, content))

    def _push(self, file: int, poll: select.poll) -> None:
        """Send more of a call that a pipe did not take at once."""
        with self._lock:
            for worker in self._workers.values():
                if worker.calls == file and worker.unsent:
                    with contextlib.suppress(BrokenPipeError):
                        if not worker.send(b""):
                            return
        poll.unregister(file)

    def _free(self, worker: Worker) -> None:
        pending = self._running.pop(worker, None)
        if pending is not None:
            self._used -= pending.cpu
            self._limited -= pending.call.timeout > 0
            self._watch.end(worker.pid)
            self._calls.pop(pending.future, None)
            pending.worker = None

    def _lost(self, worker: Worker, poll: select.poll) -> None:
        """A worker has ended: answer its call."""
        poll.unregister(worker.outcomes)
        with self._lock:
            log = worker.log()
            del self._workers[worker.outcomes]
            pending = self._running.get(worker)
            self._free(worker)
            if pending is not None and worker.ready and pending.end is None and worker.untouched():
                self._calls[pending.future] = pending  # it was idle when it ended: another one takes the call
                self._waiting.appendleft(pending)
                pending = None
        code = worker.end()
        if pending is None:
            return
        outcome = pending.end
        if outcome is None and not worker.ready:
            outcome = unstarted(pending.call, last_line(log) or f"exit code {code}")
        outcome = outcome or ended(pending.call, code, log)
        seconds = time.monotonic() - pending.began if pending.began else 0.0
        self._dispatch(poll)
        pending.future.set_result(msgspec.structs.replace(outcome, log=log, seconds=seconds))

    def _unstarted(self, pending: Pending, why: str) -> None:
        with self._lock:
            if pending in self._waiting:
                self._waiting.remove(pending)
            self._calls.pop(pending.future, None)
        if claimed(pending.future):
            pending.future.set_result(unstarted(pending.call, why))

    def _patience(self) -> float | None:
        """Milliseconds until something must be looked after; None when only events matter."""
        with self._lock:
            ends = [pending.deadline for pending in self._running.values() if pending.deadline]
        wait = max(0.0, min(ends) - time.monotonic()) * 1000 + 1 if ends else None
        return min(wait or Watch.EVERY_MS, Watch.EVERY_MS) if self._watch.on else wait

    def _enforce(self, poll: select.poll) -> None:
        """End what took too long or too much, and everything once closed; send what pipes did not take yet."""
        with self._lock:
            self._blocked = False
            over, now = self._watch.over(), 0.0
            for worker, pending in self._running.items():
                if worker.unsent:
                    poll.register(worker.calls, select.POLLOUT)
                if worker.pid in over:
                    self._end(worker, pending, over_memory(pending.call))
                now = now or time.monotonic()
                if pending.deadline and pending.deadline <= now:
                    self._end(worker, pending, late(pending.call))
            if self._closed:
                for worker in self._workers.values():
                    if worker in self._running:
                        self._running[worker].end = self._running[worker].end or stopped(self._running[worker].call)
                    worker.kill()

    def _end(self, worker: Worker, pending: Pending, why: Outcome) -> None:
        pending.end = pending.end or why
        if not worker.doomed:
            worker.kill()


def claimed(future: Future[Outcome]) -> bool:
    """Whether a future is to get an outcome: it was not cancelled, and cannot be any more."""
    return future.running() or future.set_running_or_notify_cancel()


def decoded(call: Call, content: bytes) -> Outcome:
    """What a worker sent; one with another Loopline may send what this one does not understand."""
    try:
        return _decode(content)
    except msgspec.MsgspecError as error:
        return unstarted(call, f"it speaks another language: {error}")


def last_line(log: bytes) -> str:
    """The last line that a process printed."""
    lines = log.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else ""
