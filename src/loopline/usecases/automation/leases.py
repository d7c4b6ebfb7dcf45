"""Who executes a firing. A lease lives as long as its beat grows; whoever takes over counts seconds of its own, so that
no clock on the wall decides. The fence grows with every change of hands: who holds an older one can write no more."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from loopline.core.errors import LooplineError, Refused
from loopline.kit.owners import is_alive, machine, myself
from loopline.ports.clock import Clock
from loopline.ports.database import Database, Transaction
from loopline.usecases.automation import store
from loopline.usecases.automation.model import Firing

LEASE_S = 20.0
BEAT_S = 3.0


class Lost(Refused):
    """Another process took the firing over: what this one still does to it is refused."""


class Busy(Exception):
    """As many firings run this pipeline as may."""


class Leases:
    """Claims of firings and their loss. `monotonic` answers seconds that only ever grow."""

    def __init__(self, database: Database, clock: Clock, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._monotonic = monotonic
        self._seen: dict[str, tuple[int, int, float]] = {}

    def claim(self, firing: Firing, seq: int) -> Firing | None:
        """Take a requested firing; None when another has it or its pipeline is busy. `seq` is the ledger's last fact."""
        owner = myself()

        def work(tx: Transaction) -> Firing | None:
            if not store.claim(tx, firing.id, owner, self._clock.text(), seq):
                return None
            if firing.pipeline and not store.take_slot(tx, firing.pipeline, firing.rules.concurrency, firing.id):
                raise Busy
            return store.firing(tx, firing.id)

        try:
            return self._database.write(work)
        except Busy:
            return None

    def adopt(self, firing_id: str, fence: int) -> Firing | None:
        """Go on with a firing that was claimed for this process; None when it was taken over since."""
        owner = myself()

        def work(tx: Transaction) -> Firing | None:
            return store.firing(tx, firing_id) if store.adopt(tx, firing_id, fence, owner) else None

        return self._database.write(work)

    def renew(self, firing: Firing) -> bool:
        """Let the beat grow; False when the firing was taken over or has ended."""
        return self._database.write(lambda tx: store.beat(tx, firing.id, firing.fence))

    def lost(self) -> list[Firing]:
        """The firings that run nowhere any more: their process is dead on this machine, or their beat stood still for
        LEASE_S seconds of this process."""
        running, now = self._database.read(store.running), self._monotonic()
        for gone in self._seen.keys() - {firing.id for firing in running}:
            del self._seen[gone]
        return [firing for firing in running if self._is_lost(firing, now)]

    def take_back(self, firing: Firing) -> bool:
        """Ask for a lost firing anew under the next fence; False when its beat grew or another was quicker."""
        return self._database.write(lambda tx: store.take_back(tx, firing))

    def _is_lost(self, firing: Firing, now: float) -> bool:
        fence, beat, since = self._seen.get(firing.id, (-1, -1, now))
        if (fence, beat) != (firing.fence, firing.beat):
            self._seen[firing.id] = (firing.fence, firing.beat, now)
            since = now
        return died_here(firing.owner) or now - since >= LEASE_S


def died_here(owner: str) -> bool:
    """Whether a process is known to be dead: it ran on this machine since its last start."""
    return owner.partition(" ")[0] == machine() != "" and not is_alive(owner)


@contextmanager
def beating(renew: Callable[[], bool], lost: Callable[[], None], every_s: float = BEAT_S) -> Iterator[None]:
    """Renew a lease while the body runs; `lost` is called once, in a thread of its own, when it was taken over."""
    ending = threading.Event()

    def beat() -> None:
        while not ending.wait(every_s):
            try:
                if not renew():
                    lost()
                    return
            except LooplineError:  # the database cannot be written just now; the fence guards what comes after
                continue

    thread = threading.Thread(target=beat, name="beat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()
