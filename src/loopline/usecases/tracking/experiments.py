"""Experiments: made, renamed, tagged, put into the trash and taken out again; and found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from loopline.core.errors import Conflict, NotFound, Taken
from loopline.ports.database import Row, Transaction
from loopline.usecases.tracking import experiments_store as store
from loopline.usecases.tracking import model
from loopline.usecases.tracking.base import Base
from loopline.usecases.tracking.experiment_filters import in_order, parsed
from loopline.usecases.tracking.experiments_store import Described

CREATED, RENAMED = "experiment.created", "experiment.renamed"
DELETED, RESTORED = "experiment.deleted", "experiment.restored"
TAGGED, UNTAGGED = "experiment.tagged", "experiment.untagged"
LARGEST = 2**63 - 1


class Experiments(Base):
    """Each change of an experiment is a fact; its subject is `experiment/NUMBER`."""

    def create_experiment(
        self, name: str, *, actor: str, location: str = "", tags: Mapping[str, str] | None = None
    ) -> int:
        """A new experiment; answers its number. `location` says where its runs' files lie when that is not here.

        Raises Taken for a name that another one has, even one in the trash.
        """
        model.checked_experiment(name)

        def work(tx: Transaction) -> int:
            self._check_free(tx, name)
            number = store.add(tx, name, self._clock.text(), actor, location)
            store.put_tags(tx, number, tags or {})
            self._ledger.append(tx, CREATED, subject(number), actor, {"name": name, "location": location})
            return number

        return self._database.write(work)

    def experiment(self, number: int) -> Described:
        """One experiment, also one in the trash; NotFound when there is none."""
        return self._database.read(lambda tx: whole(tx, self._experiment(tx, number)))

    def experiment_named(self, name: str) -> Described | None:
        """The experiment with that name, also one in the trash."""

        def work(tx: Transaction) -> Described | None:
            row = store.named(tx, name)
            return None if row is None else whole(tx, row)

        return self._database.read(work)

    def search_experiments(
        self,
        where: str = "",
        order_by: Sequence[str] = (),
        *,
        states: Sequence[str] = ("active",),
        limit: int = 1000,
        offset: int = 0,
    ) -> tuple[list[Described], bool]:
        """Experiments, newest first unless `order_by` says otherwise, and whether more follow.

        `where` is a chain of comparisons joined by AND over name, experiment_id, creation_time, last_update_time
        (milliseconds since 1970) and tags, as `name LIKE 'flights%' AND tags.team = 'air'`. Raises Invalid with the
        place of a mistake.
        """
        comparisons, order = parsed(where), in_order(order_by)
        tagged = any(one.about == "tags" for one in comparisons)

        def work(tx: Transaction) -> tuple[list[Described], bool]:
            rows = [row for row in store.rows(tx) if row["state"] in states]
            tags = store.tags(tx, [row["id"] for row in rows]) if tagged else {}
            found = order([row for row in rows if all(one.met(row, tags.get(row["id"], {})) for one in comparisons)])
            page = found[offset : offset + limit]
            tags = tags if tagged else store.tags(tx, [row["id"] for row in page])
            return [store.described(row, tags.get(row["id"], {})) for row in page], len(found) > offset + limit

        return self._database.read(work)

    def rename_experiment(self, number: int, name: str, *, actor: str) -> None:
        """Give an experiment another name. Raises NotFound, Conflict for one in the trash, Taken for a name in use."""
        model.checked_experiment(name)

        def work(tx: Transaction) -> None:
            row = self._experiment(tx, number)
            if row["state"] != "active":
                raise Conflict("Cannot rename a non-active experiment.", "Restore it first.")
            if row["name"] == name:
                return
            self._check_free(tx, name)
            store.change(tx, number, name, "active", self._clock.text())
            self._ledger.append(tx, RENAMED, subject(number), actor, {"name": name, "before": row["name"]})

        self._database.write(work)

    def delete_experiment(self, number: int, *, actor: str) -> None:
        """Put an experiment and its runs into the trash; NotFound when there is none, or it is there already."""

        def work(tx: Transaction) -> None:
            row, at = self._in_state(tx, number, "active"), self._clock.text()
            store.change(tx, number, row["name"], "deleted", at)
            runs = store.trash_runs(tx, number, at)
            self._ledger.append(tx, DELETED, subject(number), actor, {"name": row["name"], "runs": runs})

        self._database.write(work)

    def restore_experiment(self, number: int, *, actor: str) -> None:
        """Take an experiment out of the trash, and the runs that went there with it; NotFound when it is not there."""

        def work(tx: Transaction) -> None:
            row = self._in_state(tx, number, "deleted")
            runs = store.restore_runs(tx, number, row["updated_at"])
            store.change(tx, number, row["name"], "active", self._clock.text())
            self._ledger.append(tx, RESTORED, subject(number), actor, {"name": row["name"], "runs": runs})

        self._database.write(work)

    def tag_experiment(self, number: int, tags: Mapping[str, str], *, actor: str) -> None:
        """Set tags of an experiment. Raises NotFound, Conflict for one in the trash."""

        def work(tx: Transaction) -> None:
            self.check_active(tx, number)
            known = store.tags(tx, [number]).get(number, {})
            fresh = {key: value for key, value in tags.items() if known.get(key) != value}
            if fresh:
                store.put_tags(tx, number, fresh)
                self._ledger.append(tx, TAGGED, subject(number), actor, {"tags": sorted(fresh)})

        self._database.write(work)

    def untag_experiment(self, number: int, key: str, *, actor: str) -> None:
        """Take a tag off an experiment. Raises NotFound when it or the tag is not there, Conflict in the trash."""

        def work(tx: Transaction) -> None:
            self.check_active(tx, number)
            if not store.drop_tag(tx, number, key):
                raise NotFound(
                    f"No tag with name: {key[:80]} in experiment with id {number}.", "Its tags are listed with it."
                )
            self._ledger.append(tx, UNTAGGED, subject(number), actor, {"tags": [key]})

        self._database.write(work)

    def check_active(self, tx: Transaction, number: int) -> Row:
        """The row of an experiment into which something may be written; NotFound, or Conflict for one in the trash."""
        row = self._experiment(tx, number)
        if row["state"] != "active":
            raise Conflict(
                f"The experiment {number} must be in the 'active' state. Current state is {row['state']}.",
                "Restore it first, or use another one.",
            )
        return row

    def _experiment(self, tx: Transaction, number: int) -> Row:
        row = store.bare(tx, number) if 0 <= number <= LARGEST else None
        if row is None:
            raise NotFound(f"No Experiment with id={number} exists.", "`loopline runs` shows those there are.")
        return row

    def _in_state(self, tx: Transaction, number: int, state: str) -> Row:
        row = self._experiment(tx, number)
        if row["state"] != state:
            raise NotFound(f"No Experiment with id={number} exists that is {state}.", f"It is {row['state']}.")
        return row

    def _check_free(self, tx: Transaction, name: str) -> None:
        if (row := store.named(tx, name)) is not None:
            way_out = "Choose another name, or restore it." if row["state"] == "deleted" else "Choose another name."
            raise Taken(f"Experiment(name={name}) already exists.", way_out)


def subject(number: int) -> str:
    """How facts name an experiment."""
    return f"experiment/{number}"


def whole(tx: Transaction, row: Row) -> Described:
    """A row with its tags."""
    tags: dict[int, Any] = store.tags(tx, [row["id"]])
    return store.described(row, tags.get(row["id"], {}))
