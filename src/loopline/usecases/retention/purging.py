"""What is in the trash goes for good, a few hundred things in a transaction; whatever breaks it off, it goes on later."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import Any

from loopline.core.belongings import Thing
from loopline.core.errors import Conflict, LooplineError, NotFound
from loopline.core.ids import new_id
from loopline.kit.rows import AT_ONCE, erased
from loopline.ports.database import Row, Transaction
from loopline.usecases.retention import store
from loopline.usecases.retention.base import Base
from loopline.usecases.retention.model import PURGING, Purged, Trashed, blocked, word
from loopline.usecases.retention.planning import Planning


class Purging(Base):
    """There is no way back from here."""

    def purge(self, kind: str, name: str, actor: str, most: int = 0) -> Purged:
        """Let go of a thing in the trash for good; with `most`, of so many things below it at a time (see `left`).

        NotFound when it is not in the trash; Conflict when something needs it (as runs that were deleted through
        MLflow, and made a version). Its bytes are freed by the next `free`.
        """
        entry = self._database.write(lambda tx: self._begun(tx, kind, name, actor))
        left = self._step(entry, most)
        while left and not most:
            left = self._step(entry, AT_ONCE)
        return Purged(left)

    def finish(self) -> int:
        """End purges and restorations that were broken off; answers how many."""
        broken = [row for row in self._database.read(store.entries) if row["state"] != "trash"]
        for entry in broken:
            if entry["state"] == PURGING:
                while self._step(entry, AT_ONCE):
                    pass
            else:
                self._settle_folders(entry["id"], back=True)
        for entry in self._database.read(lambda tx: store.entries(tx, "trash")):
            self._settle_folders(entry["id"])
        return len(broken)

    def overdue(self) -> list[Trashed]:
        """What has been in the trash for long enough."""
        now = self._clock.text()
        return [one for one in self.trash() if one.until <= now and not one.purging]

    def purge_overdue(self, actor: str) -> tuple[int, list[str]]:
        """Purge what has been in the trash for long enough; answers how many things, and what could not go, and why."""
        done, refused = 0, []
        for one in self.overdue():
            try:
                self.purge(one.kind, one.name, actor)
                done += 1
            except LooplineError as error:
                refused.append(error.message)
        return done, refused

    def _begun(self, tx: Transaction, kind: str, name: str, actor: str) -> Row:
        entry = store.entry(tx, kind, name)
        if entry is not None and entry["state"] == PURGING:
            return entry
        owner = self._planning.owner(kind)
        if kind in owner.hides:
            return self._begun_in_place(tx, owner, kind, name, actor)
        if entry is None:
            raise NotFound(f"There is no {kind} {name[:80]!r} in the trash.", "`loopline trash` lists what is there.")
        store.set_purging(tx, entry["id"])
        counts = {word(each, 2): len(names) for each, names in entry["things"].items()}
        self._ledger.append(tx, f"{kind}.purged", entry["name"], actor, {"counts": counts, "size": entry["size"]})
        return entry

    def _begun_in_place(self, tx: Transaction, owner: Any, kind: str, name: str, actor: str) -> Row:
        """The entry under which a thing goes whose rows are still in their place."""
        if not any((one.kind, one.name) == (kind, name) for one in owner.hidden(tx)):
            raise NotFound(f"There is no {kind} {name[:80]!r} in the trash.", "`loopline trash` lists what is there.")
        going = self._planning.going(tx, Thing(kind, name))
        blocks = self._planning.blocks(tx, going)
        if blocks:
            raise Conflict(f"The {kind} {name} is in use ({blocked(blocks)}).", blocks[0].way_out)
        counts = {word(each, 2): len(names) for each, names in going.items()}
        entry: dict[str, Any] = {
            "id": new_id(),
            "kind": kind,
            "name": name,
            "title": "",
            "state": PURGING,
            "counts": counts,
        }
        at = self._clock.text()
        entry |= {"things": {kind: [name]}, "folders": [], "size": 0, "removed_at": at, "removed_by": actor}
        store.add_entry(tx, entry)
        self._tell(tx, kind, name, "purged", actor, going, counts, 0)
        return entry

    def _step(self, entry: Row, most: int) -> int:
        """Erase some of what an entry stands for; answers how much is left."""
        if entry["kind"] in self._planning.owner(entry["kind"]).hides:
            left = self._database.write(lambda tx: self._erased(tx, entry, most or AT_ONCE))
        else:
            left = 0
        if not left:
            shutil.rmtree(self._home / "trash" / entry["id"], ignore_errors=True)
            self._database.write(lambda tx: store.drop_entry(tx, entry["id"]))
        return left

    def _erased(self, tx: Transaction, entry: Row, most: int) -> int:
        """Erase the deepest first, the thing itself last."""
        planning, at = self._planning, self._clock.text()
        for kind, names in self._planning.below(tx, entry["kind"], [entry["name"]]).items():
            if names:
                erase(tx, planning, kind, names[:most], at)
                return len(names) - len(names[:most]) + 1
        erase(tx, planning, entry["kind"], [entry["name"]], at)
        if entry["kind"] == "experiment":
            store.drop_policy(tx, entry["name"])
        return 0


def erase(tx: Transaction, planning: Planning, kind: str, names: Sequence[str], at: str) -> None:
    """Remove things for good, with all their rows."""
    for start in range(0, len(names), AT_ONCE):
        some = names[start : start + AT_ONCE]
        for owner in planning.owners.values():
            owner.part(tx, kind, some, at)
        for owner in reversed([*planning.owners.values()]):
            for rows in owner.rows(kind, some):
                erased(tx, rows.table, rows.where, rows.params)
