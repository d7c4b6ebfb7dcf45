"""A contract checked against a table, column by column, with Arrow's compute functions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from loopline.core.errors import Invalid
from loopline.core.times import from_text
from loopline.usecases.datasets.model import Broken, Contract, ContractReport, Rule, seconds

EXAMPLES = 3
LONGEST_EXAMPLE = 60


def check(contract: Contract, table: Any, now: str | None = None) -> ContractReport:
    """Check every rule of the contract; nothing is changed. Invalid for what is no table."""
    arrow = as_arrow(table)
    broken = [*_rows(contract, arrow), *_names(contract, arrow)]
    for rule in contract.columns:
        if rule.name in arrow.column_names:
            broken += _column(rule, arrow[rule.name])
    broken += _unique(contract, arrow)
    broken += _fresh(contract, arrow, now)
    return ContractReport(rows=arrow.num_rows, checked=_count(contract), broken=tuple(broken))


def as_arrow(table: Any) -> Any:
    """An Arrow table for an Arrow, pandas or Polars one."""
    import pyarrow as pa

    if isinstance(table, pa.Table):
        return table
    if isinstance(table, pa.RecordBatch):
        return pa.Table.from_batches([table])
    if hasattr(table, "to_arrow"):
        return table.to_arrow()
    if hasattr(table, "iloc"):
        return pa.Table.from_pandas(table, preserve_index=False)
    raise Invalid(f"A {type(table).__name__} is no table.", "Give an Arrow, pandas or Polars table.")


def _count(contract: Contract) -> int:
    limits = sum(
        1 + (rule.max_missing < 1) + (rule.minimum is not None) + (rule.maximum is not None) + bool(rule.allowed)
        for rule in contract.columns
    )
    return limits + 1 + contract.closed + bool(contract.unique) + bool(contract.fresh_by)


def _rows(contract: Contract, table: Any) -> Iterator[Broken]:
    rows = table.num_rows
    if rows < contract.minimum_rows:
        yield _broken("minimum_rows", "", rows, f"{rows:,} rows are fewer than {contract.minimum_rows:,}")
    if contract.maximum_rows is not None and rows > contract.maximum_rows:
        yield _broken("maximum_rows", "", rows, f"{rows:,} rows are more than {contract.maximum_rows:,}")


def _names(contract: Contract, table: Any) -> Iterator[Broken]:
    expected = [rule.name for rule in contract.columns]
    for name in expected:
        if name not in table.column_names:
            yield _broken("present", name, table.num_rows, f"{name}: the column is missing")
    for name in table.column_names:
        if contract.closed and name not in expected:
            yield _broken("closed", name, table.num_rows, f"{name}: the contract does not name this column")


def _column(rule: Rule, values: Any) -> Iterator[Broken]:
    import pyarrow.compute as pc

    typed = _typed(rule, values)
    if typed is None:
        yield _broken("type", rule.name, len(values), f"{rule.name}: is {values.type}, not {rule.type}")
        return
    missing = pc.is_null(typed, nan_is_null=True)
    count = int(pc.sum(missing).as_py() or 0)
    if count > rule.max_missing * len(typed):
        limit = f"at most {rule.max_missing:.1%} may be" if rule.max_missing else "none may be"
        yield _failing("missing", rule.name, typed, missing, f"are empty and {limit}")
    if rule.minimum is not None:
        low = pc.less(typed, _limit(rule.minimum, typed.type))
        yield from _any("minimum", rule.name, typed, low, f"are below {rule.minimum}")
    if rule.maximum is not None:
        high = pc.greater(typed, _limit(rule.maximum, typed.type))
        yield from _any("maximum", rule.name, typed, high, f"are above {rule.maximum}")
    if rule.allowed:
        other = pc.and_(pc.invert(_among(rule, typed)), pc.invert(missing))
        yield from _any("allowed", rule.name, typed, other, f"are none of {_shown(rule.allowed)}")


def _typed(rule: Rule, values: Any) -> Any:
    """The values in the form that the limits compare with, or None when they are of another type."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = pa.types
    if kind.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if kind.is_null(values.type):
        return values.cast(_empty_type(rule.type))
    number = kind.is_floating(values.type) or kind.is_decimal(values.type)
    if rule.type == "string":
        return values if kind.is_string(values.type) or kind.is_large_string(values.type) else None
    if rule.type == "boolean":
        return values if kind.is_boolean(values.type) else None
    if rule.type == "timestamp":
        return values if kind.is_timestamp(values.type) or kind.is_date(values.type) else None
    if rule.type == "float":
        return values.cast(pa.float64(), safe=False) if number or kind.is_integer(values.type) else None
    if kind.is_integer(values.type):
        return values
    whole = number and pc.all(pc.or_kleene(pc.equal(values, pc.floor(values)), pc.is_null(values, nan_is_null=True)))
    return values if whole and whole.as_py() is not False else None


