"""Model cards: generated from what is known of a version, with texts that people write, kept in immutable revisions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec

from loopline.core.errors import Conflict, LooplineError, NotFound
from loopline.ports.database import Transaction
from loopline.usecases.registry import cards_store, model
from loopline.usecases.registry.base import Base
from loopline.usecases.registry.card_model import CARD_WRITTEN, Card, Document, Revision, checked, markdown
from loopline.usecases.registry.model import NO_STAGE, Version


class Cards(Base):
    """Cards of versions."""

    def card(self, name: str, version: int, revision: int = 0) -> Card:
        """A card as it was written in a revision, or (0) its newest texts with the facts of now. NotFound."""
        found = self._version_of(name, version)
        written, pins = self._database.read(
            lambda tx: (cards_store.revisions(tx, name, version), cards_store.pins(tx, name, version))
        )
        chosen = [one for one in written if one.revision == revision] if revision else written[-1:]
        if revision and not chosen:
            raise NotFound(f"The card of {name}/{version} has no revision {revision}.", f"It has {len(written)}.")
        document = self._document(chosen[0].digest) if chosen else None
        return Card(
            model=name,
            version=version,
            revision=chosen[0].revision if chosen else 0,
            live=not revision,
            texts=document.texts if document else {},
            facts=document.facts if document and revision else self._facts(found),
            revisions=written,
            pins=pins,
        )

    def card_text(self, name: str, version: int, revision: int = 0) -> str:
        """The card as Markdown with front matter."""
        return markdown(self.card(name, version, revision))

    def write_card(
        self, name: str, version: int, texts: Mapping[str, str], actor: str, base: int | None = None
    ) -> Revision:
        """Change texts of a card, which makes a new revision; nothing changes when the texts are what they were.

        `base` is the revision that the writer saw: Conflict when there is a newer one. NotFound, Invalid.
        """
        known = self.card(name, version)
        if base is not None and base != known.revision:
            raise Conflict(
                f"The card of {name}/{version} was changed meanwhile (revision {known.revision}).",
                "Look at it, then write again.",
            )
        merged = {key: text for key, text in {**known.texts, **checked(texts)}.items() if text}
        if known.revision and merged == known.texts:
            return known.revisions[-1]
        return self._written(known, merged, actor)

    def freeze_card(self, name: str, version: int, actor: str) -> Revision | None:
        """Have the newest revision hold the facts of now, before an alias moves here. What cannot be written must not stop
        a promotion: None then."""
        try:
            known = self.card(name, version)
            if known.revision and self._document(known.revisions[-1].digest).facts == known.facts:
                return known.revisions[-1]
            return self._written(known, known.texts, actor)
        except LooplineError:
            return None

    def _written(self, known: Card, texts: Mapping[str, str], actor: str) -> Revision:
        document = Document(model=known.model, version=known.version, texts=dict(texts), facts=known.facts)
        revision = Revision(
            revision=known.revision + 1,
            digest=self._blobs.put(msgspec.json.encode(document, order="sorted")),
            owner=texts.get("owner", ""),
            written_at=self._clock.text(),
            written_by=actor,
        )
        return self._database.write(lambda tx: self._added(tx, known.model, known.version, revision))

    def _added(self, tx: Transaction, name: str, version: int, revision: Revision) -> Revision:
        newest = cards_store.revisions(tx, name, version)[-1:]
        if (newest[0].revision if newest else 0) != revision.revision - 1:
            raise Conflict(f"The card of {name}/{version} was changed meanwhile.", "Look at it, then write again.")
        self._there(tx, name, version)
        body = {"model": name, "version": version, "revision": revision.revision, "digest": revision.digest}
        self._ledger.append(tx, CARD_WRITTEN, model.version_key(name, version), revision.written_by, body)
        cards_store.add(tx, name, version, revision)
        return revision

    def _document(self, digest: str) -> Document:
        return msgspec.json.decode(self._blobs.get(digest), type=Document)

    def _version_of(self, name: str, version: int) -> Version:
        return self._database.read(lambda tx: self._there(tx, name, version))

    def _facts(self, version: Version) -> dict[str, Any]:
        """What is known of a version just now, as plain data. What a part cannot tell just now is left out."""
        facts: dict[str, Any] = {
            "digest": version.digest,
            "format": version.format,
            "size": self.size_of(version),
            "servable": version.servable,
            "not_servable": self.why_not_servable(version),
            "created_at": version.created_at,
            "created_by": version.created_by,
            "source": version.source,
            "stage": "" if version.stage == NO_STAGE else version.stage,
            "description": version.description,
            "tags": version.tags,
            "aliases": sorted(version.aliases),
            "endpoints": tried(lambda: self._endpoints_of(version), []),
            "metrics": version.metrics,
            "inputs": msgspec.to_builtins(version.signature.inputs),
            "output": msgspec.to_builtins(version.signature.output),
            "label": version.metadata.get("label", ""),
            "trained_from": version.metadata.get("trained_from", ""),
            "trained_until": version.metadata.get("trained_until", ""),
            "code": version.metadata.get("code", ""),
            "release": version.metadata.get("release", ""),
            "run": tried(lambda: self._run_facts(version), None),
            "data": tried(lambda: self._data_of(version), []),
            "gates": tried(lambda: self._gates_of(version), []),
            **tried(lambda: self._measured_of(version), {}),
        }
        return dict(msgspec.json.decode(msgspec.json.encode(facts)))

    def size_of(self, version: Version) -> int | None:
        """Bytes of a version's files on disk; None when some are lost."""
        try:
            manifest = self._manifest(version.digest)
            return sum(self._blobs.size(digest) for digest in {*manifest.files.values(), *manifest.beside.values()})
        except LooplineError:
            return None

    def why_not_servable(self, version: Version) -> str:
        """Why a version is never loaded, or ''."""
        if version.servable:
            return ""
        told = version.metadata.get("not_servable")
        return str(told or f"It is stored as {version.format!r}, which no runtime loads safely.")

    def _endpoints_of(self, version: Version) -> list[str]:
        """The endpoints at which the version is live or wanted."""
        found = []
        for endpoint in self._serving.endpoints():
            numbers = {endpoint.live, endpoint.wanted} - {None}
            if endpoint.model == version.model and any(
                one.revision in numbers and one.version == version.version
                for one in self._serving.revisions(endpoint.name)
            ):
                found.append(endpoint.name)
        return found

    def _run_facts(self, version: Version) -> dict[str, Any] | None:
        if not version.run_id:
            return None
        run: Any = self._tracking.get(version.run_id)
        git = run.surroundings.get("git") or {}
        tags = {key: value for key, value in run.tags.items() if not key.startswith("mlflow.")}
        told = {
            name: getattr(run, name)
            for name in ("id", "experiment", "name", "kind", "status", "started_at", "ended_at")
        }
        commit = git.get("commit") or run.tags.get("mlflow.source.git.commit", "")
        return told | {
            "params": dict(sorted(run.params.items())),
            "metrics": run.metrics,
            "tags": tags,
            "commit": commit,
        }

    def _data_of(self, version: Version) -> list[dict[str, Any]]:
        """The snapshots that went in, with what is known of each."""
        named = version.metadata.get("snapshots") or {}
        pairs = named.items() if isinstance(named, Mapping) else (("", digest) for digest in named)
        found = []
        for name, value in pairs:
            for digest in [value] if isinstance(value, str) else value if isinstance(value, list) else []:
                snapshot: Any = tried(partial(self._datasets.get, digest), None)
                told = {"rows": snapshot.rows, "taken_at": snapshot.taken_at} if snapshot else {}
                columns = [one.name for one in snapshot.columns] if snapshot else []
                dataset = name or (snapshot.dataset if snapshot else "")
                found.append({"dataset": str(dataset), "digest": str(digest), "columns": columns, **told})
        return found

    def _gates_of(self, version: Version) -> list[dict[str, Any]]:
        """The newest gate of the version for each alias."""
        found: dict[str, dict[str, Any]] = {}
        for gate in self._promotion.gates(version.model, 500):
            if gate.version == version.version and gate.alias not in found:
                plain = msgspec.to_builtins(gate)
                evidence = plain.pop("evidence")
                plain.pop("config")
                kept = (
                    "metric",
                    "rows",
                    "score",
                    "champion_score",
                    "held_out_from",
                    "held_out_until",
                    "slices",
                    "latency",
                )
                found[gate.alias] = plain | {name: evidence[name] for name in kept}
        return [found[alias] for alias in sorted(found)]

    def _measured_of(self, version: Version) -> dict[str, Any]:
        """Calibration, slices and latency, as far as they were measured side by side with others."""
        measured = self._promotion.measured(version.model, version.version)
        if measured is None:
            return {}
        sides = msgspec.to_builtins(measured)
        place = sides["versions"].index(version.version)
        side = sides["sides"][place]
        slices = [{**one, "score": one["scores"][place]} for one in sides["slices"]]
        told = {name: sides[name] for name in ("held_out_of", "rows", "held_out_from", "held_out_until", "measured_at")}
        return {
            "held_out": told | {"metric": sides["metrics"][0], "scores": side["scores"]},
            "calibration": side["calibration"],
            "latency": side["latency"],
            "slices": [{name: one[name] for name in ("column", "value", "rows", "score")} for one in slices],
        }


def tried(ask: Callable[[], Any], otherwise: Any) -> Any:
    """What others answer, or something else when they cannot."""
    try:
        return ask()
    except LooplineError:
        return otherwise
