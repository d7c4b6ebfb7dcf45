"""What is done to several runs at once: all of it or nothing."""

from __future__ import annotations

from collections.abc import Sequence

from loopline.core.errors import Invalid
from loopline.ports.database import Transaction
from loopline.usecases.tracking import model, store
from loopline.usecases.tracking.changing import Changing

MOST = 10_000


class Several(Changing):
    """Each answers how many runs it changed. Runs are named by their ids or the beginnings of them; NotFound when one
    of them is not there, and then none is changed."""

    def tag_runs(self, runs: Sequence[str], tags: dict[str, str]) -> int:
        """Set tags of runs; Conflict when one of them is in the trash."""
        texts = model.checked_texts("tag", tags)
        if not texts:
            raise Invalid("No tag was given.", "Name a key and a value.")

        def work(tx: Transaction) -> int:
            ids = self._all(tx, runs)
            for run_id in ids:
                store.put_texts(tx, "tags", self._writable(tx, run_id)["number"], texts)
            return len(ids)

        return self._database.write(work)

    def archive_runs(self, runs: Sequence[str], *, actor: str) -> int:
        """Put runs out of sight, where nothing removes them."""
        return self._put(runs, "archived", actor)

    def delete_runs(self, runs: Sequence[str], *, actor: str) -> int:
        """Put runs into the trash."""
        return self._put(runs, "deleted", actor)

    def restore_runs(self, runs: Sequence[str], *, actor: str) -> int:
        """Take runs out of the archive or the trash."""
        return self._put(runs, "active", actor)

    def _put(self, runs: Sequence[str], state: str, actor: str) -> int:
        return self._database.write(
            lambda tx: sum(self.put_in(tx, run_id, state, actor) for run_id in self._all(tx, runs))
        )

    def _all(self, tx: Transaction, runs: Sequence[str]) -> list[str]:
        if not runs or len(runs) > MOST:
            raise Invalid(f"{len(runs)} runs were named.", f"Choose 1 to {MOST:,} of them.")
        return [*dict.fromkeys(self._resolved(tx, run_id) for run_id in runs)]