def _empty_type(name: str) -> Any:
    import pyarrow as pa

    kinds = {"float": pa.float64(), "integer": pa.int64(), "boolean": pa.bool_(), "string": pa.string()}
    return kinds.get(name, pa.timestamp("us"))


def _limit(limit: Any, kind: Any) -> Any:
    """A limit as a value comparable with a column of that type; times are written as ISO 8601."""
    import pyarrow as pa

    if pa.types.is_timestamp(kind):
        moment = from_text(str(limit))
        return pa.scalar(moment if kind.tz else moment.replace(tzinfo=None), type=kind)
    if pa.types.is_date(kind):
        return pa.scalar(from_text(str(limit)).date(), type=kind)
    return pa.scalar(limit)


def _among(rule: Rule, values: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    listed = list(rule.allowed)
    if pa.types.is_temporal(values.type):
        allowed = pa.array([_limit(value, values.type).as_py() for value in listed], type=values.type)
    else:
        allowed = pa.array(listed).cast(values.type, safe=False)
    return pc.is_in(values, value_set=allowed)


def _unique(contract: Contract, table: Any) -> Iterator[Broken]:
    key = list(contract.unique)
    if not key or not set(key) <= set(table.column_names):
        return
    counted = table.select(key).group_by(key).aggregate([([], "count_all")])
    import pyarrow.compute as pc

    doubled = counted.filter(pc.greater(counted["count_all"], 1))
    if doubled.num_rows:
        extra = int(pc.sum(doubled["count_all"]).as_py()) - doubled.num_rows
        examples = tuple(
            ", ".join(f"{name} {row[name]}" for name in key)[:LONGEST_EXAMPLE] + f": {row['count_all']} rows"
            for row in doubled.slice(0, EXAMPLES).to_pylist()
        )
        message = f"{', '.join(key)}: {_share(extra, table.num_rows)} repeat another row's key"
        yield Broken(rule="unique", column=", ".join(key), rows=extra, message=message, examples=examples)


def _fresh(contract: Contract, table: Any, now: str | None) -> Iterator[Broken]:
    if not contract.fresh_by or contract.fresh_by not in table.column_names or not table.num_rows:
        return
    import pyarrow as pa
    import pyarrow.compute as pc

    newest = pc.max(table[contract.fresh_by])
    if not pa.types.is_temporal(newest.type) or newest.as_py() is None:
        return
    from datetime import UTC, datetime

    moment = from_text(str(newest.as_py().isoformat()))
    present = from_text(now) if now else datetime.now(UTC)
    if (present - moment).total_seconds() > seconds(contract.fresh_within):
        message = f"{contract.fresh_by}: the newest is {moment:%Y-%m-%d %H:%M} UTC, older than {contract.fresh_within}"
        yield _broken("fresh", contract.fresh_by, table.num_rows, message)


def _any(rule: str, name: str, values: Any, failing: Any, what: str) -> Iterator[Broken]:
    import pyarrow.compute as pc

    if pc.any(failing).as_py():
        yield _failing(rule, name, values, failing, what)


def _failing(rule: str, name: str, values: Any, failing: Any, what: str) -> Broken:
    import pyarrow.compute as pc

    where = pc.indices_nonzero(failing)
    examples = tuple(
        f"row {index.as_py() + 1}: {_example(values[index.as_py()].as_py())}" for index in where[:EXAMPLES]
    )
    message = f"{name}: {_share(len(where), len(values))} {what}"
    return Broken(rule=rule, column=name, rows=len(where), message=message, examples=examples)


def _broken(rule: str, name: str, rows: int, message: str) -> Broken:
    return Broken(rule=rule, column=name, rows=rows, message=message)


def _share(count: int, rows: int) -> str:
    return f"{count:,} of {rows:,} rows"


def _example(value: Any) -> str:
    return "empty" if value is None else repr(value)[:LONGEST_EXAMPLE]


def _shown(values: Any) -> str:
    listed = [str(value) for value in values[:8]]
    return ", ".join(listed) + ("" if len(values) <= 8 else ", …")
