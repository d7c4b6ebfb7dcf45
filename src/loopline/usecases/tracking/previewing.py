"""Files as they can be looked at."""

from __future__ import annotations

from typing import Any

from loopline.core.errors import NotFound
from loopline.usecases.tracking import file_rows, previews
from loopline.usecases.tracking.files import Files
from loopline.usecases.tracking.previews import Preview


class Previewing(Files):
    """What a file shows without being trusted."""

    def preview(self, run_id: str, name: str, *, tail: bool = False) -> Preview:
        """The beginning of a run's file (with `tail` the end), read as its media type says, within limits.

        Nothing is unpickled or executed. Raises NotFound for an unknown run or file.
        """
        run_id = self.resolved(run_id)
        found = self._database.read(lambda tx: file_rows.one(tx, run_id, name))
        if found is None:
            raise NotFound(
                f"The run {run_id[:8]} has no artifact {name[:200]!r}.", "`loopline show RUN` lists its artifacts."
            )
        drawing = found.media_type.startswith(previews.DRAWINGS)
        beside = frozenset(one.name for one in self.files(run_id)) if drawing else frozenset()
        return previews.preview(found, self._blobs.path(found.digest), tail=tail, beside=beside)

    def shown(self, run_id: str, name: str) -> Any:
        """The entry of a run's file and the address-free type that a browser may show it as, in a sandbox."""
        found = self.file(self.resolved(run_id), name)
        kind = found.media_type.partition(";")[0].strip().lower()
        return found, kind if kind in previews.SHOWN else "text/plain"
