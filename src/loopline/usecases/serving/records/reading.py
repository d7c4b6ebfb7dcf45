"""Reading the logs back as Arrow tables, from open segments and sealed files alike, and no more of them than is asked."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.core.errors import Invalid
from loopline.core.ids import checked_name
from loopline.core.times import to_ms
from loopline.usecases.serving.records import layout
from loopline.usecases.serving.records.conditions import Condition, expression
from loopline.usecases.serving.records.layout import PARQUET
from loopline.usecases.serving.records.segments import names, read
from loopline.usecases.serving.records.tables import (
    completed,
    completed_truth,
    prediction_schema,
    prediction_table,
    truth_table,
)
from loopline.usecases.serving.records.tables import truth_schema as truth_schema
from loopline.usecases.serving.records.writing import PREDICTIONS, TRUTH

if TYPE_CHECKING:
    import pyarrow as pa

TRIES = 20


def read_predictions(
    home: Path, endpoint: str, since: str | None, until: str | None, by: str, columns: Sequence[str] | None = None,
    where: Sequence[Condition] = (),
) -> pa.Table:  # fmt: skip
    """See `Serving.read_predictions`. `where`: further conditions on columns."""
    if by not in ("at", "event_time"):
        raise Invalid(f"Predictions cannot be selected by {by!r}.", "Use at or event_time.")
    checked_name("endpoint", endpoint)
    bounds = tuple(None if bound is None else to_ms(bound) for bound in (since, until))
    wanted = None if columns is None else list(dict.fromkeys([*columns, "at", "id"]))
    reader = Reader(home, endpoint, by, bounds, wanted, where)
    tables = steadily(endpoint, reader.tables)
    if not tables:
        nothing = prediction_schema().empty_table()
        return nothing if columns is None else _chosen(nothing, columns)
    table = unified(tables).sort_by([("at", "ascending"), ("id", "ascending")])
    return table if columns is None else _chosen(table, columns)


def read_columns(home: Path, endpoint: str, columns: Sequence[str]) -> pa.Table:
    """Some columns of all records of an endpoint, in no order: what sums are made of."""
    checked_name("endpoint", endpoint)
    tables = steadily(endpoint, Reader(home, endpoint, "at", (None, None), list(columns)).tables)
    return unified(tables) if tables else _chosen(prediction_schema().empty_table(), columns)


def read_truth(home: Path, endpoint: str) -> pa.Table:
    """See `Serving.read_truth`."""
    import pyarrow as pa

    checked_name("endpoint", endpoint)
    tables = steadily(endpoint, lambda: _truth_now(home / TRUTH / endpoint))
    return pa.concat_tables(tables).sort_by("seq") if tables else truth_schema().empty_table()


def read_truth_after(home: Path, endpoint: str, after: int, most: int) -> pa.Table:
    """The first `most` records of truth with seq > after, in the order of receipt: files before them are not read."""
    import pyarrow as pa

    checked_name("endpoint", endpoint)
    tables = steadily(endpoint, lambda: list(_truth_after(home / TRUTH / endpoint, after, most)))
    return pa.concat_tables(tables).sort_by("seq").slice(0, most) if tables else truth_schema().empty_table()


def truth_mark(home: Path, endpoint: str) -> str:
    """See `Serving.truth_mark`: the first seq that is there, and which files were written in place of others."""
    checked_name("endpoint", endpoint)
    folder = home / TRUTH / endpoint
    found = names(folder, PARQUET)
    first = min((_first(name) for name in [*names(folder), *found]), default=0)
    again = " ".join(name for name in found if name.endswith((layout.REWRITTEN, layout.EMPTIED)))
    return f"{first} {zlib.crc32(again.encode()):08x}"


def steadily(endpoint: str, look: Callable[[], Any]) -> Any:
    """What `look` answers. Sealing and compaction remove files meanwhile: then it looks again."""
    for _ in range(TRIES):
        try:
            return look()
        except FileNotFoundError:
            continue
    raise Invalid(f"The log of {endpoint} keeps changing.", "Try again.")


class Reader:
    """One look at the log of an endpoint: rows with bounds[0] <= `by` < bounds[1] (milliseconds or None)."""

    def __init__(
        self, home: Path, endpoint: str, by: str, bounds: tuple[int | None, ...], columns: list[str] | None,
        where: Sequence[Condition] = (),
    ) -> None:  # fmt: skip
        self._endpoint = endpoint
        self._fresh = home / PREDICTIONS / endpoint
        self._archive = layout.archive(home, endpoint)
        self._bounds = bounds if by == "at" else (None, None)
        self._columns = columns
        limits = ((">=", bounds[0]), ("<", bounds[1]))
        within = [Condition(by, sign, (bound,)) for sign, bound in limits if bound is not None]
        self._conditions = (*within, *where)

    def tables(self) -> list[pa.Table]:
        """Every row once. Segments are listed first: what is sealed meanwhile is then seen twice, and left out once."""
        segments, old = names(self._fresh), names(self._fresh, PARQUET)
        days = [day for day in layout.days(self._archive) if self._day_matters(day)]
        sealed = [(day, name) for day in days for name in layout.present(layout.day_folder(self._archive, day))]
        first = min((layout.span(name)[0] if name in old else _first(name) for name in segments + old), default=None)
        covered = {} if first is None else layout.covered(self._archive, sealed, layout.day_of(first))
        tables = [self._sealed(day, name) for day, name in sealed if self._matters(*layout.span(name))]
        for name in old:
            if self._matters(*layout.span(name)):
                table = self._whole(_parquet(self._fresh / name, None, ()))
                tables.append(self._narrowed(layout.without_days(table, covered.get(name, ()))))
        for name in segments:
            found = read(self._fresh / name) if self._matters(_first(name), None) else None
            if found is not None and found[1]:
                table = self._whole(prediction_table(*found).replace_schema_metadata(layout.described()))
                tables.append(self._narrowed(layout.without_days(table, covered.get(name, ()))))
        return [table for table in tables if table.num_rows]

    def _sealed(self, day: str, name: str) -> pa.Table:
        path = layout.day_folder(self._archive, day) / name
        table = self._whole(_parquet(path, self._columns, self._conditions))
        return table if self._columns is None else _chosen(table, self._columns)

    def _whole(self, table: pa.Table) -> pa.Table:
        return completed(table, self._endpoint)

    def _narrowed(self, table: pa.Table) -> pa.Table:
        table = _filtered(table, self._conditions)
        return table if self._columns is None else _chosen(table, self._columns)

    def _day_matters(self, day: str) -> bool:
        start = to_ms(f"{day}T00:00:00Z")
        return self._matters(start, start + layout.DAY_MS - 1)

    def _matters(self, first: int, last: int | None) -> bool:
        since, until = self._bounds
        return (since is None or last is None or last >= since) and (until is None or first < until)


def unified(tables: list[pa.Table]) -> pa.Table:
    """One table of revisions with different inputs; an input that changed its type is shown as text."""
    import pyarrow as pa

    types: dict[str, pa.DataType] = {}
    mixed: set[str] = set()
    for field in (field for table in tables for field in table.schema):
        known = types.setdefault(field.name, field.type)
        if known != field.type:
            numbers = pa.types.is_integer(known) or pa.types.is_floating(known)
            if numbers and (pa.types.is_integer(field.type) or pa.types.is_floating(field.type)):
                types[field.name] = pa.float64()
            else:
                mixed.add(field.name)
    types |= dict.fromkeys(mixed, pa.string())
    schema = pa.schema([(name, type_) for name, type_ in types.items()])
    return pa.concat_tables([shaped(table, schema) for table in tables])


def shaped(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """A table with exactly these columns; one that it lacks is null."""
    import pyarrow as pa

    columns = [
        table[field.name].cast(field.type, safe=False)
        if field.name in table.column_names
        else pa.nulls(table.num_rows, field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def _first(name: str) -> int:
    """The first millisecond of a segment, by its name."""
    return int(name.split("-")[0])


def _parquet(path: Path, columns: Sequence[str] | None, conditions: Sequence[Condition]) -> pa.Table:
    """A sealed file: only these columns of it, only row groups that may hold what the conditions ask."""
    import pyarrow.dataset as ds

    opened = ds.dataset(path, format="parquet", partitioning=None)
    wanted = expression(conditions, opened.schema)
    if wanted is False:
        return opened.schema.empty_table()
    there = None if columns is None else [name for name in columns if name in opened.schema.names]
    return opened.to_table(columns=there, filter=wanted).replace_schema_metadata(opened.schema.metadata)


def _filtered(table: pa.Table, conditions: Sequence[Condition]) -> pa.Table:
    wanted = expression(conditions, table.schema)
    return table if wanted is None else table.slice(0, 0) if wanted is False else table.filter(wanted)


def _chosen(table: pa.Table, columns: Sequence[str]) -> pa.Table:
    return table.select([name for name in columns if name in table.column_names])


def _truth_now(folder: Path) -> list[pa.Table]:
    import pyarrow.parquet as pq

    segments, sealed = names(folder), layout.present(folder)
    first = min((_first(name) for name in segments), default=None)
    later = [name for name in sealed if first is not None and layout.span(name)[1] >= first]
    within = {each for name in later for each in layout.listed(layout.footer(folder / name), layout.SOURCES)}
    read_all = (pq.read_table(folder / name, partitioning=None).replace_schema_metadata() for name in sealed)
    tables = [completed_truth(table) for table in read_all]
    for name in segments:
        found = None if name in within else read(folder / name)
        if found is not None and found[1]:
            tables.append(truth_table(*found))
    return [table for table in tables if table.num_rows]


def _truth_after(folder: Path, after: int, most: int) -> Iterator[pa.Table]:
    """Sources in the order of their first seq, until they hold enough. What is sealed meanwhile is left out once."""
    import pyarrow.compute as pc

    segments, sealed = names(folder), layout.present(folder)
    ends = [_first(name) - 1 for name in segments[1:]] + [None] * bool(segments)
    waiting = [(layout.span(name)[0], name) for name in sealed if layout.span(name)[1] > after]
    first = min((_first(name) for name in segments), default=None)
    later = [name for name in sealed if first is not None and layout.span(name)[1] >= first]
    within = {each for name in later for each in layout.listed(layout.footer(folder / name), layout.SOURCES)}
    open_ones = zip(segments, ends, strict=True)
    waiting += [(_first(n), n) for n, end in open_ones if n not in within and (end is None or end > after)]
    rows = 0
    for _, name in sorted(waiting):
        if rows >= most:
            return
        if name.endswith(PARQUET):
            tables = _row_groups(folder / name, after)
        else:
            found = read(folder / name)
            tables = iter([truth_table(*found)] if found is not None and found[1] else [])
        for table in tables:
            new = completed_truth(table.filter(pc.greater(table["seq"], after)))
            rows += len(new)
            yield new
            if rows >= most:
                return


def _row_groups(path: Path, after: int) -> Iterator[pa.Table]:
    """The row groups of a sealed file of truth that reach beyond a seq, in order."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as opened:
        place = opened.schema_arrow.get_field_index("seq")
        for group in range(opened.num_row_groups):
            found = opened.metadata.row_group(group).column(place).statistics
            if found is None or not found.has_min_max or found.max > after:
                yield opened.read_row_group(group).replace_schema_metadata()
