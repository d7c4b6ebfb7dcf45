"""What all verbs of retention stand on."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from loopline.ports.blobs import Blobs
from loopline.ports.clock import Clock
from loopline.ports.database import Database, Transaction
from loopline.usecases.retention import store
from loopline.usecases.retention.model import PURGING, TRASH, Trashed, until
from loopline.usecases.retention.needs import InUse, Ledger, Owners, Projects
from loopline.usecases.retention.planning import Planning

TOLD = 200


class Base:
    """Engines, the trash, and the facts that tell of it."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        blobs: Blobs,
        clock: Clock,
        home: Path,
        in_use: InUse,
        owners: Owners,
        projects: Projects,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._blobs = blobs
        self._clock = clock
        self._home = home
        self._in_use = in_use
        self._owners = owners
        self._projects = projects
        self._planned: Planning | None = None

    @property
    def _planning(self) -> Planning:
        if self._planned is None:
            self._planned = Planning(self._owners(), self._home)
        return self._planned

    def trash(self) -> list[Trashed]:
        """What is in the trash, newest first."""
        return self._database.read(self._in_trash)

    def _in_trash(self, tx: Transaction) -> list[Trashed]:
        days, found = store.keep_days(tx), []
        for row in store.entries(tx):
            if row["state"] in (TRASH, PURGING):
                fields = {name: row[name] for name in ("kind", "name", "title", "removed_at", "removed_by", "size")}
                found.append(Trashed(**fields, until=until(row["removed_at"], days), purging=row["state"] == PURGING))
        known = {(one.kind, one.name) for one in found}
        for owner in self._planning.owners.values():
            for each in owner.hidden(tx):
                if (each.kind, each.name) not in known:
                    stone = store.tombstone(tx, each.kind, each.name)
                    by = stone.removed_by if stone is not None else ""
                    row = {"kind": each.kind, "name": each.name, "title": each.title, "removed_at": each.removed_at}
                    found.append(Trashed(**row, removed_by=by, until=until(each.removed_at, days)))
        return sorted(found, key=lambda one: one.removed_at, reverse=True)

    def _tell(
        self, tx: Transaction, kind: str, name: str, what: str, actor: str, things: Mapping[str, Sequence[str]],
        counts: Mapping[str, int], size: int,
    ) -> None:  # fmt: skip
        """The fact, and a tombstone for everything that went."""
        from blake3 import blake3

        names = blake3("\n".join(f"{each} {one}" for each, of in things.items() for one in sorted(of)).encode())
        body = {"things": told(things), "counts": dict(counts), "size": size, "names": names.hexdigest()}
        fact = self._ledger.append(tx, f"{kind}.{what}", name, actor, body)
        root = {"seq": fact.seq, "of_kind": kind, "of_name": name, "removed_at": fact.at, "removed_by": actor}
        store.put_tombstones(tx, things, root)

    def _settle_folders(self, entry_id: str, back: bool = False) -> None:
        """Bring the folders of an entry where its rows are. What breaks off here is done by the next clearing up."""
        entry = self._database.read(lambda tx: store.entry_of(tx, entry_id))
        if entry is None:
            return
        aside = self._home / "trash" / entry_id
        for name in entry["folders"]:
            source, target = (aside / name, self._home / name) if back else (self._home / name, aside / name)
            if source.is_dir() and not target.exists():
                with suppress(OSError):  # somebody else did it just now, or the next clearing up does
                    target.parent.mkdir(parents=True, exist_ok=True)
                    source.rename(target)
        if back and not any((aside / name).exists() for name in entry["folders"]):
            shutil.rmtree(aside, ignore_errors=True)
            self._database.write(lambda tx: store.drop_entry(tx, entry_id))


def told(things: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Things as a fact names them: runs can be too many, and are counted then."""
    return {kind: list(names) for kind, names in things.items() if kind != "run" or len(names) <= TOLD}
