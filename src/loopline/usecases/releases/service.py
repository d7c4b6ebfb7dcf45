"""The verbs of releases."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from loopline.core.errors import CheckFailed, Invalid, LooplineError, NotFound, Refused
from loopline.ports.blobs import Blobs
from loopline.ports.clock import Clock
from loopline.ports.database import Database, Transaction
from loopline.usecases.releases import comparing, environments, folders, locking, model, sealing, store
from loopline.usecases.releases.finding import Finder, retested
from loopline.usecases.releases.locking import Lock
from loopline.usecases.releases.model import (
    Differences,
    Listed,
    Manifest,
    Outcomes,
    Release,
    Verified,
)
from loopline.usecases.releases.needs import Automation, Datasets, Ledger, Pipelines, Projects, Signer
from loopline.usecases.releases.promoting import Places
from loopline.usecases.releases.shelf import Shelf

MOST = 10_000


TRIED = ("", "dev")  # where a release may run before it was promoted


class Releases(Places):
    """Pipelines sealed as releases; what stands in an environment is moved by a gate, and back."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        blobs: Blobs,
        clock: Clock,
        home: Path,
        signer: Signer,
        projects: Projects,
        datasets: Datasets,
        pipelines: Pipelines,
        automation: Automation | None = None,
    ) -> None:
        self._blobs = blobs
        self._home = home
        self._datasets = datasets
        self._pipelines = pipelines
        shelf = Shelf(database, ledger, blobs, clock, signer)
        self._finder = Finder(shelf, projects, pipelines, blobs, clock, home / "work")
        super().__init__(database, ledger, clock, projects, datasets, shelf, automation)

    def lock(self, folder: str | Path, *, upgrade: bool = False) -> tuple[Lock, bool]:
        """Write the project's requirements.lock; answers it and whether it changed. See `resolving.resolved`."""
        from loopline.kit.durable import write_file
        from loopline.usecases.releases.resolving import resolved

        path = Path(folder).absolute() / model.LOCK_FILE
        declared = locking.declared_in(path.parent)
        before = path.read_bytes() if path.is_file() else None
        try:
            standing = locking.parsed(before) if before is not None else None
        except Invalid:  # a lock of another tool, or one that was damaged: made anew
            standing = None
        text = locking.written(declared, resolved(declared, standing, upgrade))
        if text != before:
            write_file(path, text)
        return locking.parsed(text), text != before

    def check_lock(self, folder: str | Path) -> Lock:
        """The project's lock, when it is there and up to date; NotFound or CheckFailed otherwise. Asks no network."""
        path = Path(folder).absolute() / model.LOCK_FILE
        content = path.read_bytes() if path.is_file() else None
        return locking.checked(content, locking.declared_in(path.parent))

    def seal(
        self,
        folder: str | Path,
        pipeline: str,
        *,
        actor: str,
        progress: Callable[[str], None] | None = None,
        params: Mapping[str, Any] | None = None,
        tests_again: bool = False,
    ) -> Release:
        """Seal a pipeline of a project's folder; sealing the same content again answers the same release.

        `params` are for parameters without a default: the graph is traced with them. Raises NotFound without a lock,
        CheckFailed for a stale one, for tests that are missing or fail, and for code that the lock or the project's
        folder does not hold.
        """
        tell = progress or silent
        place = Path(folder).absolute()
        draft = sealing.drafted(place, pipeline, *self._projects.sources(place))
        python = self._python(draft.lock, actor, tell)
        whole, graph, contracts, outcomes = self._finder.found(draft, python, params or {}, tests_again, tell)
        manifest = sealing.manifest_of(whole, graph, contracts, outcomes)
        return self._shelf.put(manifest, whole.content, actor)[0]

    def releases(self, project: str = "", pipeline: str = "", limit: int = 200) -> list[Listed]:
        """The newest releases, newest first."""
        if not 1 <= limit <= MOST:
            raise Invalid(f"{str(limit)[:40]} releases cannot be listed.", f"Ask for 1 to {MOST}.")
        return self._database.read(lambda tx: store.listed(tx, project, pipeline, limit))

    def diff(self, a: str, b: str) -> Differences:
        """What differs between two releases, down to the function."""
        one, other = self.get(a), self.get(b)
        return Differences(a=one.digest, b=other.digest, changes=comparing.changes(one.manifest, other.manifest))

    def tests(self, ref: str) -> Outcomes:
        """How each test ended that was run for a release, with durations. NotFound when the report is gone."""
        release = self.get(ref)
        found = self._shelf.outcomes(release.content)
        if found is None:
            raise NotFound(f"The report of the tests of {release.digest[:12]} is gone.", "Verify the release.")
        return found

    def verify(self, ref: str, *, run: bool = False, actor: str = "") -> Verified:
        """Compare everything of a release with its signed digest; with `run` its tests are run once more too."""
        row = self._shelf.row(ref)
        problems = tuple(self._shelf.problems(row))
        if problems:
            return Verified(digest=row["digest"], files=0, problems=problems)
        release = self._shelf.release(row)
        tests = self._again(release, actor).summary() if run else None
        return Verified(digest=release.digest, files=len(release.manifest.files), tests=tests)

    def _again(self, release: Release, actor: str) -> Outcomes:
        python = self._python(self._lock_of(release.manifest), actor, silent)
        work = self._home / "work"
        return retested(release.manifest.files, self._shelf.bytes_of, python, work, self._clock.text())

    def run(
        self,
        ref: str,
        *,
        environment: str = "",
        params: Mapping[str, Any] | None = None,
        actor: str,
        progress: Callable[[Any], None] | None = None,
        tags: Mapping[str, str] | None = None,
        executor: str = "processes",
        tell: Callable[[str], None] | None = None,
    ) -> Any:
        """Run a release from its sealed files in its own environment; answers the pipeline run.

        Signature and digests are checked first: CheckFailed when anything is not as it was sealed. `environment`
        gives data, parameters and secrets (default: the one in the reference, else dev, else the project's own); Refused
        for one in which the release does not stand, unless that is dev. `tell` hears when an environment must be built
        first.
        """
        release = self._sound(ref)
        manifest = release.manifest
        if not environment and "@" in ref:
            environment = ref.rpartition("@")[2]
        found = self._projects.environment(release.project, environment, live=False)
        if found.name not in TRIED and self._standing(release, found.name) != release.digest:
            raise Refused(
                f"{release.digest[:12]} does not stand in {found.name!r}, whose data and secrets it asks for.",
                f"`loopline promote {release.digest[:12]} --env {found.name}` asks the gate.",
            )
        python = self._python(self._lock_of(manifest), actor, tell or silent)
        folder = folders.laid_out(manifest.files, self._home / "work" / "releases", self._shelf.bytes_of)
        for dataset in manifest.graph.datasets:
            self._take_in(found.datasets.get(dataset, dataset), actor, found.variables, tell or silent)
        return self._pipelines.run(
            folder,
            manifest.entry.function,
            {**found.params_of(release.pipeline), **(params or {})},
            actor=actor,
            progress=progress,
            file=manifest.entry.file,
            project=release.project,
            registers=manifest.entry.registers,
            executor=executor,
            tags=tags,
            python=python,
            release=release.digest,
            environment=found.name,
            bindings=dict(found.datasets),
            variables=found.variables,
        )

    def _take_in(self, dataset: str, actor: str, variables: Mapping[str, str], tell: Callable[[str], None]) -> None:
        """Take in what is new; what was taken in before is good enough when the source is gone or broken just now."""
        try:
            self._datasets.snapshot(dataset, actor, variables or None)
        except LooplineError as error:
            before = self._datasets.latest(dataset)
            tell(f"dataset {dataset}: {error.message} Using snapshot {before.digest[:12]}, which was there before.")

    def blobs_in_use(self) -> Iterable[str]:
        """The digests of all blobs that any release refers to: whoever clears up leaves these."""
        rows = self._database.read(store.every)
        for row in rows:
            yield row["manifest"]
            try:
                yield from (file.blob for file in self._shelf.release(row).manifest.files.values())
            except CheckFailed:  # nothing can be said of a damaged one, and nothing of it can be used
                continue

    def lock_text(self, ref: str) -> bytes:
        """The requirements.lock of a release, after its signature was checked."""
        return self._lock_of(self._sound(ref).manifest).text

    def _lock_of(self, manifest: Manifest) -> Lock:
        return locking.parsed(self._shelf.bytes_of(manifest.files[model.LOCK_FILE]))

    def _python(self, lock: Lock, actor: str, tell: Callable[[str], None]) -> str:
        """The interpreter for a lock, built when it is not there yet; "" is this one."""
        took: list[float] = []
        python = environments.python_for(lock, self._home / "environments", took.append, tell)
        if python and not self._database.read(lambda tx: store.has_environment(tx, lock.sha256)):
            seconds = took[0] if took else 0.0  # built by a process that was killed before it could say so
            if took:
                tell(f"built the environment {lock.sha256[:12]} in {seconds:.1f} s")
            row = {"digest": lock.sha256, "python": lock.python, "lock_blob": self._blobs.put(lock.text)}
            self._database.write(lambda tx: self._built(tx, {**row, "seconds": seconds}, actor, len(lock.pins)))
        return python

    def _built(self, tx: Transaction, row: dict[str, Any], actor: str, count: int) -> None:
        if store.has_environment(tx, row["digest"]):
            return
        body = {"lock": row["digest"], "python": row["python"], "distributions": count, "seconds": row["seconds"]}
        fact = self._ledger.append(tx, model.BUILT, f"environment:{row['digest']}", actor or "loopline", body)
        store.add_environment(tx, {**row, "built_at": fact.at, "built_by": fact.actor})


def silent(_: str) -> None:
    """Tell nobody."""
