"""Versions from models that a run kept by our own client: models/NAME/…, with a `loopline.json` that describes them."""

from __future__ import annotations

from typing import Any

import msgspec

from loopline.core.errors import Invalid, LooplineError, NotFound
from loopline.core.ids import checked_name
from loopline.core.tables import Signature
from loopline.ports.database import Transaction
from loopline.usecases.registry import folders, model, store
from loopline.usecases.registry.arriving import FROM_TAGS, Arriving, Origin
from loopline.usecases.registry.flavor_signatures import settled
from loopline.usecases.registry.flavors import told_by
from loopline.usecases.registry.model import NO_SIGNATURE, Manifest, Version

ABOUT = "loopline.json"
OLD_FORMATS = {"lightgbm-text": "lightgbm", "xgboost-ubj": "xgboost"}  # as clients called them before they were served
LARGEST_ABOUT = 1 << 20


class About(msgspec.Struct):
    """What the client wrote about a model."""

    format: str
    signature: Signature | None = None


class OwnRuns(Arriving):
    """A version made by a run of our own."""

    def take(self, name: str, run_id: str, kept: str, actor: str) -> Version:
        """Register what a run kept under models/`kept`; asking again answers the same version.

        NotFound when the run kept no such model, Invalid when it is not described. Servable when a runtime can load it
        safely and its signature is known; `not_servable` in the metadata says why it is not.
        """
        checked_name("model", name)
        files = self._all_files(run_id, f"models/{kept}")
        digest = files.pop(ABOUT, "")
        if not digest:
            raise NotFound(f"The run {run_id[:40]} kept no model {kept[:80]!r}.", "Keep it by run.model() first.")
        try:
            about = msgspec.json.decode(self._head(digest, LARGEST_ABOUT), type=About)
        except msgspec.DecodeError as error:
            raise Invalid(f"The model {kept[:80]!r} is not described ({error}).", "Keep it by run.model().") from None
        about.format = OLD_FORMATS.get(about.format, about.format)
        about.signature = about.signature or self._told(about.format, files)
        reason = self._why_not(about, files)
        manifest = Manifest(format=about.format, signature=about.signature or NO_SIGNATURE, files=files)
        draft = Version(
            model=name,
            version=0,
            digest=self._blobs.put(model.encoded_manifest(manifest)),
            format=manifest.format,
            signature=manifest.signature,
            metrics=self._metrics(Origin({}, "", run_id, "")),
            run_id=run_id,
            metadata=self._label(run_id) | ({"not_servable": reason} if reason else {}),
            servable=not reason,
            created_at=self._clock.text(),
            created_by=actor,
            evaluation_digest=self._held_out(Origin({}, "", run_id, "")),
        )
        return self._database.write(lambda tx: self._once(tx, draft))

    def _once(self, tx: Transaction, draft: Version) -> Version:
        return store.version_of_run(tx, draft.model, draft.run_id, draft.digest) or self._add(tx, draft)

    def _label(self, run_id: str) -> dict[str, Any]:
        """What the run says of its held-out rows."""
        tags = self._tracking.get(run_id).tags
        return {key: tags[tag] for tag, key in FROM_TAGS.items() if tag in tags}

    def _told(self, form: str, files: dict[str, str]) -> Signature | None:
        """The signature that the model's own files tell, or None."""
        try:
            return told_by(self._runtimes.get(form), {name: self._blobs.path(digest) for name, digest in files.items()})
        except LooplineError:  # `_why_not` says what is wrong with them
            return None

    def _why_not(self, about: About, files: dict[str, str]) -> str:
        """Why a model cannot be served, or nothing. Of two classes called by texts, the probability of the second is
        what comes out."""
        runtime: Any = self._runtimes.get(about.format)
        if runtime is None:
            return f"There is no runtime for the format {about.format[:80]!r}."
        if about.signature is None:
            return "It has no signature; give example= rows when it is kept."
        if folders.has_pickle(self._blobs, Manifest(format=about.format, signature=NO_SIGNATURE, files=files)):
            return "It brings a pickle, which could run any code when loaded."
        try:
            classes = runtime.inspect({name: self._blobs.path(digest) for name, digest in files.items()})
        except LooplineError as error:
            return error.message
        if classes == 2:
            about.signature = settled(about.signature, classes)
        return ""
