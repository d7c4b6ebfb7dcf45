"""The verbs of datasets."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from loopline.core.errors import CheckFailed, Conflict, Invalid, NotFound, Unavailable
from loopline.core.ids import checked_name
from loopline.ports.blobs import Blobs
from loopline.ports.clock import Clock
from loopline.ports.database import Database, Transaction
from loopline.usecases.datasets import files, model, store
from loopline.usecases.datasets.intake import Intake
from loopline.usecases.datasets.model import Batch, Broken, Contract, ContractReport, Dataset, Part, Snapshot, Source
from loopline.usecases.datasets.needs import Ledger
from loopline.usecases.datasets.sources import found_in

if TYPE_CHECKING:
    import pyarrow as pa


class Datasets:
    """Datasets and their snapshots. A batch that breaks its contract is kept aside and never part of a snapshot."""

    def __init__(self, database: Database, ledger: Ledger, blobs: Blobs, clock: Clock) -> None:
        self._database = database
        self._ledger = ledger
        self._blobs = blobs
        self._clock = clock

    def declare(self, name: str, source: Source, contract: Contract | None, actor: str) -> bool:
        """Say where a dataset comes from and what its batches must be; whether that was new. A folder is absolute."""
        known = self._database.read(lambda tx: store.standing(tx, name))
        if known == model.wish_of(source, contract):
            return False
        return self._database.write(lambda tx: self.declare_in(tx, name, source, contract, actor))

    def declare_in(
        self,
        tx: Transaction,
        name: str,
        source: Source | Mapping[str, str],
        contract: Contract | Mapping[str, Any] | None,
        actor: str,
    ) -> bool:
        """`declare` as part of a greater change, also from plain data; one that was retired is there again."""
        checked_name("dataset", name)
        source, contract = _declared(name, source, contract)
        wish = model.wish_of(source, contract)
        if store.standing(tx, name) == wish:
            return False
        store.declare(tx, name, source, contract, self._clock.text(), actor)
        self._ledger.append(tx, model.DECLARED, name, actor, {"dataset": name, **wish})
        return True

    def standing_in(self, tx: Transaction, name: str) -> dict[str, Any] | None:
        """What a dataset is declared to be (folder, url, query, digest of the contract); None when there is none."""
        return store.standing(tx, name)

    def wish(self, name: str, source: Mapping[str, str], contract: Mapping[str, Any] | None) -> dict[str, Any]:
        """What `standing_in` would answer once this is declared; Invalid for a wrong contract."""
        return model.wish_of(*_declared(name, source, contract))

    def retire_in(self, tx: Transaction, name: str, actor: str) -> bool:
        """Take a dataset off the list: nothing is taken in any more. Its batches and snapshots stay."""
        if not store.retire(tx, name, self._clock.text()):
            return False
        self._ledger.append(tx, model.RETIRED, name, actor, {"dataset": name})
        return True

    def declare_from(
        self, name: str, source: Mapping[str, str], contract: Mapping[str, Any] | None, actor: str
    ) -> bool:
        """`declare` from plain data, as a project's configuration holds it."""
        return self.declare(name, *_declared(name, source, contract), actor)

    def snapshot(self, name: str, actor: str, variables: Mapping[str, str] | None = None) -> Snapshot:
        """Take in what the source holds now and answer the snapshot of it; the same content answers the same one.

        Only files that changed are read. A batch that breaks the contract is stored and reported, and left out.
        `variables` stand for `${NAME}` in a database's url before those of the process; they are not kept.
        Raises NotFound for an unknown dataset or an empty source, CheckFailed when no batch may be used.
        """
        dataset = self.dataset(name)
        if self._database.read(lambda tx: store.standing(tx, name)) is None:
            raise Conflict(f"The dataset {name!r} was retired.", "Declare it in loopline.yaml, then `loopline apply`.")
        known = [batch for batch in self.batches(name) if batch.state != "gone"]
        intake = Intake(self._blobs, dataset, known, self._clock.text())
        try:
            with ExitStack() as stack:
                found = list(found_in(dataset.source, lambda: scratch(stack), variables))
                batches = [intake.batch(file) for file in found]
        except OSError as error:
            what = f"{error.strerror}: {str(error.filename)[:200]!r}"
            raise Unavailable(f"The source of {name!r} cannot be read ({what}).", "Mend it, then try again.") from error
        if not batches:
            raise NotFound(f"The dataset {name!r} has no batch yet.", "Put Parquet or CSV files into its folder.")
        parts = intake.parts(batches)
        digest = self._blobs.put(model.manifest(parts)) if parts else ""
        here = {(batch.name, batch.digest) for batch in batches}
        gone = [batch for batch in known if batch.state == "refused" and (batch.name, batch.digest) not in here]
        if digest and digest == dataset.latest and not intake.renewed and not gone:
            return self._standing(name, digest)
        snapshot = self._database.write(lambda tx: self._recorded(tx, dataset, intake, gone, parts, digest, actor))
        if snapshot is None:
            reports = [f"{batch.name}: {batch.report.text()}" for batch in batches if batch.report is not None]
            raise CheckFailed(f"No batch of {name!r} may be used. {' | '.join(reports)[:2000]}", _RELEASE_HINT)
        return snapshot

    def _standing(self, name: str, digest: str) -> Snapshot:
        refused = tuple(batch.name for batch in self.batches(name, "refused"))
        return msgspec.structs.replace(self.get(digest, name), refused=refused)

    def _recorded(
        self,
        tx: Transaction,
        dataset: Dataset,
        intake: Intake,
        gone: list[Batch],
        parts: list[Part],
        digest: str,
        actor: str,
    ) -> Snapshot | None:
        for batch in gone:
            if store.set_state(tx, batch, "gone"):
                self._ledger.append(tx, model.BATCH_GONE, dataset.name, actor, _refusal(batch))
        told = {(batch.name, batch.digest) for batch in store.batches(tx, dataset.name, "refused")}
        for batch in intake.renewed:
            store.add_batch(tx, batch)
        for batch in intake.refused:
            if (batch.name, batch.digest) not in told:  # another process may have seen it meanwhile
                self._ledger.append(tx, model.BATCH_REFUSED, dataset.name, actor, _refusal(batch))
        if not parts:
            return None
        standing = store.dataset(tx, dataset.name)
        parent = standing.latest if standing else None
        refused = tuple(batch.name for batch in store.batches(tx, dataset.name, "refused"))
        known = store.snapshot(tx, digest, dataset.name)
        if known is not None and parent == digest:
            return msgspec.structs.replace(known, refused=refused)
        taken = self._taken(tx, dataset.name, digest, parent, parts, intake, actor)
        if known is None:
            store.add_snapshot(tx, taken)
        store.set_latest(tx, dataset.name, digest)
        return msgspec.structs.replace(known or taken, refused=refused, new=True)

    def _taken(
        self,
        tx: Transaction,
        name: str,
        digest: str,
        parent: str | None,
        parts: list[Part],
        intake: Intake,
        actor: str,
    ) -> Snapshot:
        rows, size = sum(part.rows for part in parts), sum(self._blobs.size(part.digest) for part in parts)
        before = {part.digest for part in _parts(store.snapshot(tx, parent, name) if parent else None)}
        added = [part.name for part in parts if part.digest not in before]
        body = {"dataset": name, "digest": digest, "parent": parent, "rows": rows, "bytes": size, "added": added}
        fact = self._ledger.append(tx, model.SNAPSHOT_TAKEN, name, actor, body)
        return Snapshot(
            dataset=name,
            digest=digest,
            parent=parent,
            rows=rows,
            bytes=size,
            columns=intake.columns(parts),
            parts=tuple(parts),
            seq=fact.seq,
            taken_at=fact.at,
            taken_by=actor,
        )

    def accept(self, name: str, batch: str, actor: str, reason: str = "") -> Batch:
        """Release a batch that was kept aside: the next snapshot holds it. NotFound when none of that name is."""
        waiting = [item for item in self.batches(name, "refused") if item.name == batch]
        if not waiting:
            raise NotFound(f"No batch {batch!r} of {name!r} is kept aside.", f"`loopline datasets {name}` lists them.")
        chosen = waiting[-1]

        def work(tx: Transaction) -> Batch:
            if not store.set_state(tx, chosen, "released"):
                raise Conflict(f"The batch {batch!r} was released meanwhile.", "Take a snapshot.")
            body = {**_refusal(chosen), "reason": reason}
            self._ledger.append(tx, model.BATCH_RELEASED, name, actor, body)
            return msgspec.structs.replace(chosen, state="released")

        return self._database.write(work)

    def datasets(self) -> list[Dataset]:
        """All datasets by name."""
        return self._database.read(store.datasets)

    def dataset(self, name: str) -> Dataset:
        """One dataset; NotFound when it was never declared."""
        found = self._database.read(lambda tx: store.dataset(tx, name))
        if found is None:
            raise NotFound(f"There is no dataset {name!r}.", "Declare it in loopline.yaml, then `loopline apply`.")
        return found

    def batches(self, name: str, state: str = "") -> list[Batch]:
        """The batches of a dataset in the order in which they came; `state` accepted, refused or released."""
        self.dataset(name)
        return self._database.read(lambda tx: store.batches(tx, name, state))

    def snapshots(self, name: str) -> list[Snapshot]:
        """The snapshots of a dataset, oldest first."""
        self.dataset(name)
        return self._database.read(lambda tx: store.snapshots(tx, name))

    def latest(self, name: str) -> Snapshot:
        """The newest snapshot; NotFound when there is none."""
        digest = self.dataset(name).latest
        if digest is None:
            raise NotFound(f"The dataset {name!r} has no snapshot yet.", f"Take one: `loopline snapshot {name}`.")
        return self.get(digest, name)

    def get(self, digest: str, name: str = "") -> Snapshot:
        """The snapshot of that digest."""
        found = self._database.read(lambda tx: store.snapshot(tx, digest, name))
        if found is None:
            raise NotFound(f"There is no snapshot {digest!r}.", "`loopline datasets NAME` lists them.")
        return found

    def keeps(self, digest: str, contract: Mapping[str, Any]) -> ContractReport:
        """Whether every batch of a snapshot keeps a contract given as plain data, as if it arrived now.

        Freshness is left out, as it is judged when a batch arrives, and so are batches that somebody released.
        """
        _, made = _declared(digest, None, contract)
        asked = msgspec.structs.replace(made or Contract(columns=()), fresh_by="", fresh_within="")
        snapshot = self.get(digest)
        released = {batch.digest for batch in self.batches(snapshot.dataset, "released")}
        rows, checked = 0, 0
        broken: list[Broken] = []
        for part in snapshot.parts:
            if part.digest in released:
                continue
            report = asked.check(files.read(self._blobs.path(part.digest), part.format, part.types))
            rows, checked, broken = rows + report.rows, report.checked, [*broken, *report.broken]
        return ContractReport(rows=rows, checked=checked, broken=tuple(broken))

    def table(self, digest: str) -> pa.Table:
        """All rows of a snapshot, part after part; Parquet and Arrow parts are memory-mapped."""
        parts = self.get(digest).parts
        tables = [files.read(self._blobs.path(part.digest), part.format, part.types) for part in parts]
        return files.unified(tables)


_RELEASE_HINT = "Correct the files, or release a batch with `loopline datasets NAME --accept BATCH`."


def _declared(name: str, source: Any, contract: Any) -> tuple[Source, Contract | None]:
    """Source and contract from plain data; Invalid for a contract that is wrong."""
    try:
        made = msgspec.convert(contract, Contract | None) if isinstance(contract, Mapping) else contract
    except msgspec.ValidationError as error:
        raise Invalid(f"The contract of {name!r} is wrong: {error}.", "Mend contract.py.") from None
    return (Source(**source) if isinstance(source, Mapping) else source), made


def _parts(snapshot: Snapshot | None) -> tuple[Part, ...]:
    return snapshot.parts if snapshot is not None else ()


def _refusal(batch: Batch) -> dict[str, Any]:
    broken = batch.report.broken if batch.report else ()
    rules = [f"{line.rule} {line.column}".strip() for line in broken]
    return {"dataset": batch.dataset, "batch": batch.name, "digest": batch.digest, "rows": batch.rows, "rules": rules}


def scratch(stack: ExitStack) -> Path:
    """A folder that is gone with the stack."""
    import tempfile  # takes long to import, and few sources need it

    return Path(stack.enter_context(tempfile.TemporaryDirectory()))
