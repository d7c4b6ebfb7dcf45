"""Comparisons as conditions in SQL: as the set of runs that meet them, or asked at one run after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from loopline.core.errors import Invalid
from loopline.ports.database import Transaction
from loopline.usecases.tracking.filters import Comparison

MOST_EXPERIMENTS = 20_000
FEW = 1_000
_COLUMNS = ("id", "name", "kind", "created_by", "started_at", "ended_at")
_EXPRESSIONS = {
    "status": "(r.status || '')",  # its index would lead a search through all runs that finished
    "user_id": "CASE WHEN r.user_id <> '' THEN r.user_id ELSE r.created_by END",
    "experiment_id": "CAST(r.experiment_id AS TEXT)",
    "experiment": "(SELECT e.name FROM tracking_experiments e WHERE e.id = r.experiment_id)",
    "artifact_uri": """CASE WHEN r.artifact_root <> '' THEN r.artifact_root
        ELSE 'mlflow-artifacts:/' || r.experiment_id || '/' || r.id || '/artifacts' END""",
}
_DATASETS = """FROM tracking_links l JOIN tracking_runs d ON d.id = l.run_id
 WHERE l.kind = 'dataset' AND l.direction = 'input'"""
_DATASET_COLUMNS = {
    "context": "json_extract(l.tags, '$.\"mlflow.data.context\"')",
    "name": "l.name",
    "digest": "l.digest",
}
_GLOB = str.maketrans({"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"})


def attribute(key: str) -> str:
    """A run's attribute as an expression over its row `r`."""
    return f"r.{key}" if key in _COLUMNS else _EXPRESSIONS[key]


