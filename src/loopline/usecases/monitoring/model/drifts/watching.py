"""All complete windows of an endpoint, judged once each, with the evidence that gathers over them. Imports numpy."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from loopline.kit.detectors import Detector, log_calibrated, mixed
from loopline.usecases.monitoring.model.drifts.judging import Rules, judged
from loopline.usecases.monitoring.model.drifts.reports import ColumnDrift, DriftCell, DriftReport
from loopline.usecases.monitoring.model.drifts.sources import LEAST, Source, basis_of, before, parts_of, sample_of
from loopline.usecases.monitoring.model.windows import Window

FORMAT = 1
MOST_ROWS, MOST_SAMPLED = 2000, 12
MAIN, MAIN_WEIGHT = "rank_mean", 0.7
_REST = "chi_square"
TRAINED = "trained on"
Cells = dict[str, DriftCell]


class Watched(NamedTuple):
    """By start of window the cells by column ('' for the report), oldest first."""

    cells: dict[str, Cells]
    judged: int


def rules_of(source: Source) -> Rules:
    """The monitor's rules for judging."""
    drift = source.config.drift
    return Rules(source.config.window, drift.false_alarms, drift.tolerance, drift.columns)


def watched(source: Source, stored: Mapping[str, Cells]) -> Watched:
    """Judge the windows that are new or changed; the others stand in `stored` by start. Evidence is gathered anew over
    all of them, as its steps follow each other."""
    found: dict[str, Cells] = {}
    count = 0
    for window in source.windows:
        if not window.complete or window.predictions < source.config.minimum_rows:
            continue
        mark = fingerprint(source, window)
        known = stored.get(window.start, {})
        if known and known.get("") is not None and known[""].fingerprint == mark:
            found[window.start] = dict(known)
            continue
        count += 1
        cells = cells_of(judged_window(source, window), mark)
        if cells:
            found[window.start] = cells
    return Watched(_since(_gathered(found, source.config.drift.false_alarms)), count)


def judged_window(source: Source, window: Window) -> DriftReport | None:
    """The report of one window; None where there is nothing to compare it with."""
    parts = parts_of(source, window)
    if not parts:
        return None
    version = source.version_of.get(window.start) or 0
    told = _classified(source, window) if source.config.drift.classifier else None
    further = [] if told is None else [told]
    return judged(parts, rules_of(source), window.start, window.end, version, further)


