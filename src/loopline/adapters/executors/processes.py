"""Calls in a warm pool of spawned worker processes: a call's crash costs that call and one process."""

from __future__ import annotations

import contextlib
import fcntl
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import Future
from typing import IO

import msgspec

from loopline.adapters.executors.calling import closed, ended, tail
from loopline.adapters.executors.child import LENGTH
from loopline.core.errors import Unavailable
from loopline.kit.processes import PATIENT_THREADS
from loopline.ports.executor import Call, Outcome

Waiting = queue.SimpleQueue["tuple[Call, Future[Outcome]] | None"]


class Processes:
    """At most `slots` processes, started with the first calls and kept warm until `close`.

    Each has a thread of its own here that starts and feeds it: the kernel ends a worker with that very thread.
    """

    def __init__(self, slots: int = 2) -> None:
        self.slots = slots
        self._waiting: Waiting = queue.SimpleQueue()
        self._lanes: list[Lane] = []
        self._lock = threading.Lock()
        self._open = 0
        self._closed = False

    def submit(self, call: Call) -> Future[Outcome]:
        future: Future[Outcome] = Future()
        with self._lock:
            if self._closed:
                raise Unavailable("The workers are closed.", "Open the installation again.")
            self._open += 1
            if len(self._lanes) < min(self.slots, self._open):
                self._lanes.append(Lane(self._waiting))
        future.add_done_callback(self._count_down)
        self._waiting.put((call, future))
        return future

    def stop(self, future: Future[Outcome]) -> None:
        future.cancel()

    def log(self, future: Future[Outcome]) -> bytes:
        return b""

    def close(self) -> None:
        with self._lock:
            self._closed = True
        for lane in self._lanes:
            lane.kill()
            self._waiting.put(None)
        for lane in self._lanes:
            lane.join()
        self._drain()

    def _count_down(self, future: Future[Outcome]) -> None:
        with self._lock:
            self._open -= 1

    def _drain(self) -> None:
        while not self._waiting.empty():
            item = self._waiting.get()
            if item is not None and item[1].set_running_or_notify_cancel():
                item[1].set_result(closed(item[0]))


class Lane:
    """One worker process and the thread that owns it."""

    def __init__(self, waiting: Waiting) -> None:
        self._waiting = waiting
        self._worker: Worker | None = None
        self._stopped = False
        self._thread = threading.Thread(target=self._serve, name="executor-lane", daemon=True)
        self._thread.start()

    def kill(self) -> None:
        """End the process; the call in it is answered as stopped."""
        self._stopped = True
        if self._worker is not None:
            self._worker.kill()

    def join(self) -> None:
        """Wait for the thread, which waits for the process."""
        self._thread.join()

    def _serve(self) -> None:
        while (item := self._waiting.get()) is not None:
            call, future = item
            if future.set_running_or_notify_cancel():
                future.set_result(self._outcome(call))
        if self._worker is not None:
            self._worker.kill()
            self._worker.end()

    def _outcome(self, call: Call) -> Outcome:
        if self.stopped():
            return closed(call)
        try:
            self._worker = self._worker or Worker()
            if self.stopped():  # killed between the check and the start
                self._worker.kill()
            return self._worker.ask(call)
        except (OSError, msgspec.MsgspecError) as error:
            return self._lost(call, error)

    def stopped(self) -> bool:
        """Whether `kill` was called, from whichever thread."""
        return self._stopped

    def _lost(self, call: Call, error: Exception) -> Outcome:
        if self._worker is None:
            return Outcome(error=f"No worker process could be started ({error}).", died=True)
        (code, log), self._worker = self._worker.end(), None
        outcome = closed(call) if self._stopped else ended(call, code)
        return msgspec.structs.replace(outcome, log=log)


class Worker:
    """A spawned process with a pipe each way and a file for what it prints."""

    def __init__(self) -> None:
        self._log: IO[bytes] = tempfile.TemporaryFile("a+b", prefix="loopline-log-")  # noqa: SIM115  (lives as long)
        fcntl.fcntl(self._log, fcntl.F_SETFL, os.O_APPEND)  # the log is emptied while both ends hold it open
        calls, self._calls = os.pipe()
        self._outcomes, outcomes = os.pipe()
        try:
            self._process = self._started(calls, outcomes)
        except BaseException:
            os.close(self._calls)
            os.close(self._outcomes)
            raise
        finally:
            os.close(calls)
            os.close(outcomes)
        self._reader, self._writer = os.fdopen(self._outcomes, "rb"), os.fdopen(self._calls, "wb")

    def _started(self, calls: int, outcomes: int) -> subprocess.Popen[bytes]:
        log = self._log.fileno()
        names = [str(number) for number in (calls, outcomes, log, os.getpid())]
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "loopline.adapters.executors.child", *names],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(calls, outcomes, log),
            process_group=0,
            env=PATIENT_THREADS | os.environ,
        )

    def ask(self, call: Call) -> Outcome:
        """Send a call, wait for its outcome; BrokenPipeError when the process ended instead."""
        content = msgspec.msgpack.encode(call)
        self._writer.write(LENGTH.pack(len(content)) + content)
        self._writer.flush()
        head = self._reader.read(LENGTH.size)
        if len(head) < LENGTH.size:
            raise BrokenPipeError("the process ended")
        return msgspec.msgpack.decode(self._reader.read(LENGTH.unpack(head)[0]), type=Outcome)

    def kill(self) -> None:
        """End the process and everything it started, now."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def end(self) -> tuple[int, bytes]:
        """Its exit code, once it has ended, and what it printed during its last call."""
        code = self._process.wait()
        for pipe in (self._reader, self._writer):
            with contextlib.suppress(OSError):  # bytes that nobody will read
                pipe.close()
        with self._log as log:
            log.seek(0)
            return code, tail(log.read())
