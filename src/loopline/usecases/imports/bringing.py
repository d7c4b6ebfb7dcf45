"""One import, from its first experiment to its last run: portions are read, fitted, and written each in one transaction
together with the note that they came, so that an import which was killed goes on where it was."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from blake3 import blake3

from loopline.core.errors import Conflict, Invalid
from loopline.core.times import from_ms
from loopline.ports.blobs import Blobs
from loopline.ports.database import Database, Transaction
from loopline.usecases.imports import model, store
from loopline.usecases.imports.fitting import MODEL_TAG, RUN_TAG, model_fitted, moment, run_fitted, run_timed
from loopline.usecases.imports.keeping import Kept, kept
from loopline.usecases.imports.model import Experiment, LoggedModel, Report, Run, Source
from loopline.usecases.imports.needs import Ledger, Tracking
from loopline.usecases.imports.store import Known

MOST_POINTS = 200_000
PARENT = "mlflow.parentRunId"
Tell = Callable[[int, int | None, str], None]


class Bringing:
    """One import under way. `report` grows with it."""

    def __init__(
        self,
        source: Source,
        database: Database,
        ledger: Ledger,
        tracking: Tracking,
        blobs: Blobs,
        actor: str,
        now: Callable[[], str],
        prefix: str = "",
        dry_run: bool = False,
        tell: Tell | None = None,
    ) -> None:
        self._source = source
        self._database = database
        self._ledger = ledger
        self._tracking = tracking
        self._blobs = blobs
        self._actor = actor
        self._now = now
        self._prefix = prefix
        self._dry_run = dry_run
        self._tell = tell or (lambda done, total, what: None)
        self.report = Report(source=source.name, dry_run=dry_run)
        self.renamed: dict[str, str] = {}
        self.ids: dict[str, str] = {}
        self.models: dict[str, str] = {}
        self._children: list[tuple[str, str]] = []
        self._there: set[str] = set()
        self._done = 0

    def runs(self) -> None:
        """Bring in all experiments with their runs and logged models."""
        total = self._source.count()
        for experiment in self._source.experiments(self.report):
            self._tell(self._done, total, experiment.name)
            number = self._experiment(experiment)
            if number is None:
                continue
            models = list(self._source.logged_models(experiment, self.report))
            self.models.update((one.id, own_model_id(one)) for portion in models for one in portion)
            for portion in self._source.runs(experiment, self.report):
                self._portion(experiment, number, portion)
                self._done += len(portion)
                self._tell(self._done, total, experiment.name)
            for some in models:
                self._models(experiment, number, some)
        self._parents()

    def known(self, kind: str, names: Sequence[str]) -> dict[str, Known]:
        """Those things of this source that came in before."""
        return self._database.read(lambda tx: store.known(tx, self._source.name, kind, names))

    def remember(self, tx: Transaction, kind: str, things: Iterable[tuple[str, str, str]]) -> None:
        """Note that things came in, as (name, target, stamp)."""
        store.remember(tx, self._source.name, kind, things, self._now())

    def _experiment(self, one: Experiment) -> int | None:
        """The number of an experiment here, made when it is new; None when it cannot be written to."""
        known = self.known("experiment", [one.id]).get(one.id)
        there = self._there_now(known.target) if known is not None else None
        stamp = model.stamp_of(one)
        if known is not None and there is not None and known.stamp == stamp:
            return self._usable(one, there)
        self.report.experiments += 1
        if self._dry_run:
            return 0
        name = f"{self._prefix}{one.name}" if there is None else there.name
        try:
            return self._database.write(lambda tx: self._make(tx, one, name, stamp))
        except (Conflict, Invalid) as error:
            self.report.experiments -= 1
            self.report.lose("experiment", one.name, str(error))
            return None

    def _there_now(self, number: str) -> Any:
        return next((one for one in self._tracking.given_experiments() if str(one.id) == number), None)

    def _usable(self, one: Experiment, there: Any) -> int | None:
        """The number of an experiment that came before, unless it went into the trash here since."""
        if there.state == "deleted" and one.state != "deleted":
            self.report.lose("experiment", one.name, "it is in the trash here; restore it first")
            return None
        return int(there.id)

    def _make(self, tx: Transaction, one: Experiment, name: str, stamp: str) -> int:
        number, fresh = self._tracking.take_experiment_in(
            tx, name, one.state, moment(one.created_ms), moment(one.updated_ms), one.tags, self._actor
        )
        self.remember(tx, "experiment", [(one.id, str(number), stamp)])
        body = {"source": self._source.name, "id": one.id, "name": name, "made": fresh}
        self._ledger.append(tx, model.EXPERIMENT_IMPORTED, str(number), self._actor, body)
        return number

    def _portion(self, experiment: Experiment, number: int, portion: list[Run]) -> None:
        portion = list(self._once(portion))
        known = self.known("run", [run.id for run in portion])
        changed = [run for run in portion if run.id not in known or known[run.id].stamp != run.stamp]
        here = self._tracking.started_ats([known[run.id].target for run in changed if run.id in known])
        changed = [run for run in changed if run.id not in known or known[run.id].target in here]  # removed stays so
        for run in changed:
            run_timed(run, self.report)
        self.report.runs_known += len(portion) - len(changed)
        ids = {name: one.target for name, one in known.items()} | self._targets(changed, known)
        self.ids.update(ids)
        self.renamed.update((name, target) for name, target in ids.items() if name != target)
        for part in by_points(changed):
            self._write(experiment, number, part, ids, known)

    def _once(self, portion: list[Run]) -> Iterator[Run]:
        """The runs of a portion; one that came already in this import lies in two places, of which the first counts."""
        seen: set[str] = set()
        for run in portion:
            if run.id in seen or run.id in self.ids:
                self.report.lose("run", run.id, "another run of this source has the same id")
            else:
                seen.add(run.id)
                yield run

    def _targets(self, runs: list[Run], known: Mapping[str, Known]) -> dict[str, str]:
        """The id of each run here: its own, unless that means another run here already."""
        ids = {run.id: known[run.id].target for run in runs if run.id in known}
        fresh = {run.id: own_id(run) for run in runs if run.id not in ids}
        there = self._tracking.started_ats([one for one in fresh.values() if one])
        for run in runs:
            if wanted := fresh.get(run.id):
                at = from_ms(run.started_ms)
                ids[run.id] = wanted if there.get(wanted, at) == at else derived(self._source.name, run.id)
            elif run.id not in ids:
                ids[run.id] = derived(self._source.name, run.id)
        self._there.update(ids[run.id] for run in runs if ids[run.id] in there)
        return ids

    def _write(
        self, experiment: Experiment, number: int, runs: list[Run], ids: Mapping[str, str], known: Mapping[str, Known]
    ) -> None:
        report = self.report
        fresh = sum(run.id not in known and ids[run.id] not in self._there for run in runs)
        for run in runs:
            run_fitted(run, self._tracking.fits, report)
        files = self._files(runs, ids)
        report.runs += fresh
        report.runs_changed += len(runs) - fresh
        if self._dry_run:
            report.points += sum(run.size for run in runs)
            return
        measured = self._points(runs, ids)
        stamps = [(run.id, ids[run.id], run.stamp) for run in runs]
        taken = [self._here(run, ids[run.id]) for run in runs]
        self._children += [(run.id, parent) for run in taken if (parent := run.tags.get(PARENT))]

        def work(tx: Transaction) -> int:
            points = self._tracking.take_in(tx, number, taken, measured, self._actor)
            self._tracking.take_files_in(tx, files)
            self.remember(tx, "run", stamps)
            counts = {"runs": fresh, "changed": len(runs) - fresh, "points": points, "artifacts": len(files)}
            body = {"source": self._source.name, "experiment": experiment.name, **counts, "digest": digest_of(stamps)}
            self._ledger.append(tx, model.IMPORTED, str(number), self._actor, body)
            return points

        report.points += self._database.write(work)

    def _here(self, run: Run, run_id: str) -> Run:
        """A run under the ids that it and its models have here."""
        models_in = [self.models.get(one, one) for one in run.models_in]
        models_out = [(self.models.get(one, one), step) for one, step in run.models_out]
        return msgspec.structs.replace(run, id=run_id, models_in=models_in, models_out=models_out)

    def _points(self, runs: list[Run], ids: Mapping[str, str]) -> Iterator[tuple[str, str, int, int, float]]:
        keys = {run.id: frozenset(run.keys) for run in runs}
        for run_id, key, at_ms, step, value in self._source.points(list(runs), self.report):
            if key not in keys[run_id]:
                continue
            if -(2**63) <= step < 2**63 and at_ms < 2**63:
                yield ids[run_id], key, max(at_ms, 0), step, value
            else:
                self.report.lose("point", f"{run_id}/{key}", "its step or time has more than 64 bits")

    def _files(self, owners: Sequence[Run] | Sequence[LoggedModel], ids: Mapping[str, str]) -> list[Kept]:
        found: list[Kept] = []
        for owner in owners:
            files = self._source.files(owner, self.report)
            if self._dry_run:
                for file in files:
                    self.report.artifacts += 1
                    self.report.artifact_bytes += file.path.stat().st_size
            else:
                found += kept(self._blobs, ids.get(owner.id, owner.id), files, self._tracking.fits, self.report)
        if found:
            self._blobs.settle()
        return found

    def _models(self, experiment: Experiment, number: int, models: list[LoggedModel]) -> None:
        known = self.known("logged model", [one.id for one in models])
        changed = [one for one in models if one.id not in known or known[one.id].stamp != one.stamp]
        if not changed:
            return
        self.report.logged_models += len(changed)
        for one in changed:
            model_fitted(one, self._tracking.fits, self.report)
            one.source_run_id = self.renamed.get(one.source_run_id, one.source_run_id)
            one.metrics = [row._replace(run_id=self.renamed.get(row.run_id, row.run_id)) for row in one.metrics]
        files = self._files(changed, self.models)
        if self._dry_run:
            return
        stamps = [(one.id, self.models[one.id], one.stamp) for one in changed]
        taken = [msgspec.structs.replace(one, id=self.models[one.id]) for one in changed]

        def work(tx: Transaction) -> None:
            self._tracking.take_models_in(tx, number, taken)
            self._tracking.take_files_in(tx, files)
            self.remember(tx, "logged model", stamps)
            counts = {"logged_models": len(changed), "artifacts": len(files)}
            body = {"source": self._source.name, "experiment": experiment.name, **counts, "digest": digest_of(stamps)}
            self._ledger.append(tx, model.IMPORTED, str(number), self._actor, body)

        self._database.write(work)

    def _parents(self) -> None:
        """Have children name their parents by the ids that these got here."""
        moved = [(child, self.renamed[parent]) for child, parent in self._children if parent in self.renamed]

        def work(tx: Transaction) -> None:
            for child, parent in moved:
                self._tracking.take_tag_in(tx, child, PARENT, parent)

        if moved:
            self._database.write(work)


def by_points(runs: list[Run]) -> Iterator[list[Run]]:
    """Runs in portions of about as many points as one transaction should write."""
    part: list[Run] = []
    points = 0
    for run in runs:
        if part and points + run.size > MOST_POINTS:
            yield part
            part, points = [], 0
        part.append(run)
        points += run.size
    if part:
        yield part


def own_id(run: Run) -> str:
    """The id that a run has, or had here before it went out; nothing when it could not be one here."""
    before = run.tags.get(RUN_TAG, "")
    return next((one for one in (before, run.id) if is_run_id(one)), "")


def own_model_id(one: LoggedModel) -> str:
    """The id that a logged model has, or had here before it went out."""
    before = one.tags.get(MODEL_TAG, "")
    return before if before.startswith("m-") and is_run_id(before[2:]) else one.id


def is_run_id(text: str) -> bool:
    """Whether a run may have this id here."""
    return len(text) == 32 and set(text) <= set("0123456789abcdef")


def derived(source: str, run_id: str) -> str:
    """The id of a run whose own is taken or of another form: always the same for the same run of the same source."""
    return blake3(f"{source}\0{run_id}".encode()).hexdigest()[:32]


def digest_of(stamps: Iterable[tuple[str, str, str]]) -> str:
    """What a batch held, in one digest."""
    return model.stamp_of(sorted(stamps))


def checked_prefix(prefix: str) -> str:
    """A prefix for names of experiments; Invalid when it could not stand before one."""
    if len(prefix) <= 100 and (prefix.isprintable() or not prefix):
        return prefix
    raise Invalid(f"{prefix[:80]!r} cannot stand before names.", "Use at most 100 visible characters.")
