"""The registry's verbs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.core.errors import Invalid, NotFound
from loopline.core.facts import Fact
from loopline.core.ids import checked_name
from loopline.core.tables import Signature
from loopline.core.times import from_text, to_text
from loopline.ports.database import Transaction
from loopline.usecases.registry import folders, model, store
from loopline.usecases.registry.changing import Changing
from loopline.usecases.registry.consumers import Consumers
from loopline.usecases.registry.differing import Differing
from loopline.usecases.registry.downloading import Downloading
from loopline.usecases.registry.engines import Engines
from loopline.usecases.registry.environments import Environments
from loopline.usecases.registry.model import AliasMove, RegisteredModel, Version
from loopline.usecases.registry.own_runs import OwnRuns
from loopline.usecases.registry.replaying import replayed
from loopline.usecases.registry.searching import Searching

if TYPE_CHECKING:
    import pyarrow as pa


class Registry(OwnRuns, Changing, Searching, Consumers, Downloading, Differing, Engines, Environments):
    """Registered models: versions never change, aliases move and remember where they pointed."""

    def keep(self, folder: Path, model_format: str, signature: Signature) -> str:
        """Store the files that a runtime saved in `folder`; answers the digest of their manifest."""
        return folders.keep(self._blobs, folder, model_format, signature)

    def register(
        self,
        name: str,
        manifest_digest: str,
        run_id: str,
        metrics: Mapping[str, float] | None,
        signature: Signature | None,
        evaluation_digest: str | None,
        profile_digest: str | None,
        metadata: Mapping[str, Any] | None,
        actor: str,
    ) -> Version:
        """The version made by `run_id` from these bytes; asking again answers the same version.

        A model in a format without a runtime, or with a pickle among its files, is kept but not servable. Of training rows
        (Arrow) only their profile is kept.
        """
        checked_name("model", name)
        known = self._database.read(lambda tx: store.version_of_run(tx, name, run_id, manifest_digest))
        if known is not None:
            return known
        manifest = self._manifest(manifest_digest)
        draft = Version(
            model=name,
            version=0,
            digest=manifest_digest,
            format=manifest.format,
            signature=signature or manifest.signature,
            metrics=dict(metrics or {}),
            run_id=run_id,
            metadata=dict(metadata or {}),
            servable=manifest.format in self._runtimes and not folders.has_pickle(self._blobs, manifest),
            created_at=self._clock.text(),
            created_by=actor,
            profile_digest=self._profiled(
                profile_digest, signature or manifest.signature, tuple((metadata or {}).get("snapshots", ()))
            ),
            evaluation_digest=evaluation_digest or None,
        )
        return self._database.write(lambda tx: self._registered(tx, draft))

    def _profiled(self, digest: str | None, signature: Signature, datasets: Sequence[str]) -> str | None:
        """The blob of the training profile: rows are counted, by what the contracts of the datasets say, and not kept."""
        if not digest:
            return None
        content = self._blobs.get(digest)
        made = self._monitoring.profiled(content, signature, datasets)
        return digest if made == content else None if made is None else self._blobs.put(made)

    def _registered(self, tx: Transaction, draft: Version) -> Version:
        known = store.version_of_run(tx, draft.model, draft.run_id, draft.digest)
        if known is not None:
            return known
        return self._add(tx, draft)

    def models(self) -> list[RegisteredModel]:
        """All registered models by name."""
        return self._database.read(store.models)

    def versions(self, name: str) -> list[Version]:
        """All versions of a model, oldest first; NotFound for an unknown model."""
        return self._database.read(lambda tx: self._versions(tx, name))

    def versions_of_run(self, run_id: str) -> list[Version]:
        """What a run registered."""
        return self._database.read(lambda tx: store.versions_of_run(tx, run_id))

    def version(self, name: str, number: int) -> Version:
        """One version; NotFound when it does not exist."""
        found = self._database.read(lambda tx: store.version(tx, name, number))
        if found is None:
            raise NotFound(
                f"There is no version {number} of the model {name!r}.", "`loopline versions MODEL` lists them."
            )
        return found

    def find(self, reference: str) -> Version:
        """The version that `model/3`, `model@alias` or `model` (the newest) names."""
        name, number, alias = model.parsed_reference(reference)
        if alias is not None:
            number = self.alias(name, alias)
            if number is None:
                raise NotFound(f"The model {name!r} has no alias {alias!r}.", "`loopline models` shows the aliases.")
        if number is not None:
            return self.version(name, number)
        found = self.versions(name)
        if not found:
            raise NotFound(f"The model {name!r} has no version.", "Register one first.")
        return found[-1]

    def alias(self, name: str, alias: str) -> int | None:
        """The version to which an alias points, or None."""
        return self.aliases(name).get(alias)

    def aliases(self, name: str) -> dict[str, int]:
        """Alias → version."""
        return self._database.read(lambda tx: store.aliases(tx, name))

    def alias_history(self, name: str, alias: str) -> list[AliasMove]:
        """Every move of an alias, oldest first."""
        return self._database.read(lambda tx: store.moves(tx, name, alias))

    def alias_at(self, name: str, alias: str, at: str) -> int | None:
        """The version to which an alias pointed at a time (ISO 8601), or None before its first move."""
        until = to_text(from_text(at))
        found = self._database.read(lambda tx: store.moves(tx, name, alias, until))
        return found[-1].version if found else None

    def previous(self, name: str, alias: str) -> int | None:
        """The version to which an alias pointed before the current one, or None."""
        found = self.alias_history(name, alias)
        return found[-1].from_version if found else None

    def point(self, name: str, alias: str, version: int, actor: str, reason: str) -> AliasMove | None:
        """Move an alias to a version, whatever gates say: the caller answers for that. None when it is there already.

        Raises NotFound for an unknown version, Invalid for a bad alias.
        """
        checked_name("alias", alias)
        return self._database.write(lambda tx: self.point_in(tx, name, alias, version, actor, reason))

    def point_in(
        self, tx: Transaction, name: str, alias: str, version: int, actor: str, reason: str
    ) -> AliasMove | None:
        """`point` inside a transaction that changes more than the alias."""
        if store.version(tx, name, version) is None:
            raise NotFound(f"There is no version {version} of the model {name!r}.", "`loopline versions` lists them.")
        before = store.aliases(tx, name).get(alias)
        if before == version:
            return None
        return self._move(tx, name, alias, before, version, actor, reason)

    def materialize(self, name: str, version: int, folder: Path) -> Path:
        """Write the model's files and `model.json` into `folder` (made when missing); answers it."""
        manifest = self._manifest(self.version(name, version).digest)
        folders.write(self._blobs, manifest, folder)
        return folder

    def evaluation(self, name: str, version: int) -> pa.Table:
        """The held-out rows of a version (inputs, label, event_time, slice columns); NotFound when it has none."""
        digest = self.version(name, version).evaluation_digest
        if digest is None:
            raise NotFound(f"Version {version} of {name!r} has no held-out rows.", "Register it with an evaluation.")
        return folders.table(self._blobs, digest)

    def profile(self, name: str, version: int) -> bytes | None:
        """The training profile (JSON). For a version that came without training rows, that of its held-out rows, when it has
        such; else None."""
        found = self.version(name, version)
        if found.profile_digest is not None:
            return self._blobs.get(found.profile_digest)
        if found.evaluation_digest is None:
            return None
        rows = folders.table(self._blobs, found.evaluation_digest)
        try:
            return self._monitoring.profile(rows, found.signature, "event_time")
        except Invalid:  # they are not those of its signature
            return None

    def profiler(self, name: str, version: int) -> Any:
        """Profiles rows that the version scores, comparable with those of its training: `add(table)` for each batch of
        inputs and `prediction`, `finish()` gives the profile (JSON)."""
        return self._monitoring.profiler(name, version)

    def replayed(self, facts: Iterable[Fact]) -> dict[str, int | str]:
        """What must stand after `facts`: {"model@alias": version, "model/version": digest,
        "model/version stage": stage}."""
        return replayed(facts)

    def current(self, tx: Transaction) -> dict[str, int | str]:
        """What stands now, in the same form."""
        return {**store.all_aliases(tx), **store.all_digests(tx), **store.all_stages(tx)}
