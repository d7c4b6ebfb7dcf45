"""What a drift report says. Only the types are here, without numpy."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

MULTIVARIATE = "rows as a whole"


class ColumnDrift(msgspec.Struct, frozen=True, kw_only=True):
    """One column then (the reference) and now (the window).

    `kind` is input, prediction, label or rows (all inputs together, told apart by a classifier).

    `p_value`: how often a normal window would show a column as unusual as this, over all its statistics; None where the
    reference has no periods to know that from. `p_values` has each statistic's own (1 within the tolerance). `e_value`: the evidence of a lasting
    change beyond the tolerance that the windows so far have gathered; of a normal column it reaches E once in E windows
    or more seldom, however often one looks. None where it is not gathered.

    `effect` in plain units: for numbers the difference of means in the column's own unit (`unit` "") or in shares of rows
    (`unit` "share"); `effect_sd` the same in standard deviations of the reference. `tolerance` is as far as it may move.
    `direction` is one word or two: higher, lower, wider, narrower, more missing, fewer missing, new values, other mix, …
    `change` says it in a sentence. `alarm` where this column is among those that make the report unusual; `since` is
    the first window of the present run of such windows.

    `scores`: of each statistic with a sign how many standard errors it moved, and how many of them it may (the
    tolerance, 0.03 standard deviations without one). `strongest` is the statistic with the smallest p-value. `times_usual` compares it with what single periods of the
    reference show (1: as much). `bins` are edges (numbers) or values (text) with the shares then and now, for drawing.
    """

    name: str
    type: str
    statistics: dict[str, float]
    strongest: str
    times_usual: float | None
    change: str
    missing_then: float
    missing_now: float
    bins: list[float | str]
    shares_then: list[float]
    shares_now: list[float]
    kind: str = "input"
    p_value: float | None = None
    p_values: dict[str, float] = {}
    e_value: float | None = None
    effect: float = 0.0
    effect_sd: float | None = None
    unit: str = ""
    direction: str = ""
    tolerance: float | None = None
    alarm: bool = False
    since: str = ""
    scores: dict[str, tuple[float, float]] = {}


class DriftReport(msgspec.Struct, frozen=True, kw_only=True):
    """All columns of one window, the most unusual first.

    `p_value`: how often a normal window would have a column as unusual as the most unusual one here; `alarm` where that is
    at most `false_alarms`, or a column's e-value is at least the number of columns over `false_alarms`. `reference` says
    in words what was compared with, `periods` how many of its own periods tell what is normal. `window` is "hour", "day",
    "week" or "month", `start` its first moment, `version` the one that served it last.
    """

    version: int
    window: str
    start: str
    rows_then: int
    rows_now: int
    periods: int
    p_value: float | None
    columns: list[ColumnDrift]
    end: str = ""
    reference: str = ""
    e_value: float | None = None
    alarm: bool = False
    false_alarms: float = 0.01
    since: str = ""


class DriftCell(msgspec.Struct, frozen=True, kw_only=True):
    """One column of one window, as it was judged when the window was complete; `column` '' is the whole report.

    Fields as in ColumnDrift and DriftReport; `fingerprint` names what it was made of.
    """

    start: str
    end: str
    column: str
    kind: str
    p_value: float | None
    e_value: float | None
    effect: float | None
    unit: str
    direction: str
    change: str
    alarm: bool
    statistics: dict[str, float] = {}
    p_values: dict[str, float] = {}
    scores: dict[str, tuple[float, float]] = {}
    reference: str = ""
    since: str = ""
    fingerprint: str = ""


class DriftLine(msgspec.Struct, frozen=True, kw_only=True):
    """One column over time; each list is as long as `starts`, with None where the column was not judged."""

    column: str
    kind: str
    p_values: list[float | None]
    e_values: list[float | None]
    effects: list[float | None]
    directions: list[str]
    changes: list[str]
    alarms: list[bool]
    unit: str = ""


class DriftHistory(msgspec.Struct, frozen=True, kw_only=True):
    """All columns over the judged windows, those that alarmed most often first: what a heat map draws. `p_values`,
    `e_values`, `alarms` and `references` are those of the whole reports."""

    endpoint: str
    starts: list[str]
    ends: list[str]
    p_values: list[float | None]
    e_values: list[float | None]
    alarms: list[bool]
    references: list[str]
    columns: list[DriftLine]


def history(endpoint: str, cells: Sequence[DriftCell]) -> DriftHistory:
    """The matrix of judged windows."""
    whole = sorted((cell for cell in cells if cell.column == ""), key=lambda cell: cell.start)
    at = {(cell.column, cell.start): cell for cell in cells}
    names = {cell.column: cell.kind for cell in cells if cell.column}
    lines = [_line(name, kind, [at.get((name, cell.start)) for cell in whole]) for name, kind in names.items()]
    lines.sort(key=lambda line: (-sum(line.alarms), min((p for p in line.p_values if p is not None), default=2.0)))
    return DriftHistory(
        endpoint=endpoint,
        starts=[cell.start for cell in whole],
        ends=[cell.end for cell in whole],
        p_values=[cell.p_value for cell in whole],
        e_values=[cell.e_value for cell in whole],
        alarms=[cell.alarm for cell in whole],
        references=[cell.reference for cell in whole],
        columns=lines,
    )


def _line(name: str, kind: str, cells: Sequence[DriftCell | None]) -> DriftLine:
    return DriftLine(
        column=name,
        kind=kind,
        p_values=[cell.p_value if cell else None for cell in cells],
        e_values=[cell.e_value if cell else None for cell in cells],
        effects=[cell.effect if cell else None for cell in cells],
        directions=[cell.direction if cell else "" for cell in cells],
        changes=[cell.change if cell else "" for cell in cells],
        alarms=[bool(cell and cell.alarm) for cell in cells],
        unit=next((cell.unit for cell in reversed(cells) if cell), ""),
    )
