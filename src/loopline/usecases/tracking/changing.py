"""How a run changes besides what is measured in it: named, resumed, put into the trash and taken out again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from loopline.core.errors import Invalid, NotFound
from loopline.core.ids import new_id
from loopline.ports.database import Transaction
from loopline.usecases.tracking import model, names, records_store, store
from loopline.usecases.tracking.experiments import Experiments
from loopline.usecases.tracking.lives import Lives
from loopline.usecases.tracking.records_store import Recorded

DELETED, RESTORED, ARCHIVED, RESUMED = "run.deleted", "run.restored", "run.archived", "run.resumed"
COMMIT_TAG = "mlflow.source.git.commit"
MODELS_TAG = "mlflow.log-model.history"
LONGEST_NOTES = 1_000_000
GOING_ON = ("scheduled", "running")


class Changing(Lives, Experiments):
    """States of runs are facts; their names are no more than a tag, with which they stay in step."""

    def new_run(
        self,
        experiment: int,
        *,
        actor: str,
        name: str = "",
        tags: Mapping[str, str] | None = None,
        user_id: str = "",
        started_at: str = "",
    ) -> str:
        """Begin a run of an experiment; answers its id. Without a name it gets one of two words and a number.

        Raises NotFound for an unknown experiment, Conflict for one in the trash.
        """
        run_id, tags = new_id(), dict(tags or {})
        name = (name or tags.get(model.RUN_NAME, "") or names.random_name())[: model.LONGEST_KEY]
        tags[model.RUN_NAME] = name
        git = {"git": {"commit": tags[COMMIT_TAG]}} if COMMIT_TAG in tags else {}

        def work(tx: Transaction) -> None:
            row = self.check_active(tx, experiment)
            root = artifact_root(row["location"], run_id) if row["location"] else ""
            self.begin_in(
                tx,
                run_id,
                experiment,
                name,
                actor,
                experiment=row["name"],
                tags=tags,
                surroundings=git,
                started_at=started_at,
                user_id=user_id,
                artifact_root=root,
            )

        self._database.write(work)
        return run_id

    def update_run(self, run_id: str, *, actor: str, status: str = "", ended_at: str = "", name: str = "") -> Recorded:
        """Give a run another status, end or name; what is left empty stays. An ended run may go on again.

        Answers the run's own row. Raises NotFound, Conflict for a run in the trash.
        """
        if status and status not in (*GOING_ON, *model.ENDED):
            raise Invalid(f"A run cannot be {status!r}.", f"Use one of {', '.join((*GOING_ON, *sorted(model.ENDED)))}.")

        def work(tx: Transaction) -> Recorded:
            row = self._writable(tx, run_id)
            if name and name != row["name"]:
                self.rename_in(tx, row["number"], name)
            if status in model.ENDED and status != row["status"]:
                self.end_in(tx, run_id, status, actor, "", ended_at or self._clock.text())
            elif ended_at:
                records_store.set_end(tx, row["number"], ended_at)
            if status in GOING_ON and status != row["status"]:
                records_store.set_status(tx, row["number"], status)
                if row["status"] in model.ENDED:
                    self._ledger.append(tx, RESUMED, run_id, actor, {"name": row["name"], "before": row["status"]})
            return records_store.recorded(tx, [run_id], ())[0]

        return self._database.write(work)

    def delete_run(self, run_id: str, *, actor: str) -> None:
        """Put a run into the trash; one that is there stays. NotFound when there is none."""
        self._database.write(lambda tx: self.put_in(tx, run_id, "deleted", actor))

    def restore_run(self, run_id: str, *, actor: str) -> None:
        """Take a run out of the trash or the archive; one that is in neither stays. NotFound when there is none."""
        self._database.write(lambda tx: self.put_in(tx, run_id, "active", actor))

    def archive_run(self, run_id: str, *, actor: str) -> None:
        """Put a run out of sight, where nothing removes it. NotFound when there is none."""
        self._database.write(lambda tx: self.put_in(tx, run_id, "archived", actor))

    def put_in(self, tx: Transaction, run_id: str, state: str, actor: str) -> bool:
        """Make a run active, archived or deleted in a transaction that changes more; False when it was so already."""
        row = self._row(tx, run_id)
        if row["state"] == state:
            return False
        records_store.set_state(tx, row["number"], state, self._clock.text() if state == "deleted" else None)
        kind = {"deleted": DELETED, "active": RESTORED, "archived": ARCHIVED}[state]
        self._ledger.append(tx, kind, run_id, actor, {"name": row["name"], "before": row["state"]})
        return True

    def rename_in(self, tx: Transaction, number: int, name: str) -> None:
        """Name the run with this number, and say so in its tag."""
        name = name[: model.LONGEST_KEY]
        store.rename(tx, number, name)
        store.put_texts(tx, "tags", number, {model.RUN_NAME: name})

    def untag_run(self, run_id: str, key: str) -> None:
        """Take a tag off a run. NotFound when the run or the tag is not there, Conflict for a run in the trash."""

        def work(tx: Transaction) -> None:
            row = self._writable(tx, run_id)
            if not records_store.drop_tag(tx, row["number"], key):
                raise NotFound(f"No tag with name: {key[:80]} in run with id {run_id}.", "Its tags are listed with it.")

        self._database.write(work)

    def note_model(self, run_id: str, told: Mapping[str, Any]) -> None:
        """Note in a tag of the run that a model was logged, as clients of MLflow before 3.0 have it; a note told again
        is kept once. Raises NotFound, Conflict for a run in the trash, Invalid for more than the tag can carry."""

        def work(tx: Transaction) -> None:
            row = self._writable(tx, run_id)
            known = noted(records_store.tag(tx, row["number"], MODELS_TAG))
            if told in known:
                return
            text = store.json_text([*known, told])
            if len(text) > LONGEST_NOTES:
                raise Invalid(f"The run {run_id} has too many logged models to note another.", "Begin a new run.")
            store.put_texts(tx, "tags", row["number"], {MODELS_TAG: text})

        self._database.write(work)

    def record(self, run_id: str) -> Recorded:
        """A run by its whole id, with all that belongs to it, also one in the trash; NotFound when there is none."""
        found = self.records([run_id])
        if not found:
            raise NotFound(f"Run with id={run_id[:80]} not found.", "`loopline runs` lists them.")
        return found[0]

    def records(self, ids: Sequence[str]) -> list[Recorded]:
        """The runs with these ids, in this order; unknown ones are left out."""
        return self._database.read(lambda tx: records_store.recorded(tx, ids))


def noted(tag: str | None) -> list[Any]:
    """The models that a tag tells; none when it is not such a tag."""
    try:
        found = msgspec.json.decode(tag or "[]")
    except (msgspec.DecodeError, RecursionError):
        return []
    return found if isinstance(found, list) else []


def artifact_root(location: str, run_id: str) -> str:
    """Where a run's files lie below the location of its experiment; a query of the address stays behind the path."""
    path, mark, query = location.partition("?")
    return f"{path.rstrip('/')}/{run_id}/artifacts{mark}{query}"