class Conditions:
    """What must hold for a run, and the parameters. In a text `{scope}` stands for the experiments that are read, `{run}`
    for the number of the run."""

    def __init__(self, tx: Transaction, experiments: Sequence[int] | None, states: Sequence[str]) -> None:
        self._tx = tx
        self.params: dict[str, Any] = {}
        self.impossible = not states or (experiments is not None and not experiments)
        self.experiments = None if experiments is None else sorted(set(experiments))
        self._all: list[int] | None = None
        self._states = [self.param(state) for state in dict.fromkeys(states)]
        self._keys: dict[str, str] = {}
        if self.experiments and len(self.experiments) > MOST_EXPERIMENTS:
            raise Invalid(f"{len(self.experiments):,} experiments are too many.", "Search all of them, or fewer.")

    def param(self, value: Any) -> str:
        """The name of a parameter with this value."""
        name = f"p{len(self.params)}"
        self.params[name] = value
        return name

    def key(self, name: str) -> str:
        """The parameter that holds the number of a metric's name; no metric has the number of an unknown name."""
        if name not in self._keys:
            row = self._tx.row("SELECT id FROM tracking_keys WHERE name = :name", {"name": name})
            self._keys[name] = self.param(row["id"] if row else -1)
        return self._keys[name]

    def in_state(self) -> str:
        """That a run is in one of the states."""
        return f"r.state {one_of(self._states)}"

    def of_experiments(self, row: str = "r") -> tuple[str, ...]:
        """That a run belongs to the experiments; nothing when it may be any."""
        return (f"{row}.experiment_id {{scope}}",) if self.experiments is not None else ()

    def all_scopes(self) -> str:
        """The experiments that are searched, as a condition on their number."""
        if self.experiments is None:
            return "IN (SELECT id FROM tracking_experiments)"
        return one_of([self._scope(number) for number in self.experiments])

    def scopes(self, most: int) -> list[str]:
        """One condition for each experiment, or one for all when they are more than `most`."""
        if self.experiments is None and self._all is None:
            self._all = [row["id"] for row in self._tx.rows("SELECT id FROM tracking_experiments ORDER BY id")]
        numbers = self.experiments or self._all or []
        return [one_of([self._scope(number)]) for number in numbers] if len(numbers) <= most else [self.all_scopes()]

    def _scope(self, number: int) -> str:
        name = f"e{number}".replace("-", "m")
        self.params[name] = number
        return name

    def is_narrow(self, one: Comparison) -> bool:
        """Whether only a few runs meet a comparison."""
        if one.entity == "attributes" and one.key == "id":
            return one.sign in ("=", "in")
        if one.sign in ("is null", "not in", "!=") or (one.entity == "attributes" and one.sign == "is not null"):
            return False
        statement = f"SELECT COUNT(*) AS n FROM (SELECT 1 FROM ({self.as_set(one)}) LIMIT {FEW + 1})"
        row = self._tx.row(statement.replace("{scope}", self.all_scopes()), self.params)
        return row is not None and row["n"] <= FEW

    def asked(self, one: Comparison) -> str:
        """A comparison as a condition that goes through many runs: by the set of those that meet it, unless it stands
        in the row that is read anyway and most runs meet it."""
        at_hand = one.entity == "attributes" and (
            one.sign in ("!=", "not in", "is not null") or one.key in ("id", "started_at")
        )
        if at_hand:
            return self.compared(attribute(one.key), one)
        return (
            f"{{run}} {'NOT IN' if one.sign == 'is null' and one.entity != 'attributes' else 'IN'} ({self.as_set(one)})"
        )

    def as_set(self, one: Comparison) -> str:
        """The numbers of the runs that meet a comparison (of `is null`: that do not, unless it is an attribute's)."""
        if one.entity == "attributes":
            met = self.compared(attribute(one.key), one)
            inside = " AND ".join([*self.of_experiments(), met])
            return f"SELECT r.number FROM tracking_runs r WHERE {inside}"
        if one.entity == "datasets":
            return f"SELECT d.number {_DATASETS} AND {self.compared(_DATASET_COLUMNS[one.key], one)}"
        if one.entity == "metrics":
            known = f"SELECT run FROM tracking_latest WHERE experiment_id {{scope}} AND key = :{self.key(one.key)}"
            return f"{known}{self.measured('', one)}"
        met = "" if one.sign.startswith("is ") else f" AND {self.compared('value', one)}"
        known = f"SELECT run FROM tracking_{one.entity} WHERE key = :{self.param(one.key)} AND length(value)"
        return f"{known} <= 200{met} UNION ALL {known} > 200{met}"

    def at_run(self, one: Comparison) -> str:
        """A comparison as a condition asked at each of a few runs."""
        if one.entity == "attributes":
            return self.compared(attribute(one.key), one)
        if one.entity == "datasets":
            return (
                f"EXISTS (SELECT 1 {_DATASETS} AND l.run_id = r.id AND {self.compared(_DATASET_COLUMNS[one.key], one)})"
            )
        if one.entity == "metrics":
            table, key, met = "latest", self.key(one.key), self.measured("c.", one)
        else:
            table, key = one.entity, self.param(one.key)
            met = "" if one.sign.startswith("is ") else f" AND {self.compared('c.value', one)}"
        known = f"SELECT 1 FROM tracking_{table} c WHERE c.run = r.number AND c.key = :{key}{met}"
        return f"{'NOT ' if one.sign == 'is null' else ''}EXISTS ({known})"

    def measured(self, row: str, one: Comparison) -> str:
        """What must hold for the value of a metric; one that is no number meets only `!=`."""
        if one.sign in ("is null", "is not null"):
            return ""
        if one.sign in ("is nan", "is not nan"):
            return f" AND {row}is_nan = {int(one.sign == 'is nan')}"
        met = self.compared(f"{row}value", one)
        return f" AND ({row}is_nan = 1 OR {met})" if one.sign == "!=" else f" AND {row}is_nan = 0 AND {met}"

    def compared(self, column: str, one: Comparison) -> str:
        """A column compared with the value. GLOB is what tells small from capital letters."""
        if one.sign in ("is null", "is not null"):
            return f"{column} {one.sign.upper()}"
        if one.sign in ("in", "not in"):
            values = one.value if isinstance(one.value, tuple) else ()
            return f"{column} {one.sign.upper()} ({', '.join(':' + self.param(value) for value in values)})"
        if one.sign == "like":
            return f"{column} GLOB :{self.param(str(one.value).translate(_GLOB))}"
        sign = "LIKE" if one.sign == "ilike" else one.sign.replace("!=", "<>")
        return f"{column} {sign} :{self.param(one.value)}"


def one_of(names: Sequence[str]) -> str:
    """That a column is one of these parameters."""
    return f"= :{names[0]}" if len(names) == 1 else f"IN ({', '.join(':' + name for name in names)})"
