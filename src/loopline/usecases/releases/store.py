"""The tables of releases: SQL in, values out."""

from __future__ import annotations

from typing import Any

import msgspec

from loopline.ports.database import Row, Transaction
from loopline.usecases.releases.model import Approval, Listed, Move, approval_key, place_key

_RELEASE = "digest, project, pipeline, manifest, signature, public_key, content, created_at, created_by"
RELEASES = f"SELECT seq, {_RELEASE} FROM releases_releases"
ADD_RELEASE = (
    f"INSERT INTO releases_releases (seq, {_RELEASE}) VALUES (:seq, :digest, :project, :pipeline, :manifest, "
    ":signature, :public_key, :content, :created_at, :created_by)"
)
NEWEST = (
    "SELECT project, digest FROM releases_releases WHERE pipeline = :pipeline "
    "AND (:project = '' OR project = :project) ORDER BY seq DESC"
)
FINDING = "SELECT answer, signature FROM releases_findings WHERE content = :content AND what = :what"
PUT_FINDING = (
    "INSERT INTO releases_findings (content, what, answer, signature, found_at) "
    "VALUES (:content, :what, :answer, :signature, :found_at) ON CONFLICT (content, what) DO UPDATE SET "
    "answer = excluded.answer, signature = excluded.signature, found_at = excluded.found_at"
)
ADD_GATE = (
    "INSERT INTO releases_gates (id, release, environment, verdict, evidence, decided_at, decided_by) "
    "VALUES (:id, :release, :environment, :verdict, :evidence, :decided_at, :decided_by)"
)
GATES = "SELECT id, evidence FROM releases_gates WHERE release = :release ORDER BY decided_at DESC, id LIMIT :limit"
ADD_APPROVAL = (
    "INSERT INTO releases_approvals (release, environment, given_by, note, given_at) "
    "VALUES (:release, :environment, :given_by, :note, :given_at) "
    "ON CONFLICT (release, environment, given_by) DO NOTHING"
)
APPROVALS = (
    "SELECT release, environment, note, given_at, given_by FROM releases_approvals "
    "WHERE release = :release AND (:environment = '' OR environment = :environment) ORDER BY given_at, given_by"
)
_MOVE = "seq, project, pipeline, environment, release, from_release, gate, reason, moved_at, moved_by"
ADD_MOVE = (
    f"INSERT INTO releases_moves ({_MOVE}) VALUES (:seq, :project, :pipeline, :environment, :release, "
    ":from_release, :gate, :reason, :moved_at, :moved_by)"
)
_HERE = (
    "(:project = '' OR project = :project) AND (:pipeline = '' OR pipeline = :pipeline) "
    "AND (:environment = '' OR environment = :environment)"
)
MOVES = f"SELECT {_MOVE} FROM releases_moves WHERE {_HERE} ORDER BY seq"
STANDING = (
    "SELECT seq, release FROM releases_moves WHERE project = :project AND pipeline = :pipeline "
    "AND environment = :environment AND (:at = '' OR moved_at <= :at) ORDER BY seq DESC LIMIT 1"
)
NOW = (
    "SELECT m.project, m.pipeline, m.environment, m.release FROM releases_moves m JOIN (SELECT max(seq) AS seq "
    "FROM releases_moves GROUP BY project, pipeline, environment) AS newest ON newest.seq = m.seq"
)
ADD_ENVIRONMENT = (
    "INSERT INTO releases_environments (digest, python, lock_blob, seconds, built_at, built_by) "
    "VALUES (:digest, :python, :lock_blob, :seconds, :built_at, :built_by) ON CONFLICT (digest) DO UPDATE SET "
    "python = excluded.python, seconds = excluded.seconds, built_at = excluded.built_at, built_by = excluded.built_by"
)
ENVIRONMENT = "SELECT digest FROM releases_environments WHERE digest = :digest"


def add_release(tx: Transaction, row: Row) -> None:
    tx.run(ADD_RELEASE, row)


def release(tx: Transaction, digest: str) -> Row | None:
    """The row of a release."""
    return tx.row(f"{RELEASES} WHERE digest = :digest", {"digest": digest})


def beginning_with(tx: Transaction, start: str) -> list[Row]:
    """At most two rows of releases whose digest begins so (`start` is hexadecimal digits)."""
    return tx.rows(f"{RELEASES} WHERE digest >= :low AND digest < :high LIMIT 2", {"low": start, "high": start + "g"})


