"""Rows of pipelines: SQL in, values out. Fixed text throughout, as a cached run must not wait for an import."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from loopline.ports.database import Row, Transaction
from loopline.usecases.pipelines.model import Argument, CacheStats, Code, Piece, PipelineRun, Plan, Share, StepRun, Tree

_AT_ONCE = 500
_RESULT = "SELECT key, value, size, run_id, made_at, seconds FROM pipelines_results"
RESULT_OF = f"{_RESULT} WHERE key = :key"
_OF_LAST = f"""{_RESULT} WHERE key IN (SELECT key FROM pipelines_steps WHERE run_id =
 (SELECT run_id FROM pipelines_runs WHERE plan = :plan ORDER BY started_at DESC LIMIT 1))"""
_ADD_STEP = """INSERT INTO pipelines_steps (run_id, position, step, label, key, status, made_by, started_at, seconds,
 cpu_seconds, max_rss, log, error, attempts, part_of, warnings, output) VALUES (:run_id, :position, :step, :label, :key, :status, :made_by, :started_at,
 :seconds, :cpu_seconds, :max_rss, :log, :error, :attempts, :part_of, :warnings, :output) ON CONFLICT (run_id, position) DO UPDATE
 SET status = excluded.status, key = excluded.key, made_by = excluded.made_by, started_at = excluded.started_at,
 seconds = excluded.seconds, cpu_seconds = excluded.cpu_seconds, max_rss = excluded.max_rss, log = excluded.log,
 error = excluded.error, attempts = excluded.attempts, part_of = excluded.part_of, warnings = excluded.warnings,
 output = excluded.output"""
_ADD_RESULT = """INSERT INTO pipelines_results (key, value, size, run_id, made_at, seconds)
 VALUES (:key, :value, :size, :run_id, :made_at, :seconds) ON CONFLICT (key) DO """
_REPLACE = (
    "UPDATE SET value = excluded.value, size = excluded.size, run_id = excluded.run_id, made_at = excluded.made_at"
)
_STEP = ", ".join(StepRun.__struct_fields__)
_RUN = """SELECT p.*, t.status, t.error FROM pipelines_runs p JOIN tracking_runs t ON t.id = p.run_id"""
_USES = """FROM pipelines_runs p JOIN pipelines_steps s
 ON s.run_id = CASE WHEN p.same_as = '' THEN p.run_id ELSE p.same_as END"""
_TAKEN = "CASE WHEN p.same_as <> '' AND s.status = 'ran' THEN 'hit' ELSE s.status END"
_LARGEST = """SELECT k.step AS step, COALESCE(p.project, '') AS project, COALESCE(p.pipeline, '') AS pipeline,
 COUNT(*) AS results, SUM(r.size) AS size, SUM(r.seconds) AS seconds
 FROM pipelines_results r JOIN pipelines_keys k ON k.key = r.key LEFT JOIN pipelines_runs p ON p.run_id = r.run_id
 GROUP BY 1, 2, 3 ORDER BY 5 DESC, 4 DESC, 1 LIMIT 10"""
_tree: msgspec.json.Decoder[Tree] = msgspec.json.Decoder(Tree)
_plan = msgspec.json.Decoder(Plan)
_json = msgspec.json.Encoder()


def plan(tx: Transaction, stamp: str) -> Plan | None:
    """The plan traced from files and params with that stamp."""
    row = tx.row("SELECT plan FROM pipelines_plans WHERE stamp = :stamp", {"stamp": stamp})
    return _plan.decode(row["plan"]) if row else None


def put_plan(tx: Transaction, stamp: str, found: Plan, at: str) -> None:
    """Keep a plan and the pieces of its steps' code."""
    tx.run(
        """INSERT INTO pipelines_plans (stamp, plan, made_at) VALUES (:stamp, :plan, :at)
        ON CONFLICT (stamp) DO UPDATE SET plan = excluded.plan, made_at = excluded.made_at""",
        {"stamp": stamp, "plan": _json.encode(found).decode(), "at": at},
    )
    tx.run_many(
        "INSERT INTO pipelines_codes (digest, pieces) VALUES (:digest, :pieces) ON CONFLICT DO NOTHING",
        [{"digest": code.digest, "pieces": _json.encode(code).decode()} for code in found.codes.values()],
    )


