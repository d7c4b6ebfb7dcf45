"""Delivery in the background: calls are written to this machine's disk at once and sent together soon after.

`Delivery(client).add(verb, fields)` never waits for a server; `flush(timeout)` does, and says whether all arrived.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import shutil
import threading
import time
import weakref
from pathlib import Path
from typing import Any

from loopline.core.errors import LooplineError
from loopline.usecases.tracking.journal import Journal
from loopline.usecases.tracking.sending import Client, Sender
from loopline.usecases.tracking.spool import adopted

PAUSE_S = 0.25  # how long calls gather before they are sent together
RETRY_S = (0.5, 1.0, 2.0, 5.0)  # waits after the first, second … attempt that found nobody
ADOPT_S = 15.0  # how often what processes left that are over is looked for
EXIT_S = 5.0
AWAY_S = 2.0
SIGN_S = 1.0  # a wait that says something when nothing moves in it
_log = logging.getLogger("loopline")
_all: weakref.WeakSet[Delivery] = weakref.WeakSet()
_of_clients: weakref.WeakValueDictionary[int, Delivery] = weakref.WeakValueDictionary()
_guard = threading.Lock()


def delivery_of(client: Client) -> Delivery:
    """The delivery of this process for a client: one for all runs that share it."""
    with _guard:
        found = _of_clients.get(id(client))
        if found is None:
            found = _of_clients[id(client)] = Delivery(client)
        return found


def flush_all(timeout: float = EXIT_S) -> bool:
    """Wait until all that this process logged has arrived; False when some has not after `timeout` seconds."""
    until = time.monotonic() + timeout
    return all([one.flush(max(0.0, until - time.monotonic())) for one in list(_all)])  # noqa: C419  (each is asked)


class Delivery:
    """Writes calls to a journal and delivers them from a thread of its own, each exactly once, in order.

    Safe for several threads; a forked child goes on with a journal and a thread of its own.
    """

    def __init__(self, client: Client, pause: float | None = None) -> None:
        self.client = client
        self._pause = PAUSE_S if pause is None else pause
        self._place: Path | None = None
        self._journal = Journal(str(getattr(client, "target", "")))
        self._open: set[str] = set()
        self.generation = 0  # counts forks
        self._said_full = False
        self._reset()
        _all.add(self)

    def _reset(self) -> None:
        self._lock = threading.RLock()  # a signal may call from within a call
        self._changed = threading.Condition()
        self._wake = threading.Event()
        self._hurry = threading.Event()
        self._sending = threading.Lock()
        self._thread: threading.Thread | None = None
        self._added = self._sent = self._attempts = self._failed = 0
        self._begin = 0
        self._marks: list[int] = []
        self._ending = False
        self._away = ""
        self._silent = False  # a whole wait went by without a sign of life
        self._adopted_at = 0.0

    def add(self, verb: str, fields: dict[str, Any], always: bool = False) -> bool:
        """Write a call down for delivery; False when there was no room, which is counted. Takes microseconds.

        It may be sent again after a crash: a `tracking.log` without `batch` is then known again, any other verb must be
        one that may come twice. `always` is for what must be kept when the journal is full.
        """
        with self._lock:
            kept = self._journal.add(verb, fields, always)
            self._added += 1
        if not kept:
            self._full()
        if not self._wake.is_set() or self._thread is None:
            self._start()
        return kept

    def keep(self, verb: str, fields: dict[str, Any], content: bytes | Path) -> bool:
        """`add` with the content of a file, which is copied to the spool before this returns; OSError when it cannot
        be read."""
        size = len(content) if isinstance(content, bytes) else content.stat().st_size
        if isinstance(content, Path):
            content.open("rb").close()
        try:
            with self._lock:
                place = self._journal.place(size)
            copied(content, place)
        except OSError:  # no room on this machine
            self._full()
            with self._lock:
                return self._journal.drop({"run_id": fields.get("run_id", "")})
        return self.add(verb, {**fields, "content_file": place.name})

    def _full(self) -> None:
        """Say once that something found no room: on a full disk no tag can tell it."""
        if not self._said_full:
            self._said_full = True
            _log.warning("There is no room on this machine for all that is logged; what finds none is left out.")

    def flush(self, timeout: float = EXIT_S) -> bool:
        """Wait until all that was added before has arrived; False when nobody answers or the time (seconds) is up."""
        with self._lock:
            goal = self._added
        failed, before = self._failed, (self._sent, self._begin)
        if self._sent >= goal:
            return True
        self._hurry.set()
        if not self._start():
            self.deliver()
            return self._sent >= goal
        with self._changed:
            self._changed.wait_for(lambda: self._sent >= goal or self._failed > failed, timeout)
        still = self._sent < goal and before == (self._sent, self._begin)
        self._silent = still and (self._silent or timeout >= SIGN_S)
        return self._sent >= goal

    def hold(self, run_id: str) -> None:
        """A run of this process begins: should the process die, whoever delivers its journal ends the run."""
        with self._lock:
            self._open.add(run_id)
            self._journal.lives(run_id)

    def dropped(self, run_id: str = "") -> int:
        """How many points and calls of a run found no room since this was asked last."""
        with self._lock:
            return self._journal.dropped.pop(run_id, 0)

    def let_go(self, run_id: str, timeout: float = EXIT_S) -> bool:
        """A run has ended: wait a little for delivery; what waits after the last one is left to `loopline sync`. With
        `timeout` 0 nothing is waited for and the thread goes on."""
        if not timeout:
            with self._lock:
                self._open.discard(run_id)
                self._journal.ended(run_id)
            return True
        self._ending = True
        arrived = self.flush(self._patience(timeout))
        self._ending = False
        with self._lock:
            self._open.discard(run_id)
            self._journal.ended(run_id)
            last = not self._open
        if last:
            self._leave()
        return arrived

    def close(self, timeout: float = EXIT_S) -> bool:
        """Deliver what waits for at most `timeout` seconds, then leave the rest to `loopline sync`."""
        arrived = self.flush(self._patience(timeout))
        self._leave()
        return arrived

    def _patience(self, timeout: float) -> float:
        """How long to wait at an end: who did not answer a moment ago is asked once more, but not hung on."""
        return min(timeout, AWAY_S) if self._away or self._silent else timeout

    def deliver(self) -> bool:
        """Send what waits now, in this thread, and what other processes left; False when something still waits."""
        with self._sending:
            with self._lock:
                self._journal.cut()
                self._marks += [self._added] * (len(self._journal.cut_off) - len(self._marks))
                goal = self._added
            while self._journal.cut_off:
                if not self._deliver_file():
                    return False
            self._arrived(goal)
            self._adopt()
            return True

    def _deliver_file(self) -> bool:
        path = self._journal.cut_off[0][0]
        found = Sender(self.client).send(path, self._begin, self._progress)
        if found.refused:
            _log.warning("%d calls were refused; they lie with the reasons in %s.", found.refused, path.parent)
        if found.waits:
            self._missed(found.waits)
            return False
        with self._lock:
            self._journal.delivered()
            goal = self._marks.pop(0)
        self._begin = 0
        self._arrived(goal)
        return True

    def _progress(self, number: int) -> None:
        self._begin = number

    def _arrived(self, goal: int) -> None:
        if self._away:
            _log.warning("Loopline answers again; what waited on this machine is delivered.")
            self._away = ""
        with self._changed:
            self._sent = max(self._sent, goal)
            self._attempts = 0
            self._changed.notify_all()

    def _missed(self, reason: str) -> None:
        if not self._away:
            _log.warning("%s The training goes on; what is logged is kept on this machine until it is back.", reason)
        self._away = reason
        with self._changed:
            self._failed += 1
            self._attempts += 1
            self._changed.notify_all()

    def _adopt(self) -> None:
        """Deliver what processes left that are over, as forked workers and runs that were killed."""
        if time.monotonic() - self._adopted_at < ADOPT_S and not self._ending:
            return
        self._adopted_at = time.monotonic()
        with contextlib.suppress(OSError, LooplineError):
            adopted(self.client, self._journal.folder)

    def _start(self) -> bool:
        with self._changed:
            self._wake.set()
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._work, name="loopline-delivery", daemon=True)
                try:
                    self._thread.start()
                except RuntimeError:  # the interpreter is ending
                    self._thread = None
                    return False
        return True

    def _work(self) -> None:
        try:
            self._gather_and_send()
        finally:
            release = getattr(self.client, "release", None)
            if release is not None:  # the connection of this thread
                with contextlib.suppress(Exception):
                    release()

    def _gather_and_send(self) -> None:
        """Gather, send, wait when nobody answers; ends when nothing waits and no run is open."""
        thread = self._thread
        while True:
            if not self._wake.wait(60.0 if self._open else 5.0):
                if self._retired():
                    return
                continue
            wait = RETRY_S[min(self._attempts, len(RETRY_S)) - 1] if self._attempts else self._pause
            self._hurry.wait(wait)
            if self._thread is not thread:
                return
            self._hurry.clear()
            self._wake.clear()
            try:
                arrived = self.deliver()
            except Exception as error:  # this thread must outlive whatever happens
                self._missed(f"Delivery failed ({type(error).__name__}: {error}).")
                arrived = False
            if not arrived:
                self._wake.set()

    def _retired(self) -> bool:
        with self._changed:
            idle = not self._open and not self._journal.waits and not self._wake.is_set()
            if idle:
                self._thread = None
            return idle

    def _leave(self) -> None:
        with self._changed:
            thread, self._thread = self._thread, None  # it ends by itself
        self._hurry.set()
        self._wake.set()
        if self._sending.acquire(timeout=0.5):  # else it hangs in a call: its process keeps the files until it ends
            with self._lock:
                self._journal.leave()
                self._marks, self._begin, self._sent = [], 0, self._added
                for run_id in self._open:
                    self._journal.lives(run_id)
            self._sending.release()
            if thread is not None and thread is not threading.current_thread():
                thread.join(0.5)
        self._hurry.clear()
        self._attempts = 0

    def after_fork(self) -> None:
        """In a forked child: leave the parent's files alone and begin anew; the child has begun no run."""
        self._reset()
        self._journal.forsake()
        self._open = set()
        self.generation += 1
        reopened = getattr(self.client, "reopened", None)
        if reopened is not None:
            with contextlib.suppress(Exception):
                self.client = reopened()


def copied(content: bytes | Path, place: Path) -> None:
    """Put the content there, or nothing; raises OSError."""
    try:
        if isinstance(content, bytes):
            place.write_bytes(content)
        else:
            shutil.copyfile(content, place)
    except BaseException:
        place.unlink(missing_ok=True)
        raise


def _after_fork() -> None:
    global _guard
    _guard = threading.Lock()  # another thread of the parent may have held it
    for one in list(_all):
        one.after_fork()


def _at_exit() -> None:
    for one in list(_all):
        with contextlib.suppress(Exception):
            one.close()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(_at_exit)