def listed(tx: Transaction, project: str, pipeline: str, limit: int) -> list[Listed]:
    """The newest releases, newest first, each with the environments in which it stands now."""
    where = "WHERE (:project = '' OR project = :project) AND (:pipeline = '' OR pipeline = :pipeline)"
    wanted = {"project": project, "pipeline": pipeline, "limit": limit}
    stands: dict[tuple[str, str, str], list[str]] = {}
    for row in tx.rows(NOW):
        stands.setdefault((row["project"], row["pipeline"], row["release"]), []).append(row["environment"])
    return [
        Listed(
            digest=row["digest"],
            project=row["project"],
            pipeline=row["pipeline"],
            created_at=row["created_at"],
            created_by=row["created_by"],
            stands_in=tuple(sorted(stands.get((row["project"], row["pipeline"], row["digest"]), ()))),
        )
        for row in tx.rows(f"{RELEASES} {where} ORDER BY seq DESC LIMIT :limit", wanted)
    ]


def every(tx: Transaction) -> list[Row]:
    """The rows of all releases."""
    return tx.rows(RELEASES)


def finding(tx: Transaction, content: str, what: str) -> Row | None:
    return tx.row(FINDING, {"content": content, "what": what})


def put_findings(tx: Transaction, rows: list[dict[str, str]]) -> None:
    tx.run_many(PUT_FINDING, rows)


def newest(tx: Transaction, project: str, pipeline: str) -> list[Row]:
    """Project and digest of the releases of a pipeline, the newest first."""
    return tx.rows(NEWEST, {"project": project, "pipeline": pipeline})


def add_gate(tx: Transaction, row: Row) -> None:
    tx.run(ADD_GATE, row)


def gates(tx: Transaction, release: str, limit: int) -> list[Row]:
    """The newest gates of a release: id and the blob of the evidence."""
    return tx.rows(GATES, {"release": release, "limit": limit})


def add_approval(tx: Transaction, approval: Approval) -> bool:
    """Write an approval; False when this person had given it already."""
    return tx.run(ADD_APPROVAL, msgspec.structs.asdict(approval)) > 0


def approvals(tx: Transaction, release: str, environment: str = "") -> tuple[Approval, ...]:
    """Who said yes to a release, in one environment or all."""
    found = tx.rows(APPROVALS, {"release": release, "environment": environment})
    return tuple(Approval(**row) for row in map(dict, found))


def all_approvals(tx: Transaction) -> dict[str, str]:
    """Every approval with its note, by its name."""
    rows = tx.rows("SELECT release, environment, given_by, note FROM releases_approvals")
    return {approval_key(row["release"], row["environment"], row["given_by"]): row["note"] for row in rows}


def add_move(tx: Transaction, move: Move) -> None:
    tx.run(ADD_MOVE, msgspec.structs.asdict(move))


def moves(tx: Transaction, project: str = "", pipeline: str = "", environment: str = "") -> list[Move]:
    """What was exchanged, oldest first."""
    found = tx.rows(MOVES, {"project": project, "pipeline": pipeline, "environment": environment})
    return [Move(**row) for row in map(dict, found)]


def standing(tx: Transaction, project: str, pipeline: str, environment: str, at: str = "") -> str | None:
    """The digest that stands in an environment, or stood there at a time."""
    row = newest_move(tx, project, pipeline, environment, at)
    return None if row is None else str(row["release"])


def newest_move(tx: Transaction, project: str, pipeline: str, environment: str, at: str = "") -> Row | None:
    """Fact and release of the last exchange in an environment, up to a time."""
    return tx.row(STANDING, {"project": project, "pipeline": pipeline, "environment": environment, "at": at})


def places(tx: Transaction) -> dict[str, str]:
    """What stands everywhere: {"project/pipeline@environment": digest}."""
    return {place_key(row["project"], row["pipeline"], row["environment"]): row["release"] for row in tx.rows(NOW)}


def publishers(tx: Transaction) -> dict[str, str]:
    """Who published each release."""
    return {row["digest"]: row["created_by"] for row in tx.rows("SELECT digest, created_by FROM releases_releases")}


def add_environment(tx: Transaction, row: Any) -> None:
    tx.run(ADD_ENVIRONMENT, row)


def has_environment(tx: Transaction, digest: str) -> bool:
    return tx.row(ENVIRONMENT, {"digest": digest}) is not None