def results_of_last(tx: Transaction, stamp: str) -> dict[str, Row]:
    """Results that the last run of a plan made or took, by key."""
    return {row["key"]: row for row in tx.rows(_OF_LAST, {"plan": stamp})}


def result(tx: Transaction, key: str) -> Row | None:
    """The result kept under a key."""
    return tx.row(RESULT_OF, {"key": key})


def value(row: Row) -> Tree:
    """The value of a result's row."""
    return _tree.decode(row["value"])


def add_run(tx: Transaction, row: Mapping[str, Any]) -> None:
    """A pipeline run that begins."""
    tx.run(
        """INSERT INTO pipelines_runs (run_id, pipeline, project, folder, plan, source, started_at, file, registers, executor,
        params, release, environment, same_as, basis) VALUES (:run_id, :pipeline, :project, :folder, :plan, :source,
        :started_at, :file, :registers, :executor, :params, :release, :environment, :same_as, :basis)""",
        row,
    )


def same_basis(tx: Transaction, basis: str) -> tuple[str, int] | None:
    """The newest finished run on that basis that has step runs of its own, and how many of its results are there."""
    found = tx.row(
        """SELECT p.run_id FROM pipelines_runs p JOIN tracking_runs t ON t.id = p.run_id WHERE p.basis = :basis
        AND p.same_as = '' AND t.status = 'finished' ORDER BY p.started_at DESC LIMIT 1""",
        {"basis": basis},
    )
    if found is None:
        return None
    counted = tx.row(
        """SELECT COUNT(*) AS number FROM pipelines_results WHERE key IN
        (SELECT key FROM pipelines_steps WHERE run_id = :run_id)""",
        {"run_id": found["run_id"]},
    )
    return found["run_id"], counted["number"] if counted else 0


def taken_from(tx: Transaction, run_id: str) -> list[StepRun]:
    """The step runs of a run as the hits that take their results."""
    rows = tx.rows(
        """SELECT position, step, label, key, CASE WHEN status = 'ran' THEN 'hit' ELSE status END AS status,
        CASE WHEN made_by = '' THEN run_id ELSE made_by END AS made_by, started_at, error, part_of, output
        FROM pipelines_steps WHERE run_id = :id ORDER BY position""",
        {"id": run_id},
    )
    return [StepRun(**row) for row in rows]


def cancelled_by(tx: Transaction, run_id: str) -> str:
    """Who asked that the run be ended, empty when nobody did."""
    row = tx.row("SELECT cancelled_by FROM pipelines_runs WHERE run_id = :id", {"id": run_id})
    return row["cancelled_by"] if row else ""


def cancel(tx: Transaction, run_id: str, actor: str) -> None:
    """Ask that a run be ended."""
    tx.run("UPDATE pipelines_runs SET cancelled_by = :actor WHERE run_id = :id", {"id": run_id, "actor": actor})


def asked(tx: Transaction, run_id: str) -> Row | None:
    """How a run was asked for: folder, file, params and the rest."""
    return tx.row("SELECT * FROM pipelines_runs WHERE run_id = :id", {"id": run_id})


def end_run(
    tx: Transaction, run_id: str, seconds: float, outputs: Iterable[str], model: str | None, version: int | None
) -> None:
    """The end of a pipeline run."""
    tx.run(
        """UPDATE pipelines_runs SET seconds = :seconds, outputs = :outputs, model = :model, version = :version
        WHERE run_id = :run_id""",
        {
            "run_id": run_id,
            "seconds": seconds,
            "outputs": _json.encode(list(outputs)).decode(),
            "model": model,
            "version": version,
        },
    )


def add_steps(tx: Transaction, run_id: str, steps: Iterable[StepRun]) -> None:
    """Step runs that ended."""
    tx.run_many(_ADD_STEP, [{"run_id": run_id, **msgspec.structs.asdict(one)} for one in steps])


def add_keys(tx: Transaction, rows: Iterable[Mapping[str, Any]]) -> None:
    """What keys were made of."""
    tx.run_many(
        """INSERT INTO pipelines_keys (key, step, code, arguments, seen_at)
        VALUES (:key, :step, :code, :arguments, :seen_at) ON CONFLICT DO NOTHING""",
        rows,
    )


