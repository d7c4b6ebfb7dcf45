"""Whatever is searched, in whatever order and by whatever way through the indexes: what is found is what a plain loop
over all runs finds."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Iterator
from functools import cmp_to_key
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loopline.testing.factories import installation
from loopline.usecases.tracking import conditions, search
from loopline.usecases.tracking.filters import NUMERIC, as_name, quoted

pytestmark = pytest.mark.integration
RUNS = 120
METRICS = ("auc", "loss/val", "my metric", "never")
TEXTS = ("model", "a.b c", "note", "never")
WORDS = ("tree", "Tree", "TREE_1", "", "it's", "50%", "a*b?[c]", 'x"y', "ä", "x" * 200, "x" * 201, "y" * 300, "\\d\\")
VALUES = (0.0, -0.0, 1.0, 1.0, 0.5, -2.5, 1e300, math.inf, -math.inf, math.nan)
STATUSES = ("finished", "failed", "running")
STATES = ("active", "active", "active", "archived", "deleted")
TIMES = tuple(f"2026-01-0{day}T00:00:00.00{day}Z" for day in range(1, 6))


class Known(NamedTuple):
    """A run as the loop sees it."""

    number: int
    experiment: int
    state: str
    attributes: dict[str, str | None]
    metrics: dict[str, float]
    params: dict[str, str]
    tags: dict[str, str]
    datasets: list[dict[str, str]]


def invented(chance: random.Random) -> list[Known]:
    """Runs with many ties, gaps and odd values."""
    runs = []
    for number in range(1, RUNS + 1):
        some = {key: chance.choice(VALUES) for key in METRICS[:3] if chance.random() < 0.7}
        texts = [{key: chance.choice(WORDS) for key in TEXTS[:3] if chance.random() < 0.6} for _ in range(2)]
        if number % 40:  # a key without long values is read from its index
            texts[0]["model"] = chance.choice(WORDS[:8])
        attributes = {
            "id": f"{chance.getrandbits(128):032x}",
            "name": chance.choice(WORDS[:9]),
            "kind": chance.choice(("run", "pipeline")),
            "status": chance.choice(STATUSES),
            "started_at": chance.choice(TIMES),
            "ended_at": chance.choice((None, *TIMES)),
            "created_by": chance.choice(("ann", "bob")),
            "user_id": chance.choice(("", "carl")),
        }
        sets = [
            {
                "name": chance.choice(("flights", "weather")),
                "digest": f"{n}",
                "context": chance.choice(("training", "")),
            }
            for n in range(chance.choice((0, 0, 1, 2)))
        ]
        runs.append(
            Known(number, chance.randrange(1, 5), chance.choice(STATES), attributes, some, texts[0], texts[1], sets)
        )
    return runs


def kept(loopline: Any, runs: list[Known]) -> None:
    """The runs as rows."""

    def work(tx: Any) -> None:
        at = TIMES[0]
        for number in range(1, 5):
            tx.run(
                """INSERT INTO tracking_experiments (id, name, created_at, created_by, updated_at)
                VALUES (:id, :name, :at, 'ann', :at)""",
                {"id": number, "name": f"experiment {number}", "at": at},
            )
        for place, key in enumerate(METRICS[:3], 1):
            tx.run("INSERT INTO tracking_keys (id, name) VALUES (:id, :name)", {"id": place, "name": key})
        for run in runs:
            tx.run(
                """INSERT INTO tracking_runs (number, id, experiment_id, name, kind, status, state, started_at, ended_at,
                created_by, user_id) VALUES (:number, :id, :experiment, :name, :kind, :status, :state, :started_at,
                :ended_at, :created_by, :user_id)""",
                {**run.attributes, "number": run.number, "experiment": run.experiment, "state": run.state},
            )
            for key, value in run.metrics.items():
                row = {"run": run.number, "key": METRICS.index(key) + 1, "experiment": run.experiment}
                row |= {"value": 0.0 if math.isnan(value) else value, "is_nan": int(math.isnan(value))}
                tx.run(
                    """INSERT INTO tracking_latest (run, key, experiment_id, at_ms, step, value, is_nan)
                    VALUES (:run, :key, :experiment, 0, 0, :value, :is_nan)""",
                    row,
                )
            for table in ("params", "tags"):
                for key, value in getattr(run, table).items():
                    tx.run(
                        f"INSERT INTO tracking_{table} (run, key, value) VALUES (:run, :key, :value)",
                        {"run": run.number, "key": key, "value": value},
                    )
            for one in run.datasets:
                tags = msgspec.json.encode({"mlflow.data.context": one["context"]} if one["context"] else {}).decode()
                tx.run(
                    """INSERT INTO tracking_links (run_id, direction, name, digest, kind, tags)
                    VALUES (:id, 'input', :name, :digest, 'dataset', :tags)""",
                    {"id": run.attributes["id"], "name": one["name"], "digest": one["digest"], "tags": tags},
                )

    loopline.get("database").write(work)


@pytest.fixture(scope="module", params=[1, 2])
def searched(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Any]]:
    runs = invented(random.Random(request.param))
    with installation(tmp_path_factory.mktemp("oracle")) as loopline:
        kept(loopline, runs)
        yield loopline.tracking, runs


def met_text(value: str | None, sign: str, wanted: Any) -> bool:
    """Whether a text meets a comparison; one that is missing meets none."""
    if sign in ("is null", "is not null"):
        return (value is None) == (sign == "is null")
    if value is None:
        return False
    if sign in ("in", "not in"):
        return (value in wanted) == (sign == "in")
    if sign in ("like", "ilike"):
        pattern = "".join({"%": ".*", "_": "."}.get(letter, re.escape(letter)) for letter in wanted)
        flags = re.DOTALL | (re.IGNORECASE | re.ASCII if sign == "ilike" else 0)
        return re.fullmatch(pattern, value, flags) is not None
    return met_number(value, sign, wanted)


def met_number(value: Any, sign: str, wanted: Any) -> bool:
    checks: dict[str, Callable[[], bool]] = {
        "=": lambda: value == wanted,
        "!=": lambda: value != wanted,
        "<": lambda: value < wanted,
        "<=": lambda: value <= wanted,
        ">": lambda: value > wanted,
        ">=": lambda: value >= wanted,
    }
    return checks[sign]()


def met(run: Known, entity: str, key: str, sign: str, wanted: Any) -> bool:
    if entity == "metrics":
        value = run.metrics.get(key)
        if sign in ("is null", "is not null"):
            return (value is None) == (sign == "is null")
        if sign in ("is nan", "is not nan"):
            return value is not None and math.isnan(value) == (sign == "is nan")
        return value is not None and met_number(value, sign, wanted)
    if entity == "datasets":
        return any(met_text(one[key] if one[key] or key != "context" else None, sign, wanted) for one in run.datasets)
    if entity == "attributes":
        return met_text(attribute(run, key), sign, wanted)
    return met_text(getattr(run, entity).get(key), sign, wanted)


def attribute(run: Known, key: str) -> Any:
    if key == "user_id":
        return run.attributes["user_id"] or run.attributes["created_by"]
    if key == "experiment":
        return f"experiment {run.experiment}"
    if key == "artifact_uri":
        return f"mlflow-artifacts:/{run.experiment}/{run.attributes['id']}/artifacts"
    return run.attributes[key]


def compared(orders: list[tuple[str, str, bool]]) -> Any:
    """How two runs stand to each other: values by the orders, missing ones last, then newest first, then by id."""
    if not any(order[:2] == ("attributes", "started_at") for order in orders):
        orders = [*orders, ("attributes", "started_at", True)]

    def two(a: Known, b: Known) -> int:
        for entity, key, descending in orders:
            pair = []
            for run in (a, b):
                value = attribute(run, key) if entity == "attributes" else getattr(run, entity).get(key)
                rank = 2 if value is None else 1 if isinstance(value, float) and math.isnan(value) else 0
                pair.append((rank, value if rank == 0 else 0))
            (rank_a, value_a), (rank_b, value_b) = pair
            if rank_a != rank_b:
                return rank_a - rank_b
            if value_a != value_b:
                return (-1 if value_a < value_b else 1) * (-1 if descending else 1)
        return -1 if str(a.attributes["id"]) < str(b.attributes["id"]) else 1

    return cmp_to_key(two)


words = st.sampled_from(WORDS).filter(lambda word: not word.endswith("\\"))
patterns = st.sampled_from(("%", "", "tr%", "T%", "%e%", "_ree", "%\\%", "a*%", "%[c]", "ä", "x%", "%'s", "Tree", "%1"))
numbers = st.sampled_from([value for value in VALUES if math.isfinite(value)] + [math.inf, -math.inf, 0.75])


@st.composite
def comparisons(draw: st.DrawFn) -> tuple[str, tuple[str, str, str, Any]]:
    """A comparison as it is written, and its parts."""
    entity = draw(st.sampled_from(("metrics", "metrics", "params", "tags", "attributes", "datasets")))
    if entity == "metrics":
        key = draw(st.sampled_from(METRICS))
        sign = draw(st.sampled_from((*NUMERIC, *NUMERIC, "is null", "is not null", "is nan", "is not nan")))
        value = None if sign.startswith("is") else draw(numbers)
        return written(entity, key, sign, value), (entity, key, sign, value)
    if entity == "attributes":
        key = draw(st.sampled_from(("status", "name", "kind", "user_id", "created_by", "experiment", "artifact_uri")))
        if draw(st.booleans()):
            key = draw(st.sampled_from(("started_at", "ended_at")))
            sign, value = draw(st.sampled_from(NUMERIC)), draw(st.sampled_from(TIMES))
            return written(entity, key, sign, value), (entity, key, sign, value)
        choices = {
            "status": STATUSES,
            "experiment": ("experiment 2", "no"),
            "kind": ("run",),
            "user_id": ("ann", "carl"),
        }
        values = st.sampled_from(choices[key]) if key in choices else words
    elif entity == "datasets":
        key = draw(st.sampled_from(("name", "digest", "context")))
        values = st.sampled_from(("flights", "weather", "0", "1", "training"))
    else:
        key, values = draw(st.sampled_from(TEXTS)), words
    sign = draw(st.sampled_from(("=", "!=", "like", "ilike", "in", "not in", "is null", "is not null")))
    if entity == "datasets" and sign.startswith("is"):
        sign = "="
    value = None
    if sign in ("in", "not in"):
        value = tuple(draw(st.lists(values, min_size=1, max_size=3)))
    elif not sign.startswith("is"):
        value = draw(patterns if "like" in sign else values)
    return written(entity, key, sign, value), (entity, key, sign, value)


def written(entity: str, key: str, sign: str, value: Any) -> str:
    name = as_name(entity, key)
    if value is None:
        return f"{name} {sign.upper()}"
    if isinstance(value, tuple):
        return f"{name} {sign} ({', '.join(quoted(one) for one in value)})"
    return f"{name} {sign} {quoted(value) if isinstance(value, str) else repr(value)}"


@st.composite
def orders(draw: st.DrawFn) -> tuple[str, tuple[str, str, bool]]:
    """A criterion as it is written, and its parts."""
    entity = draw(st.sampled_from(("metrics", "metrics", "params", "tags", "attributes")))
    keys = {"metrics": METRICS, "params": TEXTS, "tags": TEXTS}
    key = draw(st.sampled_from(keys.get(entity, ("name", "status", "started_at", "ended_at", "user_id", "experiment"))))
    descending = draw(st.booleans())
    return f"{as_name(entity, key)} {'DESC' if descending else 'asc'}", (entity, key, descending)


@settings(max_examples=220, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    filters=st.lists(comparisons(), max_size=3),
    order=st.lists(orders(), max_size=3, unique_by=lambda one: one[1][:2]),
    experiments=st.one_of(st.none(), st.lists(st.integers(1, 5), max_size=3, unique=True)),
    states=st.sampled_from((("active",), ("deleted",), ("active", "archived"), ("active", "archived", "deleted"))),
    few=st.sampled_from((-1, 10, 1000)),
    scopes=st.sampled_from((0, 64)),
    size=st.integers(1, 40),
)
def test_a_search_finds_what_a_loop_finds(
    searched: Any,
    filters: Any,
    order: Any,
    experiments: list[int] | None,
    states: tuple[str, ...],
    few: int,
    scopes: int,
    size: int,
) -> None:
    tracking, runs = searched
    expected = [
        run
        for run in runs
        if run.state in states
        and (experiments is None or run.experiment in experiments)
        and all(met(run, *parts) for _, parts in filters)
    ]
    expected.sort(key=compared([parts for _, parts in order]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conditions, "FEW", few)
        patch.setattr(search, "MOST_SCOPES", scopes)
        found: list[str] = []
        page, pages = "", 0
        while pages == 0 or page:
            where = " AND ".join(text for text, _ in filters)
            ids, page = tracking.find_ids(
                where, [text for text, _ in order], experiments=experiments, states=states, limit=size, page=page
            )
            found, pages = found + ids, pages + 1
    assert found == [run.attributes["id"] for run in expected]
    assert pages == max(1, math.ceil(len(expected) / size)), "a full last page has no page behind it"


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(filters=st.lists(comparisons(), max_size=2), by=st.sampled_from(("params.model", "tags.`a.b c`", "status")))
def test_groups_count_and_measure_what_a_loop_counts(searched: Any, filters: Any, by: str) -> None:
    tracking, runs = searched
    asked = [run for run in runs if run.state == "active" and all(met(run, *parts) for _, parts in filters)]
    held: dict[Any, list[Known]] = {}
    for run in asked:
        value = (
            run.attributes["status"]
            if by == "status"
            else (run.params.get("model") if "model" in by else run.tags.get("a.b c"))
        )
        held.setdefault(value, []).append(run)
    found = tracking.groups(by, " AND ".join(text for text, _ in filters), metric="my metric")
    assert {one.value: one.runs for one in found} == {value: len(members) for value, members in held.items()}
    assert [one.runs for one in found] == sorted((one.runs for one in found), reverse=True)
    for one in found:
        values = [run.metrics["my metric"] for run in held[one.value] if "my metric" in run.metrics]
        values = [value for value in values if not math.isnan(value)]
        assert (one.measured, one.least, one.largest) == (
            len(values),
            min(values, default=None),
            max(values, default=None),
        )
        assert one.newest == max(str(run.attributes["started_at"]) for run in held[one.value])
