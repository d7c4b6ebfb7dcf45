"""How a run begins and ends."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from loopline.core.errors import Conflict, Invalid
from loopline.core.ids import checked_name, new_id
from loopline.core.times import from_text, to_ms, to_text
from loopline.ports.database import Transaction
from loopline.usecases.tracking import model, processes, store, surroundings
from loopline.usecases.tracking.looking import Looking
from loopline.usecases.tracking.model import Run

_DIGEST = re.compile(r"[0-9a-f]{64}\Z")


class Lives(Looking):
    """A run's start and end are facts."""

    def start(
        self,
        name: str,
        *,
        actor: str,
        experiment: str = model.DEFAULT,
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
            if store.mark(tx, run_id) is None:
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
        number = store.experiment_id(tx, model.checked_experiment(experiment), self._clock.text(), actor)
        self.begin_in(
            tx,
            run_id,
            number,
            name or run_id[:8],
            actor,
            kind=kind,
            experiment=experiment,
            params=model.checked_texts("param", params or {}),
            tags=model.checked_texts("tag", tags or {}),
            surroundings=surroundings,
            process=model.checked_process(process),
            started_at=started_at,
        )

    def begin_in(
        self,
        tx: Transaction,
        run_id: str,
        experiment_id: int,
        name: str,
        actor: str,
        *,
        kind: str = "run",
        experiment: str = "",
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        surroundings: Mapping[str, Any] | None = None,
        process: str = "",
        started_at: str = "",
        user_id: str = "",
        artifact_root: str = "",
    ) -> int:
        """Begin a run of the experiment with this number, which must exist; answers the run's number."""
        row: dict[str, Any] = {
            "id": run_id,
            "experiment_id": experiment_id,
            "name": name[: model.LONGEST_KEY],
            "kind": checked_name("kind of run", kind),
            "status": "running",
            "started_at": to_text(from_text(started_at)) if started_at else self._clock.text(),
            "ended_at": None,
            "created_by": actor,
            "user_id": user_id,
            "process": process,
            "surroundings": store.json_text(surroundings or {}),
            "artifact_root": artifact_root,
        }
        number = store.add_run(tx, row)
        store.put_texts(tx, "params", number, params or {})
        store.put_texts(tx, "tags", number, tags or {})
        body = {"name": row["name"], "kind": kind, "experiment": experiment or experiment_id}
        self._ledger.append(tx, model.STARTED, run_id, actor, body)
        return number

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
        self.end_in(tx, run_id, status, actor, error, ended_at or self._clock.text())

    def end_in(self, tx: Transaction, run_id: str, status: str, actor: str, error: str, at: str) -> None:
        """Give a run an end, whatever it was before."""
        at = to_text(from_text(at))
        store.end_run(tx, run_id, status, at, error)
        run = store.of_ids(tx, [run_id])[0]
        body = {
            "name": run.name,
            "kind": run.kind,
            "status": status,
            "seconds": (to_ms(at) - to_ms(run.started_at)) / 1000,
            "links": [linked(one) for one in run.links],
            "error": error,
        }
        self._ledger.append(tx, model.FINISHED, run_id, actor, body)

    def here(self, folder: Path, stamp: str) -> tuple[str, dict[str, Any]]:
        """This process, and its surroundings as `start_in` takes them; `stamp` changes with the folder's files."""
        return processes.myself(), self.kept(surroundings.around(folder, stamp))

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

    def _swept(self, tx: Transaction, lost: list[str], actor: str) -> None:
        for run_id in lost:
            if self._row(tx, run_id)["status"] == "running":  # it may have ended since it was read
                self.finish_in(tx, run_id, "killed", actor, error="Its process ended before it did.")


def linked(link: model.Link) -> dict[str, Any]:
    """An input or output as the fact of a run's end tells it; tags only where there are some."""
    found = msgspec.structs.asdict(link)
    return found if found["tags"] else {name: value for name, value in found.items() if name != "tags"}
