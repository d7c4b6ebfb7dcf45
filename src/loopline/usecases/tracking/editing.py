"""What people change of a run by hand."""

from __future__ import annotations

from loopline.core.errors import Invalid, NotFound
from loopline.usecases.tracking.changing import Changing
from loopline.usecases.tracking.intake import Intake

NOTE = "mlflow.note.content"  # where MLflow's own pages keep a run's description


class Editing(Changing, Intake):
    """Its name and its note."""

    def edit(self, run_id: str, *, actor: str, name: str | None = None, note: str | None = None) -> None:
        """Give a run another name or note; what is None stays, an empty note is taken off.

        Raises NotFound for an unknown run, Invalid for an empty name, Conflict for a run in the trash.
        """
        run_id = self.resolved(run_id)
        if name is not None and not name.strip():
            raise Invalid("A run needs a name.", "Write one.")
        if name is not None:
            self.update_run(run_id, actor=actor, name=name.strip())
        if note:
            self.log(run_id, tags={NOTE: note.replace("\r\n", "\n")})
        elif note is not None:
            self._without_note(run_id)

    def _without_note(self, run_id: str) -> None:
        try:
            self.untag_run(run_id, NOTE)
        except NotFound:  # it had none
            self.resolved(run_id)
