"""What finding reads besides the runs: names and values to search by, counts and groups."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from loopline.ports.database import Row, Transaction
from loopline.usecases.tracking.conditions import Conditions, attribute, one_of
from loopline.usecases.tracking.search import Search
from loopline.usecases.tracking.store import marked, parts

SAMPLE = 300
MOST_NAMES = 2_000
MOST_VALUES = 40
_KEYS = """WITH RECURSIVE known(id) AS (
 SELECT MIN(key) FROM tracking_latest WHERE experiment_id = :experiment
 UNION ALL SELECT (SELECT MIN(key) FROM tracking_latest WHERE experiment_id = :experiment AND key > known.id)
 FROM known WHERE known.id IS NOT NULL)
 SELECT k.name FROM known JOIN tracking_keys k ON k.id = known.id"""
_TEXTS = """SELECT {0}, COUNT(*) AS n FROM tracking_{1} WHERE run IN (SELECT r.number FROM tracking_runs r
 WHERE r.state <> 'deleted' {2} ORDER BY r.started_at DESC LIMIT :sample) {3} GROUP BY {0} ORDER BY n DESC, {0} LIMIT :most"""
_VALUES = """SELECT DISTINCT value FROM tracking_{} WHERE key = :key AND length(value) <= 200 AND value >= :low
 AND value < :high LIMIT :most"""


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Runs that have the same value (None: those that have none): how many, when the newest began, and over the latest
    numbers of a metric how many there are, their mean, the least and the largest."""

    value: str | None
    runs: int
    newest: str
    measured: int = 0
    mean: float | None = None
    least: float | None = None
    largest: float | None = None


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """An experiment in a list; `runs` counts those of the states asked for."""

    id: int
    name: str
    state: str
    runs: int
    created_at: str
    updated_at: str


def listed(tx: Transaction, states: Sequence[str]) -> list[Listed]:
    """Experiments with runs of these states, or in one of these states themselves, newest first."""
    runs = counts(tx, states)
    rows = tx.rows("SELECT id, name, state, created_at, updated_at FROM tracking_experiments ORDER BY id DESC")
    return [Listed(**row, runs=runs.get(row["id"], 0)) for row in rows if row["state"] in states or runs.get(row["id"])]


def numbered(tx: Transaction, name: str) -> list[int]:
    """The number of the experiment with that name; none when there is no such one."""
    row = tx.row("SELECT id FROM tracking_experiments WHERE name = :name", {"name": name})
    return [int(row["id"])] if row else []


def ids(tx: Transaction, numbers: Sequence[int]) -> list[str]:
    """The ids of runs, in this order."""
    found: dict[int, str] = {}
    for part in parts(numbers):
        marks, params = marked(part)
        rows = tx.rows(f"SELECT number, id FROM tracking_runs WHERE number IN ({marks})", params)
        found |= {row["number"]: row["id"] for row in rows}
    return [found[number] for number in numbers]


def counts(tx: Transaction, states: Sequence[str]) -> dict[int, int]:
    """How many runs of these states each experiment has."""
    marks, params = marked(states)
    statement = (
        f"SELECT experiment_id, COUNT(*) AS n FROM tracking_runs WHERE state IN ({marks}) GROUP BY experiment_id"
    )
    return {row["experiment_id"]: row["n"] for row in tx.rows(statement, params)} if states else {}


def names(tx: Transaction, experiments: Sequence[int] | None) -> dict[str, list[str]]:
    """Names of metrics, params and tags."""
    known = Names(tx, experiments, ())
    return {entity: sorted(known.names(entity, "")) for entity in ("metrics", "params", "tags")}


