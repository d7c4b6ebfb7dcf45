"""The list of all monitored models, read from what evaluations stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from loopline.core.errors import Invalid
from loopline.core.times import to_ms
from loopline.ports.clock import Clock
from loopline.ports.database import Database, Transaction
from loopline.usecases.monitoring.model.fleet import (
    STATES,
    Fleet,
    FleetEstimate,
    FleetMetric,
    FleetRow,
    Newest,
    Trouble,
    ordered,
    shown_estimate,
    shown_metrics,
    state_of,
)
from loopline.usecases.monitoring.needs import Projects
from loopline.usecases.monitoring.store import fleet as store

LARGEST_PAGE = 100
Course = Sequence[tuple[bool, Mapping[str, float]]]


def fleet(
    database: Database, projects: Projects, clock: Clock, search: str = "", state: str = "", page: int = 1,
    size: int = LARGEST_PAGE, endpoint: str = "",
) -> Fleet:  # fmt: skip
    """A page of all models, who needs a look first. `search` is words that stand in a row's names;
    `endpoint` leaves only that one."""
    if state and state not in STATES:
        raise Invalid(f"{state!r} is no state of a model.", f"Use one of {', '.join(STATES)}.")
    critical, now_ms = critical_metrics(projects), to_ms(clock.text())

    def work(tx: Transaction) -> Fleet:
        troubles, estimates = store.troubles(tx), store.estimates(tx, endpoint)
        newest = store.newest(tx, endpoint)
        rows = [_row(one, critical.get(one.summary.endpoint, ()), troubles, estimates, now_ms) for one in newest]
        found = [row for row in rows if matches(row, search)]
        chosen = ordered([row for row in found if not state or row.state == state])
        pages = max(1, -(-len(chosen) // size))
        place = min(max(page, 1), pages)
        shown = chosen[(place - 1) * size : place * size]
        courses = store.courses(tx, [row.endpoint for row in shown])
        return Fleet(
            total=len(rows),
            found=len(chosen),
            counts={word: sum(row.state == word for row in found) for word in STATES},
            page=place,
            pages=pages,
            rows=[_with_course(row, courses.get(row.endpoint, ())) for row in shown],
        )

    return database.read(work)


def critical_metrics(projects: Projects) -> dict[str, list[str]]:
    """The metrics that projects call critical, by endpoint."""
    found: dict[str, list[str]] = {}
    for project in projects.projects():
        names = list(project.config.get("critical_metrics") or ())
        for monitor in (project.config.get("monitors") or {}).values():
            found[monitor["endpoint"]] = names
    return found


def matches(row: FleetRow, search: str) -> bool:
    """Whether all words of a search stand in a row's names, causes or state."""
    text = " ".join((row.endpoint, row.model, row.state, *row.causes, *(metric.name for metric in row.metrics))).lower()
    return all(word in text for word in search.lower().split())


def _row(
    newest: Newest, critical: Sequence[str], troubles: Mapping[str, Trouble], estimates: Mapping[str, Sequence[FleetEstimate]],
    now_ms: int,
) -> FleetRow:  # fmt: skip
    summary = newest.summary
    trouble = troubles.get(summary.endpoint, Trouble())
    metrics = [_metric(name, newest) for name in shown_metrics(summary, critical, newest.metrics)]
    estimate = shown_estimate(summary, metrics, estimates.get(summary.endpoint, ()))
    state, why = state_of(newest, trouble, metrics, estimate, now_ms)
    return FleetRow(
        endpoint=summary.endpoint,
        model=summary.model,
        version=summary.version,
        state=state,
        why=why,
        window=summary.window,
        metrics=metrics,
        estimate=estimate,
        alerts=trouble.count,
        causes=list(trouble.causes),
        since=trouble.since,
        predictions=summary.predictions,
        labelled=summary.labelled,
        watermark=summary.watermark,
        mature_until=summary.mature_until,
        evaluated_at=newest.evaluated_at,
    )


def _metric(name: str, newest: Newest) -> FleetMetric:
    known = newest.metrics
    return FleetMetric(
        name=name,
        value=known.get(name),
        low=known.get(f"{name}_low"),
        high=known.get(f"{name}_high"),
        limit=newest.summary.limits.get(name),
    )


def _with_course(row: FleetRow, course: Course) -> FleetRow:
    provisional = next((place for place, (mature, _) in enumerate(reversed(course)) if mature), len(course))
    metrics = [
        msgspec.structs.replace(metric, points=[known.get(metric.name) for _, known in course], provisional=provisional)
        for metric in row.metrics
    ]
    return msgspec.structs.replace(row, metrics=metrics)
