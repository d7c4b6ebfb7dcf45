"""Drift of an endpoint's windows: judged when they are complete, and reported for any of them. numpy comes with the first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loopline.core.errors import NotFound
from loopline.ports.database import Transaction
from loopline.usecases.monitoring.model.alerts import Finding
from loopline.usecases.monitoring.model.config import MonitorConfig
from loopline.usecases.monitoring.model.drifts.reports import DriftCell, DriftReport
from loopline.usecases.monitoring.model.looking import Book, Describe, Look
from loopline.usecases.monitoring.model.windows import Window
from loopline.usecases.monitoring.profiling import profile_in as profile_in
from loopline.usecases.monitoring.store import drift as store

if TYPE_CHECKING:
    from loopline.usecases.monitoring.model.drifts.sources import Source

Cells = Mapping[str, Mapping[str, DriftCell]]
CAUSE = "drift"
MOST_COLUMNS = 5


@dataclass(frozen=True)
class Drifts:
    """What a look at drift found. `judged` is how many windows were new or had changed."""

    endpoint: str
    findings: Sequence[Finding]
    changed: Sequence[DriftCell]
    gone: Sequence[tuple[str, str]]
    judged: int = 0

    def keep(self, tx: Transaction, at: str) -> None:
        """Write what is new, in the transaction of the evaluation."""
        store.drop_cells(tx, self.endpoint, self.gone)
        store.put_cells(tx, self.endpoint, self.changed, at)


def look(look: Look) -> Drifts:
    """Judge the complete windows that are new or changed. Findings only where the monitor's rules ask for alerts."""
    from loopline.usecases.monitoring.model.drifts import watching

    stored = watching.by_start(look.read(lambda tx: store.cells(tx, look.endpoint)))
    source = _source(look.book, look.config, look.live[0], look.windows, look.describe, look.rows)
    found = watching.watched(source, stored)
    kept = {(start, name) for start, cells in found.cells.items() for name in cells}
    gone = [(start, name) for start, cells in stored.items() for name in cells if (start, name) not in kept]
    return Drifts(
        endpoint=look.endpoint,
        findings=findings(found.cells, look.config, source.version_of) if look.config.drift.alert else (),
        changed=list(watching.changed(found.cells, stored)),
        gone=gone,
        judged=found.judged,
    )


def findings(cells: Cells, config: MonitorConfig, version_of: Mapping[str, int | None]) -> list[Finding]:
    """What each judged window says, oldest first: wrong once `consecutive` windows in a row were unusual."""
    found: list[Finding] = []
    run: list[str] = []
    for start, columns in cells.items():
        whole = columns[""]
        run = [*run, start] if whole.alarm else []
        state: Any = "well" if not run else "wrong" if len(run) >= config.consecutive else "wait"
        found.append(
            Finding(
                cause=CAUSE,
                state=state,
                first_window=run[0] if run else start,
                window=start,
                version=version_of.get(start),
                value=whole.p_value,
                limit=config.drift.false_alarms,
                message=_message(whole, config),
                details=_details(columns) if run else {},
            )
        )
    return found


def _message(whole: DriftCell, config: MonitorConfig) -> str:
    words = f"the {config.window} of {whole.start[:10]}"
    chance = "" if whole.p_value is None else f", p = {whole.p_value:.2g}"
    evidence = "" if whole.e_value is None or whole.e_value < 1 else f", e = {whole.e_value:.3g}"
    if not whole.alarm:
        return f"{words} is like {whole.reference}{chance}"
    return f"{words} differs from {whole.reference}: {whole.change}{chance}{evidence}"


def _details(columns: Mapping[str, DriftCell]) -> dict[str, Any]:
    loud = [cell for name, cell in columns.items() if name and cell.alarm]
    loud.sort(key=lambda cell: (cell.p_value if cell.p_value is not None else 1.0, -(cell.e_value or 0.0)))
    told = ("column", "kind", "direction", "effect", "unit", "change", "p_value", "e_value", "since")
    return {
        "reference": columns[""].reference,
        "e_value": columns[""].e_value,
        "since": columns[""].since,
        "columns": [{name: getattr(cell, name) for name in told} for cell in loud[:MOST_COLUMNS]],
    }


def report(
    book: Book, config: MonitorConfig, model: str, windows: Sequence[Window], window: Window, describe: Describe,
    read: Callable[[Callable[[Transaction], Any]], Any], endpoint: str,
) -> DriftReport:  # fmt: skip
    """The whole report of one window, with what is kept of its evidence. `windows` are all of the endpoint, whole ones and
    those by version. NotFound where there is nothing to compare it with."""
    from loopline.usecases.monitoring.model.drifts import watching

    source = _source(book, config, model, windows, describe)
    found = watching.judged_window(source, window)
    if found is None:
        version = source.version_of.get(window.start)
        raise NotFound(
            f"Version {version} of {model!r} was registered without a training profile, and there are too few windows"
            f" before {window.start[:10]} to compare with.",
            "Register versions with the rows that they were trained on, so that live data can be compared.",
        )
    kept = watching.by_start(read(lambda tx: store.cells_between(tx, endpoint, window.start, window.start + "~")))
    return watching.with_evidence(found, kept.get(window.start, {}))


def history(
    read: Callable[[Callable[[Transaction], Any]], Any], endpoint: str, since: str, until: str
) -> list[DriftCell]:
    """Judged windows by start and column."""
    found: list[DriftCell] = read(lambda tx: store.cells_between(tx, endpoint, since, until))
    return found


def _source(
    book: Book, config: MonitorConfig, model: str, windows: Sequence[Window], describe: Describe,
    rows: Any = None,
) -> Source:  # fmt: skip
    from loopline.usecases.monitoring.model.drifts.sources import Source

    whole = sorted((window for window in windows if window.column == ""), key=lambda window: window.start)
    version_of: dict[str, int | None] = {window.start: None for window in whole}
    for window in windows:
        if window.column == "version" and window.value.isdigit():
            version_of[window.start] = max(version_of.get(window.start) or 0, int(window.value))
    return Source(book, config, model, whole, version_of, describe, rows)
