"""What the journal says against what the installation holds: each acknowledgement there once and whole."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from acknowledged import Journal
from blake3 import blake3
from driving import POINTS
from grounds import ENDPOINT

from loopline.app.wiring import Loopline, audit
from loopline.core.errors import LooplineError
from loopline.kit.owners import is_alive
from loopline.usecases.tracking.processes import is_dead

FLUSHED_S = 1.0
FACTS = {
    "run.started": "SELECT id FROM tracking_runs",
    "token.created": "SELECT name FROM access_tokens",
    "model.version_registered": "SELECT version FROM registry_versions",
    "alias.moved": "SELECT seq FROM registry_alias_history",
    "gate.decided": "SELECT id FROM promotion_gates",
}


class Comparison:
    """Counts what was compared; collects what was lost (acknowledged and not there) and torn (half there)."""

    def __init__(self, journal: Journal, loopline: Loopline) -> None:
        self._journal = journal
        self._loopline = loopline
        self._seen: Counter[str] = Counter()
        self._checked_blobs: set[Path] = set()
        self.excused: list[float] = []
        self.compared: Counter[str] = Counter()
        self.vanished = 0
        self.lost: list[str] = []
        self.torn: list[str] = []

    def all(self) -> None:
        """Everything acknowledged so far; runs, artifacts and snapshots since the last time."""
        for check in (self._predictions, self._truth, self._tokens, self._runs, self._snapshots, self._models):
            check()
        self._facts()
        self._blobs()
        self.lost, self.torn = list(dict.fromkeys(self.lost)), list(dict.fromkeys(self.torn))

    def again(self) -> None:
        """Forget what was compared: all of it once more."""
        self._seen.clear()
        self._checked_blobs.clear()

    def left_running(self) -> list[str]:
        """Runs and firings that are said to run although their process is dead."""

        def work(tx: Any) -> list[str]:
            runs = tx.rows("SELECT id, process FROM tracking_runs WHERE status = 'running'")
            firings = tx.rows("SELECT id, owner FROM automation_firings WHERE state = 'running'")
            dead = [f"run {row['id']}" for row in runs if is_dead(row["process"])]
            return dead + [f"firing {row['id']}" for row in firings if not is_alive(row["owner"])]

        return self._loopline.database.read(work)

    def unsettled(self) -> list[str]:
        """Endpoints whose live revision is not the one wanted."""
        return [each.endpoint.name for each in self._loopline.serving.desired() if each.live != each.wanted]

    def _new(self, kind: str) -> list[dict[str, Any]]:
        entries = self._journal.all(kind)
        found, self._seen[kind] = entries[self._seen[kind] :], len(entries)
        self.compared[kind] = len(entries)
        return found

    def _missing(self, kind: str, wanted: Iterable[Any], there: Iterable[Any]) -> None:
        self.lost += [f"{kind} {each}" for each in sorted(set(wanted) - set(there))]

    def _predictions(self) -> None:
        """Those answered more than a second before the data plane was killed; the rest was never acknowledged."""
        table = self._loopline.serving.read_predictions(ENDPOINT)
        keys = dict(zip(table["id"].to_pylist(), table["key"].to_pylist(), strict=True))
        self._once("prediction", table["id"].to_pylist())
        self.compared["prediction"] = self.vanished = 0
        for entry in self._journal.all("prediction"):
            found = [keys.get(name) for name in entry["ids"]]
            late = any(entry["asked"] <= killed <= entry["at"] + FLUSHED_S for killed in self.excused)
            if late and found == [None] * len(found):  # it was answered, and fell before it was flushed
                self.vanished += len(found)
                continue
            self.compared["prediction"] += len(found)
            self.lost += [f"prediction {name}" for name, key in zip(entry["ids"], found, strict=True) if key is None]
            self.torn += [f"predictions {entry['ids']}"] if None not in found and found != entry["keys"] else []

    def _truth(self) -> None:
        table = self._loopline.serving.read_truth(ENDPOINT)
        seqs, keys = table["seq"].to_pylist(), table["key"].to_pylist()
        self._once("truth", seqs)
        by_seq = dict(zip(seqs, zip(keys, table["value"].to_pylist(), strict=True), strict=True))
        observed = table["observed_at"].to_pylist()
        by_record = {(key, f"{at:%Y-%m-%dT%H:%M:%SZ}") for key, at in zip(keys, observed, strict=True)}
        self._once("truth record", list(zip(keys, observed, strict=True)))
        tried = {entry["name"]: entry["records"] for entry in self._journal.all("truth tried")}
        answered = {entry["name"]: entry for entry in self._journal.all("truth")}
        for name, entry in answered.items():
            expected = [(record["key"], record["value"]) for record in tried[name]]
            found = [by_seq.get(seq) for seq in range(entry["first"], entry["last"] + 1)]
            self.lost += [f"truth {entry['first']}"] if found != expected else []
        for name in tried.keys() - answered.keys():
            there = sum((record["key"], record["observed_at"]) in by_record for record in tried[name])
            self.torn += (
                [f"{there} of {len(tried[name])} truths of one request"] if 0 < there < len(tried[name]) else []
            )
        self.compared["truth"] = sum(len(tried[name]) for name in answered)

    def _tokens(self) -> None:
        new = self._new("token")
        self._missing("token", (entry["name"] for entry in new), (one.name for one in self._loopline.access.tokens()))
        for entry in new:
            who = self._loopline.access.verify(entry["secret"])
            self.torn += [] if who and who.name == entry["name"] else [f"the secret of token {entry['name']}"]

    def _runs(self) -> None:
        batches: dict[str, set[int]] = defaultdict(set)
        for entry in self._new("batch"):
            batches[entry["run_id"]].add(entry["batch"])
        for entry in self._new("run"):
            self._run(entry["run_id"], batches[entry["run_id"]])
        for entry in self._new("artifact"):
            self._artifact(entry)
        for entry in self._new("run finished"):
            self._ended("run", entry["run_id"])
        for entry in self._new("training"):
            self._ended("training", entry["run_id"])

    def _run(self, run_id: str, batches: set[int]) -> None:
        try:
            steps = Counter(point.step for point in self._loopline.tracking.history(run_id, "loss"))
        except LooplineError as error:
            self.lost.append(f"run {run_id}: {error}")
            return
        for batch in range(3):
            there = [steps[step] for step in range(batch * POINTS, (batch + 1) * POINTS)]
            if batch in batches and 0 in there:
                self.lost.append(f"batch {batch} of run {run_id}")
            elif set(there) not in ({0}, {1}):
                self.torn.append(f"batch {batch} of run {run_id}: {there}")

    def _artifact(self, entry: dict[str, Any]) -> None:
        try:
            content = self._loopline.tracking.artifact(entry["run_id"], "weights.bin")[1]
        except LooplineError as error:
            self.lost.append(f"artifact of run {entry['run_id']}: {error}")
            return
        if hashlib.sha256(content).hexdigest() != entry["sha256"]:
            self.torn.append(f"artifact of run {entry['run_id']}")

    def _ended(self, kind: str, run_id: str) -> None:
        try:
            status = self._loopline.tracking.get(run_id).status
        except LooplineError as error:
            status = str(error)
        self.lost += [] if status == "finished" else [f"the end of {kind} {run_id}: {status}"]

    def _snapshots(self) -> None:
        for entry in self._new("snapshot"):
            try:
                snapshot = self._loopline.datasets.get(entry["digest"], entry["dataset"])
                rows = self._loopline.datasets.table(entry["digest"]).num_rows
            except LooplineError as error:
                self.lost.append(f"snapshot {entry['digest']}: {error}")
                continue
            if not rows == snapshot.rows == entry["rows"]:
                self.torn.append(f"snapshot {entry['digest']}: {rows} rows")

    def _models(self) -> None:
        registry, serving = self._loopline.registry, self._loopline.serving
        trained = (entry["version"] for entry in self._journal.all("training"))
        self._missing("version", trained, (one.version for one in registry.versions(ENDPOINT)))
        asked = [entry["revision"] for entry in self._new("deployment")]
        self._missing("revision", asked, (one.revision for one in serving.revisions(ENDPOINT)))
        self._moves([move.version for move in registry.alias_history(ENDPOINT, "production")])
        self._new("step")

    def _moves(self, history: list[int]) -> None:
        """The acknowledged moves are in the alias's history, in their order, perhaps with others between them."""
        self._new("alias")
        place = 0
        for entry in self._journal.all("alias"):
            place += entry["how"] == "rollback"  # which always moves; a promotion may find the alias where it shall be
            while place < len(history) and history[place] != entry["version"]:
                place += 1
            if place >= len(history):
                self.lost.append(f"the {entry['how']} of the alias to {entry['version']}")
                return

    def _facts(self) -> None:
        """The chain, the head, aliases and deployments; and as many things as facts tell of, in one look."""
        found = audit(self._loopline)
        self.torn += [f"audit: {problem.where} {problem.what}" for problem in found.problems]
        self.compared["fact"] = found.facts

        def work(tx: Any) -> list[str]:
            wrong = []
            for kind, statement in FACTS.items():
                told = tx.row("SELECT COUNT(*) AS n FROM ledger_facts WHERE kind = :kind", {"kind": kind})["n"]
                there = len(tx.rows(statement))
                wrong += [f"{there} rows, {told} facts {kind}"] if there != told else []
            asked = tx.rows("SELECT body FROM ledger_facts WHERE kind = 'deployment.requested'")
            told = {json.loads(row["body"])["revision"] for row in asked}  # a route asks for one that is there
            there = {row["revision"] for row in tx.rows("SELECT revision FROM serving_revisions")}
            return wrong + ([f"revisions {there ^ told} as rows or facts alone"] if there != told else [])

        self.torn += self._loopline.database.read(work)

    def _blobs(self) -> None:
        """Every file that has a blob's name has its content."""
        for file in (self._loopline.home / "blobs").glob("??/*"):
            if not file.name.startswith(".") and file not in self._checked_blobs:
                self._checked_blobs.add(file)
                whole = blake3(file.read_bytes()).hexdigest() == file.parent.name + file.name
                self.torn += [] if whole else [f"blob {file.name}"]
        self.compared["blob"] = len(self._checked_blobs)

    def _once(self, kind: str, names: list[Any]) -> None:
        self.torn += [f"{kind} {name} is there {n} times" for name, n in Counter(names).items() if n > 1][:5]
