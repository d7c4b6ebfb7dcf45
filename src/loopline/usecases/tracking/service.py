"""Tracking's verbs, in groups: each file of a group says what it is about."""

from __future__ import annotations

import mimetypes

from loopline.core.errors import NotFound
from loopline.usecases.tracking import model, store
from loopline.usecases.tracking.comparing import Comparing
from loopline.usecases.tracking.drawing import Drawing
from loopline.usecases.tracking.intake import Intake
from loopline.usecases.tracking.lives import Lives
from loopline.usecases.tracking.model import Artifact


class Tracking(Comparing, Drawing, Lives, Intake):
    """Runs and what belongs to them. A run's start and end are facts; what was measured in it are measurements."""

    def put_artifact(self, run_id: str, name: str, content: bytes, media_type: str = "") -> Artifact:
        """Keep bytes with a run under a name like a relative path; the same name again replaces it."""
        model.checked_key("artifact", name)
        run_id = self.resolved(run_id)
        artifact = Artifact(
            name=name,
            digest=self._blobs.put(content),
            size=len(content),
            media_type=media_type or mimetypes.guess_type(name)[0] or "application/octet-stream",
            created_at=self._clock.text(),
        )
        self._database.write(lambda tx: store.put_artifact(tx, run_id, artifact))
        return artifact

    def artifacts(self, run_id: str) -> list[Artifact]:
        """What is kept with a run, by name."""
        return self._database.read(lambda tx: store.artifacts(tx, self._resolved(tx, run_id)))

    def artifact(self, run_id: str, name: str) -> tuple[Artifact, bytes]:
        """One artifact with its bytes; NotFound when there is none."""
        for one in self.artifacts(run_id):
            if one.name == name:
                return one, self._blobs.get(one.digest)
        raise NotFound(f"The run {run_id} has no artifact {name!r}.", "`loopline runs RUN` lists its artifacts.")
