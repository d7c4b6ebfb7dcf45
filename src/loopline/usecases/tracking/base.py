"""What all verbs of tracking stand on: the engines, and how a run is found by its id."""

from __future__ import annotations

from loopline.core.errors import Conflict, Invalid, NotFound
from loopline.ports.blobs import Blobs
from loopline.ports.clock import Clock
from loopline.ports.database import Database, Row, Transaction
from loopline.usecases.tracking import store
from loopline.usecases.tracking.needs import Ledger


class Base:
    """The engines, shared by the groups of verbs that `Tracking` is made of."""

    def __init__(self, database: Database, ledger: Ledger, blobs: Blobs, clock: Clock) -> None:
        self._database = database
        self._ledger = ledger
        self._blobs = blobs
        self._clock = clock
        self._keys: dict[str, int] = {}  # numbers of metrics' names that are committed

    def resolved(self, run_id: str) -> str:
        """The full id for an id or its beginning; NotFound, or Invalid when several begin so."""
        return self._database.read(lambda tx: self._resolved(tx, run_id))

    def _resolved(self, tx: Transaction, run_id: str) -> str:
        found = store.ids_like(tx, run_id) if 4 <= len(run_id) <= 32 else []
        if not found:
            raise NotFound(f"There is no run {run_id[:40]!r}.", "`loopline runs` lists them.")
        if len(found) > 1:
            raise Invalid(f"Several runs begin with {run_id!r}.", "Write more of the id.")
        return found[0]

    def _row(self, tx: Transaction, run_id: str) -> Row:
        """Number, experiment_id, state, status and name of a run; NotFound when there is none."""
        row = store.mark(tx, run_id)
        if row is None:
            raise NotFound(f"Run with id={run_id[:80]} not found.", "`loopline runs` lists them.")
        return row

    def _writable(self, tx: Transaction, run_id: str) -> Row:
        """`_row` of a run that may be written to; Conflict for one in the trash."""
        row = self._row(tx, run_id)
        if row["state"] == "deleted":
            raise Conflict(
                f"The run {run_id} must be in the 'active' state. Its current state is deleted.",
                "Restore it first, or start a new run.",
            )
        return row
