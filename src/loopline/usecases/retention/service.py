"""The verbs of retention: look, remove, restore, purge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from loopline.core.belongings import Thing
from loopline.core.errors import Conflict, Invalid, NotFound, Taken
from loopline.core.ids import new_id
from loopline.kit.rows import lifted, portions
from loopline.ports.database import Row, Transaction
from loopline.usecases.retention import documents, store
from loopline.usecases.retention.applying import Applying
from loopline.usecases.retention.base import told
from loopline.usecases.retention.model import (
    PURGING,
    TRASH,
    Collected,
    Purged,
    Removal,
    Rooms,
    Tombstone,
    Trashed,
    blocked,
    until,
    word,
)
from loopline.usecases.retention.planning import Things

SHORTEST = 4


class Retention(Applying):
    """What is removed goes to the trash, from which it comes back whole, and is purged after a time. A tombstone says
    for ever what was there."""

    def look(self, kind: str, name: str) -> Removal:
        """What would go with a thing, what blocks it, and what room it frees. NotFound, Invalid."""

        def work(tx: Transaction) -> Removal:
            thing = self._planning.find(tx, kind, name)
            return self._looked(tx, thing, self._planning.going(tx, thing))

        return self._database.read(work)

    def remove(self, kind: str, name: str, actor: str, *, stop: bool = False) -> Removal:
        """Put a thing, with all that belongs to it, into the trash: it is hidden at once, all or nothing.

        `stop` takes a live endpoint off first. Raises Conflict, naming the way out, when something needs it.
        """
        found = self.look(kind, name)
        entry, days = self._database.write(lambda tx: self._removed(tx, found, actor, stop))
        if entry is not None:
            self._settle_folders(entry)
        at = self._clock.text()
        return msgspec.structs.replace(found, blocks=[], done=True, until=until(at, days))

    def restore(self, kind: str, name: str, actor: str) -> Trashed:
        """Bring a thing back from the trash, whole. NotFound when it is not there; Conflict when its name is taken by
        another now, or what it belongs to is gone."""
        found = self.trashed(kind, name)
        if found.purging:
            raise Conflict(f"The {kind} {found.title or found.name!r} is being purged.", "It cannot come back.")
        entry = self._database.write(lambda tx: self._restored(tx, found, actor))
        if entry is not None:
            self._settle_folders(entry, back=True)
        return found

    def trashed(self, kind: str, name: str) -> Trashed:
        """One thing in the trash, named as `remove` took it; NotFound."""
        self._planning.owner(kind)
        every = [each for each in self.trash() if each.kind == kind]
        exact = [each for each in every if name in (each.name, each.title)]
        begun = [each for each in every if each.name.startswith(name) or each.name.partition("/")[2].startswith(name)]
        found = exact[:1] or (begun if len(name) >= SHORTEST else [])
        if not found:
            raise NotFound(f"There is no {kind} {name[:80]!r} in the trash.", "`loopline trash` lists what is there.")
        if len(found) > 1:
            raise Invalid(f"Several things in the trash begin with {name!r}.", "Write more of the name.")
        return found[0]

    def tombstone(self, kind: str, name: str) -> Tombstone | None:
        """When and by whom a thing was removed; None when that is not known."""
        return self._database.read(lambda tx: store.tombstone(tx, kind, name))

    def keep_days(self) -> int:
        """For how many days the trash is kept."""
        return self._database.read(store.keep_days)

    def set_keep_days(self, days: int, actor: str) -> int:
        """Keep the trash for so many days (0: until the next clearing up)."""
        if not 0 <= days <= 3650:
            raise Invalid(f"The trash cannot be kept for {days} days.", "Give 0 to 3650.")

        def work(tx: Transaction) -> None:
            store.set_keep_days(tx, days)
            self._ledger.append(tx, "trash.set", "trash", actor, {"keep_days": days})

        self._database.write(work)
        return days

    def room(self) -> Rooms:
        """What takes the room, by experiment, model, dataset and so on."""
        from loopline.usecases.retention.rooms import rooms

        return self._database.read(lambda tx: rooms(tx, self._planning, self._blobs, self._home))

    def purge_and_free(self, kind: str, name: str, actor: str, most: int = 0) -> Purged:
        """`purge`, and free the bytes at its end; those used within the hour go `later`."""
        from loopline.usecases.retention.collecting import free

        done = self.purge(kind, name, actor, most)
        if done.left:
            return done
        return free(self) or done

    def collect(self, **asked: Any) -> Collected:
        """Clear up everything: see `collecting.collect`."""
        from loopline.usecases.retention.collecting import collect

        return collect(self, **asked)

    def _looked(self, tx: Transaction, thing: Thing, going: Things) -> Removal:
        planning = self._planning
        tree, counts = planning.tree(tx, thing, going)
        size, shared = planning.room(tx, going, lambda digests: documents.closed(self._blobs, digests))
        return Removal(
            kind=thing.kind,
            name=thing.name,
            title=thing.title,
            tree=tree,
            blocks=planning.blocks(tx, going),
            size=size,
            shared=shared,
            counts=counts,
        )

    def _removed(self, tx: Transaction, found: Removal, actor: str, stop: bool) -> tuple[str | None, int]:
        planning, at = self._planning, self._clock.text()
        thing = planning.find(tx, found.kind, found.name)
        going = planning.going(tx, thing)
        if any((one.kind, one.name) == (thing.kind, thing.name) for one in planning.owner(thing.kind).hidden(tx)):
            what = f"The {thing.kind} {thing.title or thing.name} is in the trash already."
            raise Conflict(what, f"`loopline rm {thing.kind} {thing.name} --now` lets go of it for good.")
        self._unblocked(tx, thing, going, actor, stop)
        owner, entry = planning.owner(thing.kind), None
        if thing.kind in owner.hides:
            owner.hide(tx, thing.kind, [thing.name], at)
            buried: Mapping[str, Sequence[str]] = {thing.kind: [thing.name]}
        else:
            entry, buried = self._lifted(tx, found, going, actor, at), going
        self._tell(tx, found.kind, found.name, "removed", actor, buried, found.counts, found.size)
        return entry, store.keep_days(tx)

    def _unblocked(self, tx: Transaction, thing: Thing, going: Things, actor: str, stop: bool) -> None:
        """Conflict while something needs the thing."""
        blocks = self._planning.blocks(tx, going)
        for block in [one for one in blocks if one.stops and stop]:
            self._planning.owner(block.kind).stop(tx, block.kind, block.name, actor)
        blocks = self._planning.blocks(tx, going) if stop else blocks
        if blocks:
            what = f"The {thing.kind} {thing.title or thing.name} is in use ({blocked(blocks)})."
            raise Conflict(what, blocks[0].way_out)

    def _lifted(self, tx: Transaction, found: Removal, going: Things, actor: str, at: str) -> str:
        """Lift all rows out of their tables, those deepest first; answers the entry's id."""
        entry, position = new_id(), 0
        for kind, names in reversed(going.items()):
            for some in portions(names):
                for owner in self._planning.owners.values():
                    owner.part(tx, kind, some, at)
                for owner in self._planning.owners.values():
                    for rows in owner.rows(kind, some):
                        taken = lifted(tx, rows.table, rows.where, rows.params)
                        for piece in portions(taken, 1000):
                            store.add_parcel(tx, entry, position, rows.table, piece)
                            position += 1
        row: dict[str, Any] = {
            "id": entry,
            "kind": found.kind,
            "name": found.name,
            "title": found.title,
            "state": TRASH,
        }
        row |= {"counts": found.counts, "things": going, "folders": self._planning.folders(going), "size": found.size}
        store.add_entry(tx, row | {"removed_at": at, "removed_by": actor})
        return entry

    def _restored(self, tx: Transaction, found: Trashed, actor: str) -> str | None:
        owner, at = self._planning.owner(found.kind), self._clock.text()
        things: Mapping[str, Sequence[str]] = {found.kind: [found.name]}
        entry: Row | None = None
        if found.kind in owner.hides:
            owner.show(tx, found.kind, [found.name], at)
        else:
            entry = store.entry(tx, found.kind, found.name)
            if entry is None or entry["state"] == PURGING:
                raise NotFound(f"The {found.kind} {found.name!r} is in the trash no more.", "It cannot come back.")
            things = entry["things"]
            self._laid_back(tx, entry)
        store.drop_tombstones(tx, things)
        body = {"things": told(things), "counts": {word(kind, 2): len(names) for kind, names in things.items()}}
        self._ledger.append(tx, f"{found.kind}.restored", found.name, actor, body)
        return None if entry is None else str(entry["id"])

    def _laid_back(self, tx: Transaction, entry: Row) -> None:
        try:
            store.lay_back(tx, entry["id"])
        except Taken as error:
            what = f"The {entry['kind']} {entry['title'] or entry['name']} cannot come back: its name is taken by now."
            raise Conflict(what, f"First `loopline rm {entry['kind']} {entry['name']}`.") from error
        except Conflict as error:
            what = (
                f"The {entry['kind']} {entry['title'] or entry['name']} cannot come back: what it belongs to is gone."
            )
            raise Conflict(what, "Restore that first: `loopline trash` lists what is there.") from error
        tx.run("UPDATE retention_trash SET state = 'restoring' WHERE id = :id", {"id": entry["id"]})
        tx.run("DELETE FROM retention_parcels WHERE entry = :id", {"id": entry["id"]})