def add_results(tx: Transaction, rows: Iterable[Mapping[str, Any]], anew: Iterable[Mapping[str, Any]]) -> None:
    """Results: the first one kept under a key stays, but `anew` replace ones that turned out damaged."""
    tx.run_many(_ADD_RESULT + "NOTHING", rows)
    tx.run_many(_ADD_RESULT + _REPLACE, anew)


def run(tx: Transaction, run_id: str) -> PipelineRun | None:
    """A pipeline run with its steps."""
    row = tx.row(f"{_RUN} WHERE p.run_id = :id", {"id": run_id})
    return assembled(row, steps(tx, run_id)) if row else None


def runs(tx: Transaction, limit: int) -> list[PipelineRun]:
    """The newest pipeline runs, newest first, with their steps counted."""
    rows = tx.rows(f"{_RUN} ORDER BY p.started_at DESC LIMIT :limit", {"limit": limit})
    counts: dict[str, dict[str, int]] = {}
    whose = sorted({row["same_as"] or row["run_id"] for row in rows})
    for start in range(0, len(whose), _AT_ONCE):
        marks, params = marked(whose[start : start + _AT_ONCE])
        counted = f"""SELECT run_id, status, COUNT(*) AS number FROM pipelines_steps WHERE run_id IN ({marks})
            GROUP BY run_id, status"""
        for row in tx.rows(counted, params):
            counts.setdefault(row["run_id"], {})[row["status"]] = row["number"]
    return [
        assembled(row, (), as_hits(counts.get(row["same_as"], {})) if row["same_as"] else counts.get(row["run_id"], {}))
        for row in rows
    ]


def newest(tx: Transaction, back: int) -> str:
    """The id of the newest pipeline run, or of the one so many before; empty when there is none."""
    row = tx.row(
        "SELECT run_id FROM pipelines_runs ORDER BY started_at DESC, run_id DESC LIMIT 1 OFFSET :back", {"back": back}
    )
    return row["run_id"] if row else ""


def as_hits(counts: Mapping[str, int]) -> dict[str, int]:
    """How many steps ended how in a run that took everything over."""
    hits = counts.get("hit", 0) + counts.get("ran", 0)
    return {"hit": hits, **{name: number for name, number in counts.items() if name not in ("hit", "ran")}}


def plan_of(tx: Transaction, run_id: str) -> Plan | None:
    """The plan that a run carried out."""
    row = tx.row("SELECT plan FROM pipelines_runs WHERE run_id = :id", {"id": run_id})
    return plan(tx, row["plan"]) if row else None


def assembled(row: Row, of_run: Sequence[StepRun], counts: Mapping[str, int] | None = None) -> PipelineRun:
    """A pipeline run from its row."""
    return PipelineRun(
        run_id=row["run_id"],
        pipeline=row["pipeline"],
        project=row["project"],
        status=row["status"],
        started_at=row["started_at"],
        seconds=row["seconds"],
        steps=tuple(of_run),
        outputs=tuple(msgspec.json.decode(row["outputs"])),
        model=row["model"],
        version=row["version"],
        source=row["source"],
        error=row["error"],
        release=row["release"],
        environment=row["environment"],
        counts=dict(Counter(step.status for step in of_run) if counts is None else counts),
    )


def steps(tx: Transaction, run_id: str) -> list[StepRun]:
    """The step runs of a run by position."""
    same = tx.row("SELECT same_as FROM pipelines_runs WHERE run_id = :id", {"id": run_id})
    source = same["same_as"] if same and same["same_as"] else run_id
    if source != run_id:
        return taken_from(tx, source)
    rows = tx.rows(f"SELECT {_STEP} FROM pipelines_steps WHERE run_id = :id ORDER BY position", {"id": source})
    return [StepRun(**row) for row in rows]


def key_parts(tx: Transaction, key: str) -> tuple[Code, dict[str, Argument], str] | None:
    """What a key was made of: code, arguments, and when it was first seen."""
    row = tx.row(
        """SELECT k.arguments, k.seen_at, c.pieces FROM pipelines_keys k JOIN pipelines_codes c ON c.digest = k.code
        WHERE k.key = :key""",
        {"key": key},
    )
    if row is None:
        return None
    arguments = msgspec.json.decode(row["arguments"], type=dict[str, Argument])
    return msgspec.json.decode(row["pieces"], type=Code), arguments, row["seen_at"]


