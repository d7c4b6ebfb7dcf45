"""Searches over runs, composed with SQLAlchemy Core."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from loopline.ports.database import Transaction
from loopline.usecases.tracking.filters import Comparison, Order, ordered, parsed

_RUNS = sa.table(
    "tracking_runs",
    *(
        sa.column(name)
        for name in ("number", "id", "state", "experiment_id", "name", "kind", "status", "started_at", "ended_at")
    ),
    sa.column("created_by"),
)
_EXPERIMENTS = sa.table("tracking_experiments", sa.column("id"), sa.column("name"))
_BESIDE = {"metrics": "tracking_latest", "params": "tracking_params", "tags": "tracking_tags"}
_SIGNS = {"=": "__eq__", "!=": "__ne__", "<": "__lt__", "<=": "__le__", ">": "__gt__", ">=": "__ge__"}


def ids(tx: Transaction, where: str, order_by: Sequence[str], experiment: str, limit: int, offset: int) -> list[str]:
    """Ids of the runs for which all comparisons hold, in the order asked for, then newest first."""
    query = sa.select(_RUNS.c.id).where(_RUNS.c.state == "active")
    if experiment:
        query = query.where(
            _RUNS.c.experiment_id.in_(sa.select(_EXPERIMENTS.c.id).where(_EXPERIMENTS.c.name == experiment))
        )
    for one in parsed(where):
        query = query.where(condition(one))
    query = in_order(query, ordered(order_by)).limit(limit).offset(offset)
    return [row["id"] for row in tx.rows(query)]


def condition(one: Comparison) -> Any:
    """A comparison as a condition on runs; on a metric, param or tag only runs that have it can meet it."""
    if one.entity == "attributes":
        return compared(_RUNS.c[one.key], one)
    table = beside(one.entity, "c")
    has = sa.select(sa.literal(1)).where(table.c.run == _RUNS.c.number, keyed(table, one))
    if one.sign in ("is null", "is not null"):
        return sa.exists(has) if one.sign == "is not null" else ~sa.exists(has)
    return _RUNS.c.number.in_(sa.select(table.c.run).where(keyed(table, one), met(table, one)))


def keyed(table: Any, one: Comparison | Order) -> Any:
    """The rows of one key; those of metrics are numbered."""
    if one.entity != "metrics":
        return table.c.key == one.key
    keys = sa.table("tracking_keys", sa.column("id"), sa.column("name"))
    return table.c.key == sa.select(keys.c.id).where(keys.c.name == one.key).scalar_subquery()


def met(table: Any, one: Comparison) -> Any:
    """The comparison of a value; one that is no number meets only `!=`."""
    found = compared(table.c.value, one)
    if one.entity != "metrics":
        return found
    return sa.or_(table.c.is_nan == 1, found) if one.sign == "!=" else sa.and_(table.c.is_nan == 0, found)


def compared(column: Any, one: Comparison) -> Any:
    """A column compared with the value."""
    if one.sign in _SIGNS:
        return getattr(column, _SIGNS[one.sign])(one.value)
    if one.sign in ("in", "not in"):
        found = column.in_(one.value)
        return found if one.sign == "in" else ~found
    if one.sign in ("is null", "is not null"):
        return column.is_(None) if one.sign == "is null" else column.is_not(None)
    return like(column, str(one.value), exact=one.sign == "like")


def like(column: Any, pattern: str, exact: bool) -> Any:
    """LIKE that tells small from capital letters when `exact`, on every engine alike."""
    if not exact:
        return sa.func.lower(column).like(pattern.lower())
    found = column.like(pattern)
    for piece in pattern.replace("_", "%").split("%"):
        if piece:  # SQLite's LIKE ignores the case of ASCII letters: what it found must hold the pieces as written
            found = sa.and_(found, sa.func.replace(column, piece, "") != column)
    return found


def in_order(query: Any, criteria: list[Order]) -> Any:
    """Missing values last whatever the direction; of metrics numbers, then NaN, then missing."""
    for number, one in enumerate(criteria):
        column: Any
        if one.entity == "attributes":
            column = _RUNS.c[one.key]
        else:
            table = beside(one.entity, f"o{number}")
            on = sa.and_(table.c.run == _RUNS.c.number, keyed(table, one))
            query = query.outerjoin_from(_RUNS, table, on) if number == 0 else query.outerjoin(table, on)
            column = table.c.value
        query = query.order_by(column.is_(None))
        if one.entity == "metrics":
            query = query.order_by(table.c.is_nan)
        query = query.order_by(column.desc() if one.descending else column)
    return query.order_by(_RUNS.c.started_at.desc(), _RUNS.c.id)


def beside(entity: str, name: str) -> Any:
    """The table of metrics, params or tags under a name of its own."""
    columns = ("run", "key", "value", *(("is_nan",) if entity == "metrics" else ()))
    return sa.table(_BESIDE[entity], *(sa.column(column) for column in columns)).alias(name)
