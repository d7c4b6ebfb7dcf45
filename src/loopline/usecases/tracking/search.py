"""Searches over runs as SQL: fixed pieces of text, every value a parameter.

A condition that few runs meet leads: they are looked at one by one. Otherwise the first criterion of the order leads:
when it is a metric or a param, its index is read in order, what lacks it is appended only when the page is not full, and
each condition becomes a set of runs, read once from an index. So a page costs about the same whatever the order, and the
next page goes on behind the last run of the page before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from loopline.core.errors import Invalid
from loopline.ports.database import Transaction
from loopline.usecases.tracking.conditions import Conditions, attribute
from loopline.usecases.tracking.filters import NUMERIC, Comparison, Order

MOST_SCOPES = 64
_NEWEST = Order("attributes", "started_at", True)
_BESIDE = {"metrics": "tracking_latest", "params": "tracking_params", "tags": "tracking_tags"}
_LONG = "SELECT 1 AS found FROM {} WHERE key = :key AND length(value) > 200 LIMIT 1"


class Term(NamedTuple):
    """An expression that counts in an order; none is ever NULL."""

    sql: str
    descending: bool = False


class Phase(NamedTuple):
    """Runs that come together in an order: where they are read, what must hold, and the terms of their order, of which
    the first have the same values in all of them (`fixed`). `by_scope`: each experiment's are read by themselves and
    merged, as the index is one of an experiment. `run` is the number of a run as it is known first; a plus before it
    keeps a set of runs from leading."""

    source: str
    conditions: tuple[str, ...]
    terms: tuple[Term, ...]
    fixed: tuple[Any, ...] = ()
    by_scope: bool = False
    run: str = "+r.number"


class Found(NamedTuple):
    """A run by its number, and its place in the order: the values of all terms."""

    number: int
    place: tuple[Any, ...]


class Search(NamedTuple):
    """What is asked: `experiments` None for all; `states` those in which a run may be."""

    comparisons: Sequence[Comparison]
    orders: Sequence[Order]
    experiments: Sequence[int] | None
    states: Sequence[str]


def found(tx: Transaction, search: Search, limit: int, after: tuple[Any, ...] | None = None) -> list[Found]:
    """At most `limit` runs in order, those behind the place `after` when it is given."""
    given = Conditions(tx, search.experiments, search.states)
    runs: list[Found] = []
    if given.impossible:
        return runs
    for phase in phases(tx, given, search):
        size = len(phase.fixed)
        check_place(phase, after)
        if after is None or phase.fixed >= after[:size]:
            behind = after[size:] if after and phase.fixed == after[:size] else None
            runs += of_phase(tx, given, phase, limit - len(runs), behind)
        if len(runs) >= limit:
            break
    return runs


def check_place(phase: Phase, after: tuple[Any, ...] | None) -> None:
    """Invalid for a place that cannot be one in this order: it came from outside."""
    if after is None:
        return
    kinds = [isinstance(value, str) == isinstance(known, str) for value, known in zip(after, phase.fixed, strict=False)]
    if len(after) != len(phase.fixed) + len(phase.terms) or not all(kinds):
        raise Invalid("That names no page of this search.", "Give what the page before called `next`.")


def of_phase(
    tx: Transaction, given: Conditions, phase: Phase, limit: int, behind: tuple[Any, ...] | None
) -> list[Found]:
    """The first runs of one phase."""
    marks = {f"a{place}": value for place, value in enumerate(behind or ())}
    where = " AND ".join([*phase.conditions, *([later(phase.terms)] if behind is not None else [])])
    names = [f"t{place}" for place in range(len(phase.terms))]
    shown = ", ".join(f"{term.sql} AS {name}" for term, name in zip(phase.terms, names, strict=True))
    order = ", ".join(
        f"{name} DESC" if term.descending else name for term, name in zip(phase.terms, names, strict=True)
    )
    runs: list[Found] = []
    for scope in given.scopes(MOST_SCOPES) if phase.by_scope else [given.all_scopes()]:
        text = f"SELECT r.number AS number, {shown} FROM {phase.source} WHERE {where} ORDER BY {order} LIMIT :limit"
        text = text.replace("{scope}", scope).replace("{run}", phase.run)
        rows = tx.rows(text, given.params | marks | {"limit": limit})
        runs += [Found(row["number"], (*phase.fixed, *(row[name] for name in names))) for row in rows]
    return merged(runs, phase)[:limit]


def merged(runs: list[Found], phase: Phase) -> list[Found]:
    """Runs of several experiments in one order."""
    for place in reversed(range(len(phase.terms) if phase.by_scope else 0)):
        runs.sort(key=lambda run: run.place[len(phase.fixed) + place], reverse=phase.terms[place].descending)
    return runs


def later(terms: Sequence[Term]) -> str:
    """That a run comes behind the one whose values are the parameters :a0, :a1, …"""
    choices, equal = [], ""
    for place, term in enumerate(terms):
        choices.append(f"({equal}{term.sql} {'<' if term.descending else '>'} :a{place})")
        equal += f"{term.sql} = :a{place} AND "
    bound = f"{terms[0].sql} {'<=' if terms[0].descending else '>='} :a0"  # implied, but an index can begin there
    return f"{bound} AND ({' OR '.join(choices)})"


def phases(tx: Transaction, given: Conditions, search: Search) -> list[Phase]:
    """The phases of a search, those that come first in the order first."""
    orders = list(search.orders)
    if not any((one.entity, one.key) == ("attributes", "started_at") for one in orders):
        orders.append(_NEWEST)
    narrow = next((one for one in search.comparisons if given.is_narrow(one)), None)
    if narrow is not None:
        return [few(given, search, narrow, orders)]
    conditions = tuple(given.asked(one) for one in search.comparisons if not leads(orders[0], one))
    if orders[0].entity == "metrics":
        return metric_phases(given, search, orders, conditions)
    if orders[0].entity == "attributes" or tx.row(_LONG.format(_BESIDE[orders[0].entity]), {"key": orders[0].key}):
        where = (given.in_state(), *given.of_experiments(), *conditions)
        scoped = given.experiments is not None and len(given.experiments) <= MOST_SCOPES
        joins, terms = criteria(given, orders)
        return [Phase(f"tracking_runs r{joins}", where, terms, by_scope=scoped)]
    return text_phases(given, orders, conditions)


def few(given: Conditions, search: Search, narrow: Comparison, orders: Sequence[Order]) -> Phase:
    """All runs that a condition leaves, which are few."""
    rest = [given.at_run(one) for one in search.comparisons if one is not narrow]
    joins, terms = criteria(given, orders)
    where = (given.asked(narrow), given.in_state(), *given.of_experiments("+r"), *rest)
    return Phase(f"tracking_runs r{joins}", where, terms, run="r.number")


def leads(first: Order, one: Comparison) -> bool:
    """Whether a comparison is about the metric that leads, so that its index answers it."""
    same = first.entity == one.entity == "metrics" and first.key == one.key
    return same and one.sign in (*NUMERIC, "is not null")


def metric_phases(
    given: Conditions, search: Search, orders: Sequence[Order], conditions: tuple[str, ...]
) -> list[Phase]:
    """Numbers, then those that are none, then runs without the metric."""
    first, key = orders[0], given.key(orders[0].key)
    joins, terms = criteria(given, orders[1:])
    same = [one for one in search.comparisons if (one.entity, one.key) == ("metrics", first.key)]
    bounds = [one for one in same if one.sign in NUMERIC]
    where = (f"o.experiment_id {{scope}} AND o.key = :{key}", given.in_state(), "r.number = o.run", *conditions)
    source = f"tracking_latest o CROSS JOIN tracking_runs r{joins}"
    limits = tuple(given.compared("o.value", one) for one in bounds)
    value = Term("o.value", first.descending)
    runs = [Phase(source, (*where, "o.is_nan = 0", *limits), (value, *terms), (0,), True, "+o.run")]
    if all(one.sign == "!=" for one in bounds):
        runs.append(Phase(source, (*where, "o.is_nan = 1"), terms, (1, 0), True, "+o.run"))
    if all(one.sign == "is null" for one in same):
        has = f"SELECT run FROM tracking_latest WHERE experiment_id {{scope}} AND key = :{key}"
        missing = (f"r.number NOT IN ({has})", given.in_state(), *given.of_experiments(), *conditions)
        runs.append(Phase(f"tracking_runs r{joins}", missing, terms, (2, 0)))
    return runs


def text_phases(given: Conditions, orders: Sequence[Order], conditions: tuple[str, ...]) -> list[Phase]:
    """Runs that have the param or tag, then those that lack it. No value is longer than what the index holds."""
    first, key, table = orders[0], given.param(orders[0].key), _BESIDE[orders[0].entity]
    joins, terms = criteria(given, orders[1:])
    known = (
        f"o.key = :{key}",
        "length(o.value) <= 200",
        "r.number = o.run",
        given.in_state(),
        *given.of_experiments("+r"),
    )
    lacks = f"r.number NOT IN (SELECT run FROM {table} WHERE key = :{key} AND length(value) <= 200)"
    missing = (lacks, given.in_state(), *given.of_experiments(), *conditions)
    source = f"{table} o CROSS JOIN tracking_runs r{joins}"
    value = Term("o.value", first.descending)
    return [
        Phase(source, (*known, *conditions), (value, *terms), (0,), run="+o.run"),
        Phase(f"tracking_runs r{joins}", missing, terms, (1, "")),
    ]


def criteria(given: Conditions, orders: Sequence[Order]) -> tuple[str, tuple[Term, ...]]:
    """Joins and terms of criteria: what is missing last; of metrics numbers, then NaN, then missing; by id at the end."""
    joins, terms = "", []
    for place, one in enumerate(orders):
        if one.entity == "attributes":
            sql = attribute(one.key)
            if one.key == "ended_at":
                terms.append(Term(f"({sql} IS NULL)"))
                sql = f"COALESCE({sql}, '')"
            terms.append(Term("r.experiment_id" if one.key == "experiment_id" else sql, one.descending))
            continue
        metric, name = one.entity == "metrics", f"o{place}"
        key = given.key(one.key) if metric else given.param(one.key)
        joins += f" LEFT JOIN {_BESIDE[one.entity]} {name} ON {name}.run = r.number AND {name}.key = :{key}"
        terms.append(Term(f"COALESCE({name}.is_nan, 2)" if metric else f"({name}.run IS NULL)"))
        terms.append(Term(f"COALESCE({name}.value, {'0' if metric else repr('')})", one.descending))
    return joins, (*terms, Term("r.id"))
