"""One look at a source: which files are new, which of them may be used."""

from __future__ import annotations

from typing import Any

import msgspec

from loopline.core.errors import Invalid, Unavailable
from loopline.core.tables import Column
from loopline.ports.blobs import Blobs
from loopline.usecases.datasets import files
from loopline.usecases.datasets.checking import check
from loopline.usecases.datasets.model import Batch, Broken, ContractReport, Dataset, Part, State
from loopline.usecases.datasets.sources import Found, stamp_of

TRIES = 3


class Intake:
    """Turns the files found into batches. `renewed` are those to be written, `refused` those newly kept aside."""

    def __init__(self, blobs: Blobs, dataset: Dataset, known: list[Batch], now: str) -> None:
        self._blobs = blobs
        self._dataset = dataset
        self._now = now
        self._by_stamp = {(batch.name, batch.stamp): batch for batch in known if batch.stamp}
        self._by_digest = {(batch.name, batch.digest): batch for batch in known}
        self._usable = {batch.name: batch for batch in known if batch.state != "refused"}
        self._schema: Any = None
        self.renewed: list[Batch] = []
        self.refused: list[Batch] = []

    def batch(self, found: Found) -> Batch:
        """The batch that a file is; its content is read only when its stamp is not known."""
        seen = self._by_stamp.get((found.name, found.stamp))
        if seen is not None:
            return seen
        digest, stamp = self._stored(found)
        known = self._by_digest.get((found.name, digest))
        made = self._checked(found, digest) if known is None else known
        batch = msgspec.structs.replace(made, stamp=stamp, seen_at=self._now)
        self.renewed.append(batch)
        if known is None and batch.state == "refused":
            self.refused.append(batch)
        return batch

    def parts(self, batches: list[Batch]) -> list[Part]:
        """What a snapshot of these batches holds: a refused file stands as it last was usable, if it ever was."""
        chosen = [self._usable.get(batch.name) if batch.state == "refused" else batch for batch in batches]
        return [
            Part(name=batch.name, digest=batch.digest, format=batch.format, rows=batch.rows, types=batch.types)
            for batch in chosen
            if batch is not None
        ]

    def columns(self, parts: list[Part]) -> tuple[Column, ...]:
        """The columns of all parts together."""
        return files.columns_of(_schema_of(parts))

    def _stored(self, found: Found) -> tuple[str, str]:
        """Digest and stamp of the file, of one moment: a writer that is still at work makes us read again."""
        if not found.stamp:
            return self._blobs.put_file(found.path), ""
        for _ in range(TRIES):
            before = stamp_of(found.path)
            digest = self._blobs.put_file(found.path)
            if stamp_of(found.path) == before:
                return digest, before
        raise Unavailable(f"The file {found.name!r} is still being written.", "Take the snapshot when it is whole.")

    def _checked(self, found: Found, digest: str) -> Batch:
        contract = self._dataset.contract
        rows, types = 0, {}
        try:
            table = files.read(self._blobs.path(digest), found.format, files.declared_types(contract))
            rows, types = table.num_rows, files.types_of(table)
            self._fits(types)
            report = check(contract, table, self._now) if contract else None
        except Invalid as error:
            broken = Broken(rule="readable", column="", rows=rows, message=error.message)
            report = ContractReport(rows=rows, checked=1, broken=(broken,))
        state: State = "accepted" if report is None or report.ok else "refused"
        return Batch(
            dataset=self._dataset.name,
            name=found.name,
            digest=digest,
            format=found.format,
            rows=rows,
            bytes=self._blobs.size(digest),
            types=types,
            state=state,
            seen_at=self._now,
            report=report,
        )

    def _fits(self, types: dict[str, str]) -> None:
        """Invalid when the batch could not stand in one table with those that are used already."""
        if self._schema is None:
            self._schema = [batch.types for batch in self._usable.values()]
        files.unified_types([*self._schema, types])
        self._schema.append(types)


def _schema_of(parts: list[Part]) -> Any:
    return files.unified_types([part.types for part in parts])
