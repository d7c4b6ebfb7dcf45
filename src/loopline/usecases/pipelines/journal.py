"""Step runs on their way into the database: they count, and are told, once they are written."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from loopline.ports.database import Database, Transaction
from loopline.usecases.pipelines import store
from loopline.usecases.pipelines.model import Argument, StepRun

SHORTEST_S, LONGEST_S = 0.02, 0.1
SHARE = 0.05


class Entry(msgspec.Struct, frozen=True):
    """A step run with the row of its result and what its key was made of. `anew` replaces a result that is there."""

    step: StepRun
    code: str = ""
    arguments: dict[str, Argument] | None = None
    result: dict[str, Any] | None = None
    anew: bool = False


class Journal:
    """The step runs of one run. `begin` is called before rows are written; `told` for each step that is written,
    `released` with the keys. Rows survive a kill at once, and a power cut with the end of the run, when the bytes that
    they speak of have been written out too."""

    def __init__(
        self,
        database: Database,
        run_id: str,
        begin: Callable[[], None],
        told: Callable[[StepRun], None],
        released: Callable[[str], None],
    ) -> None:
        self._database = database
        self._run_id = run_id
        self._begin = begin
        self._told = told
        self._released = released
        self._entries: list[Entry] = []
        self._began_at = self._flushed_at = time.perf_counter()

    def add(self, entry: Entry) -> None:
        """Take note of a step that ended, was a hit or has begun."""
        self._entries.append(entry)

    def due(self) -> bool:
        """Whether what ended has waited long enough: the longer a run takes, the more quick steps are written together."""
        now = time.perf_counter()
        return now - self._flushed_at > min(LONGEST_S, max(SHORTEST_S, SHARE * (now - self._began_at)))

    def flush(self) -> None:
        """Write what ended; only then does it count and is told. Hits alone wait for the end of the run."""
        if all(entry.step.status == "hit" for entry in self._entries):
            return
        entries, self._entries = self._entries, []
        self._begin()
        self._database.write(lambda tx: self._write(tx, entries), durable=False)
        self._flushed_at = time.perf_counter()
        for entry in entries:
            if entry.step.status not in ("hit", "running"):
                self._released(entry.step.key)
                self._told(entry.step)

    def rest(self) -> list[StepRun]:
        """Hits whose rows are not written yet."""
        return [entry.step for entry in self._entries]

    def _write(self, tx: Transaction, entries: Iterable[Entry]) -> None:
        entries = list(entries)
        store.add_keys(tx, [key_row(entry) for entry in entries if entry.arguments is not None and entry.step.key])
        rows = [(entry.result, entry.anew) for entry in entries if entry.result]
        store.add_results(tx, [row for row, anew in rows if not anew], [row for row, anew in rows if anew])
        store.add_steps(tx, self._run_id, [entry.step for entry in entries])


def key_row(entry: Entry) -> dict[str, Any]:
    """What a key was made of, as a row."""
    return {
        "key": entry.step.key,
        "step": entry.step.step,
        "code": entry.code,
        "arguments": msgspec.json.encode(entry.arguments).decode(),
        "seen_at": entry.step.started_at,
    }