def _classified(source: Source, window: Window) -> ColumnDrift | None:
    """All inputs of samples of rows, told from those of the windows that the rules compare with (with the training
    profile no rows are kept: then of the first windows)."""
    from loopline.usecases.monitoring.model.drifts.classifier import classified

    version = source.version_of.get(window.start)
    signature = source.describe(source.model, version)[0] if version is not None else None
    if signature is None or source.rows is None:
        return None
    names = [column.name for column in signature.inputs]
    used = before(source, window)[-MOST_SAMPLED:]
    if len(used) < LEAST:
        return None
    most = MOST_ROWS // len(used)
    then = [sample_of(source, one, names, most) for one in used]
    return classified(then, sample_of(source, window, names, MOST_ROWS // LEAST), signature)


def fingerprint(source: Source, window: Window) -> str:
    """Differs when the window has to be judged again."""
    rules = repr((FORMAT, source.config.window, msgspec.json.encode(source.config.drift)))
    return f"{zlib.crc32((rules + basis_of(source, window)).encode()):08x}"


def cells_of(report: DriftReport | None, mark: str) -> Cells:
    """What is kept of a report."""
    if report is None:
        return {}
    whole = DriftCell(
        start=report.start, end=report.end, column="", kind="report", p_value=report.p_value, e_value=None, effect=None,
        unit="", direction="", change="", alarm=report.alarm,
        statistics={one.name: one.p_value for one in report.columns if one.alarm and one.p_value is not None},
        reference=report.reference, fingerprint=mark,
    )  # fmt: skip
    return {"": whole} | {
        one.name: DriftCell(
            start=report.start, end=report.end, column=one.name, kind=one.kind, p_value=one.p_value, e_value=None,
            effect=one.effect, unit=one.unit, direction=one.direction, change=one.change, alarm=one.alarm,
            statistics=one.statistics, p_values=one.p_values, scores=one.scores, reference=report.reference,
            fingerprint=mark,
        )
        for one in report.columns
    }  # fmt: skip


def _gathered(found: Mapping[str, Cells], false_alarms: float) -> dict[str, Cells]:
    """The cells with their e-values; a column or report whose evidence is beyond its bound alarms, too."""
    detectors: dict[str, dict[str, Detector]] = {}
    trained, told = "", {}
    for start, cells in found.items():
        whole = cells[""]
        # What training was is another question from now on: evidence against the last one says nothing.
        if TRAINED in whole.reference and whole.reference.split("; ")[0] != trained:
            detectors, trained = {}, whole.reference.split("; ")[0]
        bound = math.log(max(len(cells) - 1, 1) / false_alarms)
        fresh = {
            name: _seen(cell, detectors.setdefault(name, {}), bound, whole) for name, cell in cells.items() if name
        }
        known = [cell.e_value for cell in fresh.values() if cell.e_value is not None]
        told[start] = fresh | {
            "": msgspec.structs.replace(
                whole,
                e_value=float(f"{sum(known) / len(known):.6g}") if known else None,
                alarm=any(cell.alarm for cell in fresh.values()),
                change=_changes(fresh.values()),
            )
        }
    return told


def _seen(cell: DriftCell, detectors: dict[str, Detector], bound: float, whole: DriftCell) -> DriftCell:
    """A column with one more window of evidence. It alarms by its p-value (the report names those that do) or by its
    e-value."""
    log = evidence(detectors, cell, bound)
    e_value = None if log is None else float(f"{math.exp(log):.6g}")
    alarm = cell.column in whole.statistics or (log is not None and log >= bound)
    return msgspec.structs.replace(cell, e_value=e_value, alarm=alarm)


def _changes(cells: Iterable[DriftCell]) -> str:
    loud = sorted((cell for cell in cells if cell.alarm), key=lambda cell: (cell.p_value or 1.0, cell.column))
    return "; ".join(f"{cell.column} {cell.change}" for cell in loud[:3])


def evidence(detectors: dict[str, Detector], cell: DriftCell, bound: float) -> float | None:
    """One more window for a column's detectors; the log of their mixture."""
    names = [*cell.scores, *([_REST] if "chi_square" in cell.p_values and MAIN not in cell.scores else [])]
    if not names:
        return None
    for name in names:
        detector = detectors.setdefault(name, Detector(most=bound + math.log(100)))
        if name == _REST:
            detector.bet([log_calibrated(cell.p_values["chi_square"])])
        else:
            detector.see(*cell.scores[name])
    rest = (1 - MAIN_WEIGHT) / max(len(names) - 1, 1) if MAIN in names or _REST in names else 1 / len(names)
    weights = [MAIN_WEIGHT if name in (MAIN, _REST) else rest for name in names]
    return mixed([detectors[name].log for name in names], weights)


def _since(found: Mapping[str, Cells]) -> dict[str, Cells]:
    """Each cell with the first window of the run of alarms that it belongs to."""
    runs: dict[str, str] = {}
    told: dict[str, Cells] = {}
    for start, cells in found.items():
        for name in {*runs, *cells}:
            if name in cells and cells[name].alarm:
                runs.setdefault(name, start)
            else:
                runs.pop(name, None)
        told[start] = {
            name: msgspec.structs.replace(cell, since=runs.get(name, "")) for name, cell in cells.items()
        }  # fmt: skip
    return told


def by_start(cells: Sequence[DriftCell]) -> dict[str, Cells]:
    """Cells by start and column."""
    found: dict[str, Cells] = {}
    for cell in cells:
        found.setdefault(cell.start, {})[cell.column] = cell
    return found


def changed(cells: Mapping[str, Cells], stored: Mapping[str, Cells]) -> Iterator[DriftCell]:
    """Those that are not stored as they are now."""
    for start, columns in cells.items():
        for name, cell in columns.items():
            if stored.get(start, {}).get(name) != cell:
                yield cell


def with_evidence(report: DriftReport, kept: Mapping[str, DriftCell]) -> DriftReport:
    """The report with e-values, runs and alarms as the judged window has them."""
    if "" not in kept:
        return report
    columns = [
        msgspec.structs.replace(one, e_value=cell.e_value, since=cell.since, alarm=cell.alarm)
        if (cell := kept.get(one.name)) is not None
        else one
        for one in report.columns
    ]
    known = {one.name for one in columns}
    columns += [_told(cell) for name, cell in kept.items() if cell.kind == "rows" and name not in known]
    columns.sort(key=lambda one: not one.alarm)
    whole = kept[""]
    return msgspec.structs.replace(
        report, columns=columns, e_value=whole.e_value, since=whole.since, alarm=whole.alarm
    )  # fmt: skip


def _told(cell: DriftCell) -> ColumnDrift:
    """What the classifier said when the window was judged: its rows are not read again."""
    return ColumnDrift(
        name=cell.column, kind=cell.kind, type="rows", statistics=cell.statistics, strongest="auc", times_usual=None,
        change=cell.change, missing_then=0.0, missing_now=0.0, bins=[], shares_then=[], shares_now=[],
        p_value=cell.p_value, p_values=cell.p_values, effect=cell.effect or 0.0, unit=cell.unit,
        direction=cell.direction, alarm=cell.alarm, since=cell.since,
    )  # fmt: skip
