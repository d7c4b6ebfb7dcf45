"""Tracking's verbs."""

from __future__ import annotations

import functools
import mimetypes
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from loopline.core.errors import Conflict, Invalid, NotFound
from loopline.core.ids import checked_name, new_id
from loopline.core.times import from_text, to_ms
from loopline.ports.blobs import Blobs
from loopline.ports.clock import Clock
from loopline.ports.database import Database, Transaction
from loopline.usecases.tracking import model, processes, store, surroundings
from loopline.usecases.tracking.model import Artifact, Compared, Experiment, Link, Measured, Page, Point, Run
from loopline.usecases.tracking.needs import Ledger

_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_PAGE = re.compile(r"[0-9]{1,12}\Z")
_LINK = ("direction", "name", "digest", "kind")


class Tracking:
    """Runs and what belongs to them. A run's start and end are facts; what was measured in it are measurements."""

    def __init__(self, database: Database, ledger: Ledger, blobs: Blobs, clock: Clock) -> None:
        self._database = database
        self._ledger = ledger
        self._blobs = blobs
        self._clock = clock

    def start(
        self,
        name: str,
        *,
        actor: str,
        experiment: str = "default",
        kind: str = "run",
        run_id: str = "",
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        surroundings: Mapping[str, Any] | None = None,
        process: str = "",
        started_at: str = "",
    ) -> Run:
        """Begin a run; with a `run_id` that exists already, answer that run.

        `process` is `processes.myself()` of the process that does the work, so that its death shows.
        """
        run_id = model.checked_run(run_id) if run_id else new_id()
        begin = functools.partial(
            self.start_in,
            run_id=run_id,
            name=name,
            experiment=experiment,
            kind=kind,
            actor=actor,
            params=params,
            tags=tags,
            surroundings=self.kept(surroundings or {}),
            process=process,
            started_at=started_at,
        )

        def work(tx: Transaction) -> None:
            if store.bare(tx, run_id) is None:
                begin(tx)

        self._database.write(work)
        return self.get(run_id)

    def start_in(
        self,
        tx: Transaction,
        run_id: str,
        name: str,
        experiment: str,
        kind: str,
        actor: str,
        *,
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        surroundings: Mapping[str, Any] | None = None,
        process: str = "",
        started_at: str = "",
    ) -> None:
        """`start` inside a transaction that changes more; `surroundings` as `kept` answered it."""
        if started_at:
            from_text(started_at)
        row: dict[str, Any] = {
            "id": run_id,
            "experiment_id": store.experiment_id(tx, checked_name("experiment", experiment), self._clock.text(), actor),
            "name": name[: model.LONGEST_KEY] or run_id[:8],
            "kind": checked_name("kind of run", kind),
            "status": "running",
            "started_at": started_at or self._clock.text(),
            "ended_at": None,
            "created_by": actor,
            "process": model.checked_process(process),
            "surroundings": msgspec.json.encode(surroundings or {}).decode(),
        }
        store.add_run(tx, row)
        store.put_texts(tx, "params", run_id, model.checked_texts("param", params or {}))
        store.put_texts(tx, "tags", run_id, model.checked_texts("tag", tags or {}))
        body = {"name": row["name"], "kind": kind, "experiment": experiment}
        self._ledger.append(tx, model.STARTED, run_id, actor, body)

    def finish(self, run_id: str, *, actor: str, status: str = "finished", error: str = "", ended_at: str = "") -> Run:
        """End a run as finished, failed or killed; ending it again the same way changes nothing.

        Raises NotFound for an unknown run, Conflict for one that ended otherwise.
        """
        run_id = self.resolved(run_id)
        self._database.write(lambda tx: self.finish_in(tx, run_id, status, actor, error=error, ended_at=ended_at))
        return self.get(run_id)

    def finish_in(
        self, tx: Transaction, run_id: str, status: str, actor: str, *, error: str = "", ended_at: str = ""
    ) -> None:
        """`finish` inside a transaction that changes more."""
        if status not in model.ENDED:
            raise Invalid(f"A run cannot end as {status!r}.", f"Use one of {', '.join(sorted(model.ENDED))}.")
        row = self._row(tx, run_id)
        if row["status"] == status:
            return
        if row["status"] in model.ENDED and row["status"] != "killed":
            raise Conflict(f"The run {run_id} ended already as {row['status']}.", "Start a new run.")
        at = ended_at or self._clock.text()
        store.end_run(tx, run_id, status, at, error)
        run = store.of_ids(tx, [run_id])[0]
        body = {
            "name": run.name,
            "kind": run.kind,
            "status": status,
            "seconds": (to_ms(at) - to_ms(run.started_at)) / 1000,
            "links": [msgspec.structs.asdict(one) for one in run.links],
            "error": error,
        }
        self._ledger.append(tx, model.FINISHED, run_id, actor, body)

    def log(
        self,
        run_id: str,
        metrics: Sequence[Point] = (),
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        links: Sequence[Link] = (),
        batch: str = "",
    ) -> None:
        """Keep metrics, params, tags, inputs and outputs, all or nothing; a `batch` id that came before changes nothing.

        Raises NotFound for an unknown run, Conflict for a param that has another value already.
        """
        if len(metrics) > model.MOST_POINTS:
            raise Invalid(f"A batch of {len(metrics)} points is too large.", f"Send at most {model.MOST_POINTS}.")
        run_id = self.resolved(run_id)
        self._database.write(lambda tx: self.log_in(tx, run_id, metrics, params, tags, links, batch))

    def log_in(
        self,
        tx: Transaction,
        run_id: str,
        metrics: Sequence[Point] = (),
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        links: Sequence[Link] = (),
        batch: str = "",
    ) -> None:
        """`log` inside a transaction that changes more."""
        self._row(tx, run_id)
        if batch and not store.new_batch(tx, batch, run_id, self._clock.text()):
            return
        if params:
            self._put_params(tx, run_id, model.checked_texts("param", params))
        if tags:
            store.put_texts(tx, "tags", run_id, model.checked_texts("tag", tags))
        if metrics:
            rows = self._points(run_id, metrics)
            store.add_points(tx, rows, model.latest(rows))
        if links:
            store.add_links(tx, run_id, links)

    def note_in(
        self, tx: Transaction, run_id: str, metrics: Mapping[str, float], links: Sequence[tuple[str, str, str, str]]
    ) -> None:
        """Final metrics and links, each as (direction, name, digest, kind), in a transaction that changes more."""
        points = [Point(key, value) for key, value in metrics.items()]
        self.log_in(
            tx, run_id, points, links=[msgspec.convert(dict(zip(_LINK, one, strict=True)), Link) for one in links]
        )

    def here(self, folder: Path, stamp: str) -> tuple[str, dict[str, Any]]:
        """This process, and its surroundings as `start_in` takes them; `stamp` changes with the folder's files."""
        return processes.myself(), self.kept(surroundings.around(folder, stamp))

    def get(self, run_id: str) -> Run:
        """A run by its id or the beginning of it; NotFound when there is none."""
        return self._database.read(lambda tx: store.of_ids(tx, [self._resolved(tx, run_id)]))[0]

    def search(
        self, where: str = "", order_by: Sequence[str] = (), experiment: str = "", limit: int = 100, page: str = ""
    ) -> Page:
        """Runs, newest first unless `order_by` says otherwise; `page` is what the page before called `next`.

        `where` is a chain of comparisons joined by AND, as `metrics.auc > 0.7 and params.model = 'tree'`; `order_by`
        is a list like `metrics.auc DESC`. Raises Invalid with the place of the mistake.
        """
        model.checked_whole("number of runs a page", limit, 1, 50_000)
        if page and not _PAGE.match(page):
            raise Invalid(f"{page[:40]!r} names no page.", "Give what the page before called `next`.")
        offset = int(page or 0)
        found = self._database.read(lambda tx: self._found(tx, where, order_by, experiment, limit + 1, offset))
        return Page(found[:limit], str(offset + limit) if len(found) > limit else "")

    def history(self, run_id: str, key: str, limit: int = 1_000_000, offset: int = 0) -> list[Measured]:
        """All points of a metric by (step, time, value); empty for an unknown one."""
        model.checked_whole("number of points", limit, 1, 1_000_000)
        model.checked_whole("number of the first point", offset, 0)
        return self._database.read(lambda tx: store.history(tx, self._resolved(tx, run_id), key, limit, offset))

    def compare(self, run_ids: Sequence[str]) -> Compared:
        """Where the params, latest metrics and tags of runs differ."""
        return model.compared([self.get(run_id) for run_id in run_ids])

    def experiments(self) -> list[Experiment]:
        """All experiments, newest first."""
        return self._database.read(store.experiments)

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

    def runs_with(self, digest: str, direction: str = "input") -> list[str]:
        """Ids of the runs that the thing with this digest went into ("input") or came out of ("output")."""
        return self._database.read(lambda tx: store.runs_with(tx, digest, direction))

    def sweep(self, actor: str = "loopline") -> list[str]:
        """Mark runs whose process died as killed, durably; answers their ids."""
        rows = self._database.read(store.running)
        lost = [row["id"] for row in rows if processes.is_dead(row["process"])]
        if lost:
            self._database.write(lambda tx: self._swept(tx, lost, actor))
        return lost

    def kept(self, surroundings: Mapping[str, Any]) -> dict[str, Any]:
        """Surroundings with their long texts (diff, distributions) kept as blobs and named by digest."""
        given = surroundings.get("git")
        git = dict(given) if isinstance(given, Mapping) else {}
        for holder, name in ((git, "diff"), (kept := dict(surroundings), "distributions")):
            if isinstance(text := holder.get(name), str) and text and not _DIGEST.match(text):
                holder[name] = self._blobs.put(text.encode())
        return {**kept, "git": git}

    def resolved(self, run_id: str) -> str:
        """The full id for an id or its beginning; NotFound, or Invalid when several begin so."""
        return self._database.read(lambda tx: self._resolved(tx, run_id))

    def _resolved(self, tx: Transaction, run_id: str) -> str:
        found = store.ids_like(tx, run_id) if 4 <= len(run_id) <= 32 else []
        if not found:
            raise NotFound(f"There is no run {run_id[:40]!r}.", "`loopline runs` lists them.")
        if len(found) > 1:
            raise Invalid(f"Several runs begin with {run_id!r}.", "Write more of the id.")
        return found[0]

    def _row(self, tx: Transaction, run_id: str) -> Mapping[str, Any]:
        row = store.bare(tx, run_id)
        if row is None:
            raise NotFound(f"There is no run {run_id[:40]!r}.", "`loopline runs` lists them.")
        return row

    def _swept(self, tx: Transaction, lost: list[str], actor: str) -> None:
        for run_id in lost:
            if self._row(tx, run_id)["status"] == "running":  # it may have ended since it was read
                self.finish_in(tx, run_id, "killed", actor, error="Its process ended before it did.")

    def _put_params(self, tx: Transaction, run_id: str, params: Mapping[str, str]) -> None:
        known = store.texts(tx, "params", run_id)
        for key, value in params.items():
            if known.get(key, value) != value:
                raise Conflict(
                    f"The param {key!r} of run {run_id[:8]} is {known[key][:80]!r} and cannot become {value[:80]!r}.",
                    "A param is written once; use a tag or a new run.",
                )
        store.put_texts(tx, "params", run_id, params)

    def _points(self, run_id: str, metrics: Iterable[Point]) -> list[dict[str, Any]]:
        now = round(self._clock.now().timestamp() * 1000)
        checked: set[str] = set()
        rows = []
        for point in metrics:
            if point.key not in checked:
                checked.add(model.checked_key("metric", point.key))
            value = model.number(point.value)
            is_nan = value != value
            at = now if point.at_ms is None else model.checked_whole("time of a point", point.at_ms, 0)
            model.checked_whole("step of a point", point.step)
            stored = 0.0 if is_nan else value
            rows.append({"run_id": run_id, "key": point.key, "step": point.step, "at_ms": at, "value": stored})
            rows[-1]["is_nan"] = int(is_nan)
        return rows

    def _found(
        self, tx: Transaction, where: str, order_by: Sequence[str], experiment: str, limit: int, offset: int
    ) -> list[Run]:
        if not where.strip() and not order_by:
            return store.newest(tx, experiment, limit, offset)
        from loopline.usecases.tracking import search

        return store.of_ids(tx, search.ids(tx, where, order_by, experiment, limit, offset))