class Names:
    """What the runs of experiments (None for all) can be searched by; of params and tags what the newest runs have."""

    def __init__(self, tx: Transaction, experiments: Sequence[int] | None, days: Sequence[str]) -> None:
        self._tx = tx
        self._experiments = experiments
        self._days = days

    def names(self, entity: str, part: str) -> list[str]:
        """Names of metrics, params or tags that hold a text."""
        found = self._metrics() if entity == "metrics" else self._texts(entity, "key", "", {})
        return [name for name in found if part.lower() in name.lower()][:MOST_NAMES]

    def values(self, entity: str, key: str, part: str) -> list[str]:
        """Values that hold a text, the most frequent first."""
        if entity in ("params", "tags"):
            found = self._texts(entity, "value", "AND key = :key AND length(value) <= 200", {"key": key})
            high = part + "\U0010ffff"
            params = {"key": key, "low": part, "high": high, "most": MOST_VALUES}
            more = [row["value"] for row in self._tx.rows(_VALUES.format(entity), params)]
            return [*dict.fromkeys([*found, *more])]
        if entity == "datasets":
            return self._datasets(key)
        if key in ("started_at", "ended_at"):
            return list(self._days)
        return self._attributes(key) if key in ("experiment", "kind", "created_by", "user_id", "name") else []

    def _scope(self) -> tuple[str, dict[str, int]]:
        if self._experiments is None:
            return "", {}
        params = {f"e{place}": number for place, number in enumerate(self._experiments[:1000])}
        return (f"AND r.experiment_id {one_of([*params])}" if params else "AND 1 = 0"), params

    def _metrics(self) -> list[str]:
        if self._experiments is None:
            return [row["name"] for row in self._tx.rows("SELECT name FROM tracking_keys ORDER BY name")]
        found: dict[str, None] = {}
        for number in self._experiments[:64]:
            found |= {row["name"]: None for row in self._tx.rows(_KEYS, {"experiment": number})}
        return sorted(found)

    def _texts(self, table: str, column: str, more: str, params: dict[str, str]) -> list[str]:
        scope, numbers = self._scope()
        rows = self._tx.rows(
            _TEXTS.format(column, table, scope, more), {**params, **numbers, "sample": SAMPLE, "most": MOST_NAMES}
        )
        return [row[column] for row in rows]

    def _attributes(self, key: str) -> list[str]:
        if key == "experiment":
            return [
                row["name"]
                for row in self._tx.rows(
                    "SELECT name FROM tracking_experiments WHERE state <> 'deleted' ORDER BY id DESC"
                )
            ]
        scope, params = self._scope()
        rows = self._tx.rows(
            f"""SELECT value, COUNT(*) AS n FROM (SELECT {attribute(key)} AS value FROM tracking_runs r
            WHERE r.state <> 'deleted' {scope} ORDER BY r.started_at DESC LIMIT :sample) AS newest
            GROUP BY value ORDER BY n DESC, value LIMIT :most""",
            {**params, "sample": 10 * SAMPLE, "most": MOST_VALUES},
        )
        return [row["value"] for row in rows]

    def _datasets(self, key: str) -> list[str]:
        if key == "context":
            return ["training", "validation", "test", "evaluation"]
        statement = f"SELECT DISTINCT {key} AS value FROM tracking_links WHERE kind = 'dataset' LIMIT :most"
        return [row["value"] for row in self._tx.rows(statement, {"most": MOST_VALUES})]


def groups(tx: Transaction, asked: Search, entity: str, key: str, metric: str, most: int) -> list[Group]:
    """The runs of a search by a value, with a metric's summary; the largest group first."""
    given = Conditions(tx, asked.experiments, asked.states)
    if given.impossible:
        return []
    narrow = next((one for one in asked.comparisons if given.is_narrow(one)), None)
    conditions = [given.at_run(one) if narrow and one is not narrow else given.asked(one) for one in asked.comparisons]
    source, value = "tracking_runs r", attribute(key) if entity == "attributes" else "g.value"
    if entity != "attributes":
        source += f" LEFT JOIN tracking_{entity} g ON g.run = r.number AND g.key = :{given.param(key)}"
    measures = "0 AS measured, NULL AS mean, NULL AS least, NULL AS largest"
    if metric:
        source += f" LEFT JOIN tracking_latest m ON m.run = r.number AND m.key = :{given.key(metric)} AND m.is_nan = 0"
        measures = "COUNT(m.run) AS measured, AVG(m.value) AS mean, MIN(m.value) AS least, MAX(m.value) AS largest"
    where = " AND ".join([given.in_state(), *given.of_experiments(), *conditions])
    statement = f"""SELECT {value} AS value, COUNT(*) AS runs, MAX(r.started_at) AS newest, {measures} FROM {source}
        WHERE {where} GROUP BY {value} ORDER BY runs DESC, value LIMIT :most"""
    statement = statement.replace("{scope}", given.all_scopes()).replace("{run}", "r.number" if narrow else "+r.number")
    return [grouped(row) for row in tx.rows(statement, given.params | {"most": most})]


def grouped(row: Row) -> Group:
    """One group."""
    return msgspec.convert(dict(row), Group)
