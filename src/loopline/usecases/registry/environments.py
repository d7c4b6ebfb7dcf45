"""Which environment a version was made in."""

from __future__ import annotations

from loopline.core.errors import NotFound
from loopline.core.programs import LOCK
from loopline.usecases.registry import store
from loopline.usecases.registry.base import Base


class Environments(Base):
    """Find the lock of a version."""

    def lock_of(self, name: str, version: int) -> bytes | None:
        """The requirements.lock of a version's environment: that among its files, else the one its step was run with.
        None when nothing is known of it but perhaps its release."""
        found = self._database.read(lambda tx: store.version(tx, name, version))
        if found is None:
            raise NotFound(f"There is no version {version} of the model {name!r}.", "`loopline versions` lists them.")
        digest = self._manifest(found.digest).files.get(LOCK) or found.metadata.get("lock")
        return self._blobs.get(str(digest)) if digest else None
