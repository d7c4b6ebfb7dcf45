"""The verbs of lineage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from loopline.core.errors import Invalid, NotFound
from loopline.core.facts import Fact
from loopline.usecases.lineage import stops
from loopline.usecases.lineage.model import Drawing, Kind, Walk
from loopline.usecases.lineage.needs import (
    Datasets,
    Ledger,
    Part,
    Pipelines,
    Registry,
    Retention,
    Run,
    Serving,
    Snapshot,
    Tracking,
    Version,
)

MOST_BATCHES = 100
SHORTEST = 6
JUDGED = ("model.version_registered", "gate.decided", "approval.given", "card.written")


class Lineage:
    """Walks through what the other use-cases know, along the digests and facts that join them."""

    def __init__(
        self,
        ledger: Ledger,
        datasets: Datasets,
        tracking: Tracking,
        pipelines: Pipelines,
        registry: Registry,
        serving: Serving,
        retention: Retention,
    ) -> None:
        self._ledger = ledger
        self._datasets = datasets
        self._tracking = tracking
        self._pipelines = pipelines
        self._registry = registry
        self._serving = serving
        self._retention = retention

    def trace(self, prediction: str) -> Walk:
        """From a prediction to revision, model version, run, step code, dataset snapshots and their batches.

        Raises NotFound for an unknown id, Invalid for a text that is none. What is not known further back (a model that
        was registered by hand) ends the walk there.
        """
        record = self._serving.find_prediction(prediction)
        drawing = Drawing(f"prediction {record['id']}")
        node = stops.prediction(record)
        drawing.add(node)
        self._walk_revision(drawing, node.id, record)
        return drawing.done()

    def impact(self, snapshot: str) -> Walk:
        """From a dataset snapshot, or a batch, to the runs that used it, the versions they made, the revisions that
        served those and how many predictions each gave.

        `snapshot` is a digest or its beginning (6 digits or more). NotFound when nothing has it, Invalid when several do.
        """
        stone = self._retention.tombstone("snapshot", snapshot.strip().lower()) if len(snapshot) >= SHORTEST else None
        if stone is not None:
            removed = Drawing(f"snapshot {stone.name}")
            removed.add(stops.removed("snapshot", stone))
            return removed.done()
        found, part = self._resolved(snapshot)
        drawing = Drawing(f"{'batch' if part else 'snapshot'} {part.digest if part else found[0].digest}")
        source = ""
        if part is not None:
            node = stops.batch(found[0].dataset, part)
            drawing.add(node)
            source = node.id
        traffic: dict[str, list[dict[str, Any]]] = {}
        for each in found:
            node = stops.snapshot(each, self._taken(each), self._later(each) if part is None else ())
            drawing.add(node, source, "is part of")
            for run_id in self._tracking.runs_with(each.digest):
                self._walk_forward(drawing, node.id, run_id, traffic)
        return drawing.done()

    def _walk_revision(self, drawing: Drawing, source: str, record: dict[str, Any]) -> None:
        endpoint, number = record["endpoint"], record["revision"]
        if number:
            node = stops.revision(endpoint, number, self._deployed(endpoint, number))
            drawing.add(node, source, "answered by")
            source = node.id
        name, at = f"{record['model']}/{record['version']}", record["at"]
        if self._add_removed(drawing, source, "version", name, "serves", since=at):
            return
        try:
            version = self._registry.version(record["model"], record["version"])
        except NotFound:
            return
        node = stops.version(version, self._moved(version, self._aliases_of(endpoint)))
        drawing.add(node, source, "serves")
        self._walk_run(drawing, node.id, version)

    def _walk_run(self, drawing: Drawing, source: str, version: Version) -> None:
        try:
            run = self._tracking.get(version.run_id)
        except (NotFound, Invalid):
            self._add_removed(drawing, source, "run", version.run_id, "made by")
            return
        pipeline = self._pipeline(run)
        node = stops.run(run, pipeline, self._ledger.about(run.id))
        drawing.add(node, source, "made by")
        codes = self._pipelines.codes(run.id) if pipeline is not None else {}
        for label, closure in codes.items():
            drawing.add(stops.code(label, closure, run.id), node.id, f"runs {label}")
        if not codes and version.metadata.get("code"):
            drawing.add(stops.files(str(version.metadata["code"])), node.id, "runs")
        for link in run.links:
            if link.direction == "input" and link.kind == "dataset":
                self._walk_snapshot(drawing, node.id, link.digest, link.name)

    def _walk_snapshot(self, drawing: Drawing, source: str, digest: str, name: str) -> None:
        try:
            snapshot = self._datasets.get(digest, name)
        except NotFound:
            self._add_removed(drawing, source, "snapshot", f"{name}/{digest}", "trained on")
            return
        node = stops.snapshot(snapshot, self._taken(snapshot))
        drawing.add(node, source, "trained on")
        for part in snapshot.parts[-MOST_BATCHES:]:
            drawing.add(stops.batch(snapshot.dataset, part), node.id, "holds")

    def _walk_forward(self, drawing: Drawing, source: str, run_id: str, traffic: dict[str, Any]) -> None:
        run = self._tracking.get(run_id)
        node = stops.run(run, self._pipeline(run), self._ledger.about(run.id))
        if not drawing.add(node, source, "was used by"):
            return
        for version in self._registry.versions_of_run(run_id):
            made = stops.version(version, self._moved(version, ()))
            drawing.add(made, node.id, "made")
            for endpoint in self._serving.endpoints():
                for revision in self._serving.revisions(endpoint.name):
                    if (revision.model, revision.version) == (version.model, version.version):
                        self._add_revision(drawing, made.id, endpoint.name, revision, traffic)

    def _add_revision(
        self, drawing: Drawing, source: str, endpoint: str, revision: Any, traffic: dict[str, Any]
    ) -> None:
        if endpoint not in traffic:
            traffic[endpoint] = self._serving.traffic(endpoint)
        days = [day for day in traffic[endpoint] if day["revision"] == revision.revision]
        count = sum(day["rows"] for day in days)
        span = f" from {days[0]['day']} to {days[-1]['day']}" if days else ""
        facts = self._deployed(endpoint, revision.revision)
        lines = [f"{count} prediction{'s' * (count != 1)}{span}", f"{revision.status} now"]
        node = stops.revision(endpoint, revision.revision, facts, lines, revision.requested_at)
        drawing.add(node, source, "was served by")

    def _add_removed(self, drawing: Drawing, source: str, kind: Kind, name: str, what: str, since: str = "") -> bool:
        """Where a thing was that is removed by now, say so; False when nothing is known of that. With `since`, only of
        one that was removed after that time: another may have its name since."""
        stone = self._retention.tombstone(kind, name)
        if stone is None or stone.removed_at < since:
            return False
        drawing.add(stops.removed(kind, stone), source, what)
        return True

    def _pipeline(self, run: Run) -> Any | None:
        try:
            return self._pipelines.get(run.id)
        except NotFound:
            return None

    def _deployed(self, endpoint: str, number: int) -> list[Fact]:
        facts = self._ledger.about(f"endpoint:{endpoint}")
        return [fact for fact in facts if fact.kind.startswith("deployment.") and fact.body["revision"] == number]

    def _aliases_of(self, endpoint: str) -> tuple[str, ...]:
        try:
            alias = self._serving.endpoint(endpoint).alias
        except NotFound:
            return ()
        return (alias,) if alias else ()

    def _moved(self, version: Version, aliases: Sequence[str]) -> list[Fact]:
        """The facts that brought a version where it is: registered, judged, approved, promoted."""
        facts = self._ledger.about(f"{version.model}/{version.version}", JUDGED)
        for alias in {*aliases, *(fact.body["alias"] for fact in facts if fact.body.get("alias"))}:
            moves = self._ledger.about(f"{version.model}@{alias}", ("alias.moved",))
            facts += [fact for fact in moves if fact.body["to"] == version.version]
        return sorted(facts, key=lambda fact: fact.seq)

    def _taken(self, snapshot: Snapshot) -> list[Fact]:
        facts = self._ledger.about(snapshot.dataset, ("dataset.snapshot_taken",))
        return [fact for fact in facts if fact.body["digest"] == snapshot.digest]

    def _later(self, snapshot: Snapshot) -> list[str]:
        """Which later snapshots hold the same batches: what is wrong here is wrong there."""
        own = {part.digest for part in snapshot.parts}
        every = self._datasets.snapshots(snapshot.dataset)
        later = [each for each in every if each.taken_at > snapshot.taken_at and own & {p.digest for p in each.parts}]
        return [f"batches of it are in {len(later)} later snapshot{'s' * (len(later) != 1)}"] if later else []

    def _resolved(self, text: str) -> tuple[list[Snapshot], Part | None]:
        """The snapshot that begins so; or the batch that does, with every snapshot that holds it."""
        wanted = text.lower().strip()
        if len(wanted) < SHORTEST:
            raise Invalid(
                f"{text!r} is too short to name a snapshot.", f"Give {SHORTEST} digits of its digest or more."
            )
        every = [each for dataset in self._datasets.datasets() for each in self._datasets.snapshots(dataset.name)]
        snapshots = {each.digest: each for each in every if each.digest.startswith(wanted)}
        parts = {part.digest: part for each in every for part in each.parts if part.digest.startswith(wanted)}
        if len(snapshots) + len(parts.keys() - snapshots.keys()) > 1:
            raise Invalid(f"Several snapshots or batches begin with {text!r}.", "Write more of the digest.")
        if snapshots:
            return list(snapshots.values()), None
        if not parts:
            raise NotFound(f"No snapshot or batch begins with {text[:80]!r}.", "`loopline datasets NAME` lists them.")
        (part,) = parts.values()
        return [each for each in every if part.digest in {held.digest for held in each.parts}], part
