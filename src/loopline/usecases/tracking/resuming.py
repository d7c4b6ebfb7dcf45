"""How a run goes on that had ended, or whose process is another one now."""

from __future__ import annotations

from loopline.ports.database import Transaction
from loopline.usecases.tracking import model
from loopline.usecases.tracking.base import Base

RESUMED = "run.resumed"
_GO_ON = """UPDATE tracking_runs SET status = 'running', ended_at = NULL, error = '', process = :process
 WHERE number = :number"""


class Resuming(Base):
    """Runs that are taken up again."""

    def resume(self, run_id: str, actor: str, process: str = "") -> None:
        """Have a run go on, in `process` (as `processes.myself()` tells it); twice changes nothing.

        Raises NotFound for an unknown run, Conflict for one in the trash.
        """
        process = model.checked_process(process)
        run_id = self.resolved(run_id)
        self._database.write(lambda tx: self._resume_in(tx, run_id, actor, process))

    def _resume_in(self, tx: Transaction, run_id: str, actor: str, process: str) -> None:
        run = self._writable(tx, run_id)
        row = tx.row("SELECT process FROM tracking_runs WHERE number = :number", {"number": run["number"]})
        if run["status"] == "running" and row is not None and row["process"] == process:
            return
        tx.run(_GO_ON, {"number": run["number"], "process": process})
        self._ledger.append(tx, RESUMED, run_id, actor, {"name": run["name"], "was": run["status"]})
