"""From a table to its profile, and from two profiles to one. Imports numpy: import it only where profiles are made."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from loopline.core.errors import Invalid
from loopline.core.tables import Column, Signature
from loopline.core.times import from_ms
from loopline.usecases.monitoring.model.arrays import floats_of, milliseconds, period_of
from loopline.usecases.monitoring.model.cells import CELLS, centre_and_scale, counted, packed, unpacked
from loopline.usecases.monitoring.model.profile import (
    MOST_VALUES,
    CategoricalColumn,
    NumericColumn,
    Profile,
    ProfiledColumn,
    Usual,
)

if TYPE_CHECKING:
    import pyarrow as pa

MOST_PERIODS = 100
PREDICTION = Column("prediction", "float", nullable=True)


def profile(table: pa.Table, signature: Signature, like: Profile | None = None, event_time: str = "") -> Profile:
    """Profile the signature's inputs (and a column `prediction` when it is there).

    `like` fixes centre and scale, so that both profiles can be compared and merged. With `event_time` (a timestamp
    column) the profile also says how much the table's own days and weeks differ. Invalid for a missing column or one of
    another type.
    """
    wanted = _columns(table, signature)
    found = tuple(_profiled(table, column, like) for column in wanted)
    usual: dict[str, Usual] = {}
    if event_time and event_time in table.column_names:
        times = milliseconds(table[event_time])
        usual = {window: _usual(table, found, times, window) for window in ("day", "week")}
    return Profile(rows=len(table), columns=found, usual={name: law for name, law in usual.items() if law.rows})


def merged(one: Profile, other: Profile) -> Profile:
    """The profile of both tables together (without `usual`). Invalid when columns or cells differ."""
    if [c.name for c in one.columns] != [c.name for c in other.columns]:
        raise Invalid("These profiles are of different columns and cannot be merged.")
    columns = tuple(_merged(a, b) for a, b in zip(one.columns, other.columns, strict=True))
    return Profile(rows=one.rows + other.rows, columns=columns)


def _columns(table: pa.Table, signature: Signature) -> list[Column]:
    missing = [column.name for column in signature.inputs if column.name not in table.column_names]
    if missing:
        raise Invalid(f"The table has no column {missing[0]!r}, which the model takes.")
    names = {column.name for column in signature.inputs}
    extra = [PREDICTION] if PREDICTION.name in table.column_names and PREDICTION.name not in names else []
    return [*signature.inputs, *extra]


def _profiled(table: pa.Table, column: Column, like: Profile | None) -> ProfiledColumn:
    before = None if like is None else like.column(column.name)
    if column.type in ("string", "boolean"):
        return _categorical(table[column.name], column.name)
    return _numeric(floats_of(table[column.name]), column.name, before)


def _numeric(values: NDArray[np.float64], name: str, before: ProfiledColumn | None) -> NumericColumn:
    finite = values if np.isfinite(values.sum()) else values[np.isfinite(values)]
    missing = int(np.isnan(values).sum()) if len(finite) < len(values) else 0
    if isinstance(before, NumericColumn):
        centre, scale = before.centre, before.scale
    else:
        centre, scale = centre_and_scale(finite)
    return NumericColumn(
        name=name,
        rows=len(values),
        missing=missing,
        infinite=len(values) - len(finite) - missing,
        centre=centre,
        scale=scale,
        low=float(finite.min()) if len(finite) else None,
        high=float(finite.max()) if len(finite) else None,
        total=float(finite.sum()),
        cells=packed(counted(finite, centre, scale)),
    )


def _categorical(column: Any, name: str) -> CategoricalColumn:
    counts = column.cast("string").drop_null().value_counts()
    texts, numbers = counts.field("values").to_pylist(), counts.field("counts").to_pylist()
    return _folded(name, len(column), column.null_count, dict(zip(texts, numbers, strict=True)), 0, 0)


def _folded(name: str, rows: int, missing: int, values: dict[str, int], others: int, folded: int) -> CategoricalColumn:
    ordered = sorted(values.items(), key=lambda pair: (-pair[1], pair[0]))
    rest = ordered[MOST_VALUES:]
    return CategoricalColumn(
        name=name,
        rows=rows,
        missing=missing,
        values=dict(ordered[:MOST_VALUES]),
        others=others + sum(count for _, count in rest),
        folded=folded + len(rest),
    )


def _merged(one: ProfiledColumn, other: ProfiledColumn) -> ProfiledColumn:
    if isinstance(one, CategoricalColumn) and isinstance(other, CategoricalColumn):
        values = dict(one.values)
        for text, count in other.values.items():
            values[text] = values.get(text, 0) + count
        rows, missing = one.rows + other.rows, one.missing + other.missing
        return _folded(one.name, rows, missing, values, one.others + other.others, one.folded + other.folded)
    if not isinstance(one, NumericColumn) or not isinstance(other, NumericColumn):
        raise Invalid(f"The column {one.name!r} has different types in these profiles.")
    if (one.centre, one.scale) != (other.centre, other.scale):
        raise Invalid(f"The cells of {one.name!r} differ in these profiles.", "Profile both like the first.")
    lows = [column.low for column in (one, other) if column.low is not None]
    highs = [column.high for column in (one, other) if column.high is not None]
    return NumericColumn(
        name=one.name,
        rows=one.rows + other.rows,
        missing=one.missing + other.missing,
        infinite=one.infinite + other.infinite,
        centre=one.centre,
        scale=one.scale,
        low=min(lows, default=None),
        high=max(highs, default=None),
        total=one.total + other.total,
        cells=packed(full_counts([one, other])),
    )


def full_counts(columns: Iterable[NumericColumn]) -> NDArray[np.int64]:
    """The counts of all CELLS cells, summed over columns."""
    counts = np.zeros(CELLS, dtype=np.int64)
    for column in columns:
        cells, numbers = unpacked(column.cells)
        counts[cells] += numbers
    return counts


def _usual(table: pa.Table, columns: tuple[ProfiledColumn, ...], times: NDArray[np.int64], window: str) -> Usual:
    from loopline.usecases.monitoring.model.drift import distances_by_period

    starts, codes, rows = np.unique(period_of(times, window), return_inverse=True, return_counts=True)
    if len(starts) < 4:
        return Usual([], [], {})
    # Periods with few rows (a first or last partial one) say more about chance than about days: they are left out.
    kept = np.flatnonzero(rows >= 0.3 * np.median(rows))[-MOST_PERIODS:]
    found = {column.name: distances_by_period(table[column.name], column, codes, len(starts)) for column in columns}
    return Usual(
        [from_ms(int(start)) for start in starts[kept]],
        [int(count) for count in rows[kept]],
        {name: {key: np.round(v[kept], 7).tolist() for key, v in law.items()} for name, law in found.items()},
    )