def earlier_keys(tx: Transaction, step: str, seen_at: str, key: str, limit: int = 200) -> list[str]:
    """Keys of a step that were seen before, newest first."""
    rows = tx.rows(
        """SELECT key FROM pipelines_keys WHERE step = :step AND seen_at <= :at AND key <> :key
        ORDER BY seen_at DESC LIMIT :limit""",
        {"step": step, "at": seen_at, "key": key, "limit": limit},
    )
    return [row["key"] for row in rows]


def first_run_of(tx: Transaction, key: str) -> str:
    """The run in which a key was used first."""
    statement = "SELECT run_id FROM pipelines_steps WHERE key = :key ORDER BY started_at LIMIT 1"
    row = tx.row(statement, {"key": key})
    return row["run_id"] if row else ""


def made_before(tx: Transaction, key: str, run_id: str, at: str) -> Row | None:
    """The last time before that a step with that key ran to its end in another run."""
    return tx.row(
        """SELECT run_id, started_at FROM pipelines_steps WHERE key = :key AND run_id <> :run_id AND status = 'ran'
        AND started_at <= :at ORDER BY started_at DESC LIMIT 1""",
        {"key": key, "run_id": run_id, "at": at},
    )


def tried_before(tx: Transaction, key: str, run_id: str) -> bool:
    """Whether another run tried a step with that key and did not get its result."""
    statement = """SELECT 1 AS found FROM pipelines_steps WHERE key = :key AND run_id <> :run_id
        AND status IN ('failed', 'cancelled') LIMIT 1"""
    return tx.row(statement, {"key": key, "run_id": run_id}) is not None


def stats(tx: Transaction) -> CacheStats:
    """The cache in numbers."""
    kept = tx.row("SELECT COUNT(*) AS results, COALESCE(SUM(size), 0) AS size FROM pipelines_results") or {}
    used = tx.rows(f"SELECT {_TAKEN} AS status, COUNT(*) AS number {_USES} GROUP BY 1")
    saved = tx.row(
        f"""SELECT COALESCE(SUM(r.seconds), 0) AS seconds {_USES} JOIN pipelines_results r ON r.key = s.key
        WHERE {_TAKEN} = 'hit'"""
    )
    counts = {row["status"]: row["number"] for row in used}
    return CacheStats(
        kept["results"],
        kept["size"],
        counts.get("hit", 0),
        counts.get("ran", 0),
        saved["seconds"] if saved else 0.0,
        tuple(msgspec.convert(dict(row), Share) for row in tx.rows(_LARGEST)),
    )


def all_results(tx: Transaction) -> list[Row]:
    """Every result with the parts of its key."""
    return tx.rows(
        """SELECT r.key, r.value, r.size, r.run_id, r.made_at, r.seconds, k.step, k.code, k.arguments, k.seen_at, c.pieces
        FROM pipelines_results r JOIN pipelines_keys k ON k.key = r.key JOIN pipelines_codes c ON c.digest = k.code"""
    )


def has_result(tx: Transaction, keys: list[str]) -> set[str]:
    """Which of the keys have a result."""
    found: set[str] = set()
    for start in range(0, len(keys), _AT_ONCE):
        marks, params = marked(keys[start : start + _AT_ONCE])
        found |= {row["key"] for row in tx.rows(f"SELECT key FROM pipelines_results WHERE key IN ({marks})", params)}
    return found


def marked(values: Sequence[str]) -> tuple[str, dict[str, str]]:
    """Marks for an IN list, and their parameters."""
    return ", ".join(f":v{n}" for n in range(len(values))), {f"v{n}": one for n, one in enumerate(values)}


def take_over(tx: Transaction, rows: Iterable[Row]) -> None:
    """Results of another installation with the parts of their keys."""
    for row in rows:
        tx.run(
            "INSERT INTO pipelines_codes (digest, pieces) VALUES (:digest, :pieces) ON CONFLICT DO NOTHING",
            {"digest": row["code"], "pieces": row["pieces"]},
        )
        add_keys(tx, [{name: row[name] for name in ("key", "step", "code", "arguments", "seen_at")}])
        add_results(tx, [{name: row[name] for name in ("key", "value", "size", "run_id", "made_at", "seconds")}], ())


def pieces_of(code: Code) -> dict[tuple[str, str, str], Piece]:
    """The pieces of a code by what they are."""
    return {(piece.kind, piece.name, piece.file): piece for piece in code.pieces}
