"""What others see of a run while it goes on: which steps run, and what they print."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from pathlib import Path

import msgspec

from loopline.ports.executor import Outcome
from loopline.usecases.pipelines.journal import Entry, Journal
from loopline.usecases.pipelines.model import Progress
from loopline.usecases.pipelines.records import Records
from loopline.usecases.pipelines.state import State

CALLS = "calls.json"

OVERLAP = 4096


class Live:
    """Told a few times a second which calls run."""

    def __init__(self, state: State, journal: Journal, progress: Callable[[Progress], None]) -> None:
        self._state = state
        self._records = Records(state)
        self._journal = journal
        self._progress = progress
        self._announced: set[int] = set()
        self._heard: dict[int, bytes] = {}
        self._counted: dict[str, int] = {}

    def show(self, flying: Mapping[Future[Outcome], int]) -> None:
        """Write down which steps have been running for a while, and put what they print where others can read it."""
        for position in set(flying.values()) - self._announced:
            self._announced.add(position)
            step = self._records.step(position, self._state.nodes[position], "running")
            self._journal.add(Entry(msgspec.structs.replace(step, started_at=self._state.ground.clock.text())))
        self._journal.flush()
        self._count()
        for future, position in flying.items():
            self._listen(future, position)

    def _count(self) -> None:
        """Put down how many calls each map or search has, so that others can say how far it is."""
        counted = {self._state.nodes[whole].label: len(parts) for whole, parts in self._state.parts.items()}
        if counted != self._counted:
            self._counted = counted
            folder = Path(self._state.scratch)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "calls.new").write_bytes(msgspec.json.encode(counted))
            (folder / "calls.new").replace(folder / CALLS)

    def _listen(self, future: Future[Outcome], position: int) -> None:
        terms = self._state.terms
        heard = whole_secrets(terms.masked(self._state.ground.executor().log(future)), terms.variables.values())
        before = self._heard.get(position, b"")
        if heard == before:
            return
        self._heard[position] = heard
        path = Path(self._state.scratch, f"{position}.log")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(heard)
        self._tell(position, fresh(before, heard))

    def rest(self, position: int, outcome: Outcome) -> None:
        """Tell what a call printed that has ended, as far as it was not heard; the next attempt prints from the start."""
        printed = outcome.log + (outcome.trace.encode() if outcome.error else b"")
        before = self._heard.pop(position, b"")
        if printed and (more := fresh(before, self._state.terms.masked(printed))):
            self._tell(position, more)

    def _tell(self, position: int, printed: bytes) -> None:
        label, total = self._state.nodes[position].label, len(self._state.nodes)
        told, calls = printed.decode(errors="replace"), self._state.beside(position)
        self._progress(Progress(label, "running", 0.0, position, total, told, calls))


def fresh(before: bytes, now: bytes) -> bytes:
    """What a log says that it did not say before. Of a long one only the end is had, so that its beginning moves on."""
    if now.startswith(before):
        return now[len(before) :]
    end = before[-OVERLAP:]
    at = now.rfind(end)
    return now if at < 0 else now[at + len(end) :]


def whole_secrets(printed: bytes, secrets: Iterable[str]) -> bytes:
    """A log without what may be the first part of a secret at its end: it is told when the rest shows whether it is."""
    longest = 0
    for secret in secrets:
        content = secret.encode(errors="surrogateescape")
        parts = range(min(len(content) - 1, len(printed)), longest, -1)
        longest = next((length for length in parts if printed.endswith(content[:length])), longest)
    return printed[: len(printed) - longest]
