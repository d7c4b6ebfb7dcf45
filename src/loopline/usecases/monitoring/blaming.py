"""What explains a drop: segments, versions, features and data. Imports numpy when it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from loopline.core.errors import LooplineError, NotFound
from loopline.core.times import from_text, to_ms, to_text
from loopline.usecases.monitoring.model import Alert, MonitorConfig, Summary, Window
from loopline.usecases.monitoring.model.blame.results import Blame, BlamedData
from loopline.usecases.monitoring.needs import Registry, Serving

if TYPE_CHECKING:
    import pyarrow as pa

MOST_ROWS = 100_000  # of each window; more are drawn from
REFERENCE = {"hour": 168, "day": 28, "week": 4, "month": 2}


@dataclass(frozen=True)
class Question:
    """Which stretches are compared, and why. Bounds are ISO 8601."""

    endpoint: str
    cause: str
    metric: str
    column: str
    limit: float | None
    then: tuple[str, str]
    now: tuple[str, str]
    alert: str = ""


@dataclass(frozen=True)
class Blaming:
    """Reads the logs of two stretches of time and says what explains the change between them."""

    serving: Serving
    registry: Registry
    datasets: Any
    config: MonitorConfig
    windows: Sequence[Window]
    alerts: Sequence[Alert]
    summary: Summary

    def of_alert(self, alert: Alert) -> Question:
        """What an alert asks: its windows against the last good ones before them."""
        metric, column = self._metric(alert)
        now = (alert.first_window, self._end(alert.last_window))
        return Question(
            alert.endpoint, alert.cause, metric, column, alert.limit, self._before(alert.first_window), now, alert.id
        )

    def of_windows(self, endpoint: str, window: str, against: str, metric: str = "") -> Question:
        """One window against another (by their starts); '' are the newest complete one, and the good ones before."""
        ended = [one for one in self.windows if one.complete] or list(self.windows)
        if not ended:
            raise NotFound(f"Endpoint {endpoint!r} has no window yet.", "It has after its first predictions.")
        start = to_text(from_text(window)) if window else ended[-1].start
        end = self._end(start)
        then = (
            self._before(start)
            if not against
            else (to_text(from_text(against)), self._end(to_text(from_text(against))))
        )
        return Question(endpoint, "performance", metric or self.summary.metric, "", None, then, (start, end))

    def answer(self, asked: Question) -> Blame:
        """Everything that can be said. NotFound where a stretch has no predictions."""
        from loopline.usecases.monitoring.model.blame.answering import answered

        then, now = self._rows(asked.then), self._rows(asked.now)
        for rows, (start, end) in ((then, asked.then), (now, asked.now)):
            if not len(rows):
                raise NotFound(
                    f"Endpoint {asked.endpoint!r} has no predictions from {start[:10]} to {end[:10]}.",
                    "`loopline monitor` lists the windows that it has.",
                )
        sampled = max(len(then), len(now)) > MOST_ROWS
        found = answered(asked, _drawn(then), _drawn(now), self._truth(asked), self.config)
        found = msgspec.structs.replace(found, sampled=sampled, data=self._data(found))
        from loopline.usecases.monitoring.model.blame.words import sentences

        return msgspec.structs.replace(found, sentences=sentences(found))

    def _metric(self, alert: Alert) -> tuple[str, str]:
        """The metric that the alert is about, and the column where it is about one."""
        told = alert.details.get("metric") or alert.details.get("column") or ""
        if alert.cause in ("latency", "errors"):
            return {"latency": "slow_share", "errors": "error_share"}[alert.cause], ""
        if alert.cause == "data_quality":
            return "missing_share", str(alert.details.get("column") or self._worst_column(alert))
        if alert.cause == "performance":
            return str(alert.details.get("metric") or self._judged(alert)), ""
        return "predicted_mean", str(told) if alert.cause == "drift" else ""

    def _judged(self, alert: Alert) -> str:
        """The metric with the alert's value, among those that have a limit."""
        same = [
            name
            for one in self.windows_of_versions(alert)
            for name in self.summary.limits
            if alert.value is not None and one.metrics.get(name) == alert.value
        ]
        return same[0] if same else self.summary.metric

    def windows_of_versions(self, alert: Alert) -> list[Window]:
        """The windows that the alert may have been judged on."""
        return [one for one in self.windows if one.start == alert.last_window]

    def _worst_column(self, alert: Alert) -> str:
        shares = [one.quality.get("missing", {}) for one in self.windows_of_versions(alert) if one.column == ""]
        named = sorted(((share, name) for found in shares for name, share in found.items()), reverse=True)
        return named[0][1] if named else ""

    def _before(self, start: str) -> tuple[str, str]:
        """The last good windows before one: complete, and not within an alert, unless it was judged false."""
        bad = [one for one in self.alerts if one.verdict != "false"]
        whole = [one for one in self.windows if one.column == "" and one.complete and one.start < start]
        good = [one for one in whole if not any(a.first_window <= one.start <= a.last_window for a in bad)]
        chosen = (good or whole)[-REFERENCE[self.config.window] :]
        if not chosen:
            raise NotFound(
                f"There is no window before {start[:10]} to compare with.", "Name one with `--against`, later on."
            )
        return chosen[0].start, chosen[-1].end

    def _end(self, start: str) -> str:
        found = [one.end for one in self.windows if one.column == "" and one.start == start]
        if not found:
            raise NotFound(f"There is no window {start}.", "`loopline monitor` lists the windows.")
        return found[0]

    def _rows(self, bounds: tuple[str, str]) -> pa.Table:
        start, end = bounds
        rows = self.serving.read_predictions(self.summary.endpoint, start, end, "event_time")
        known = sum(one.predictions for one in self.windows if one.column == "" and start <= one.start < end)
        if len(rows) < known:  # some have no event time of their own: they are placed by when they were asked
            rows = _within(self.serving.read_predictions(self.summary.endpoint), to_ms(start), to_ms(end))
        return rows

    def _truth(self, asked: Question) -> Callable[[Any], Any]:
        """What joins truth to rows; the log of truth is read once, and only where the metric needs it."""
        held: list[Any] = []

        def join(rows: pa.Table) -> Any:
            from loopline.usecases.monitoring.model.truth import joined

            if not held:
                held.append(self.serving.read_truth(asked.endpoint))
            return joined(rows, held[0]).value

        return join

    def _data(self, found: Blame) -> tuple[BlamedData, ...]:
        """The snapshots behind the versions that answered, each against that of the version before."""
        told: list[BlamedData] = []
        before: dict[str, tuple[int, Any]] = {}
        for one in sorted(found.versions, key=lambda version: version.version):
            for dataset, digest in self._snapshots(one.model, one.version):
                snapshot = self._snapshot(digest)
                if snapshot is None:
                    continue
                last = before.get(dataset)
                told.append(compared(one.version, dataset, snapshot, last))
                before[dataset] = (one.version, snapshot)
        return tuple(told)

    def _snapshots(self, model: str, version: int) -> list[tuple[str, str]]:
        try:
            metadata = getattr(self.registry.version(model, version), "metadata", {})
        except LooplineError:
            return []
        named = metadata.get("snapshots") or {}
        pairs = named.items() if isinstance(named, Mapping) else [("", digest) for digest in named]
        return [
            (str(name), str(digest))
            for name, value in pairs
            for digest in ([value] if isinstance(value, str) else value if isinstance(value, list) else [])
        ]

    def _snapshot(self, digest: str) -> Any:
        try:
            return None if self.datasets is None else self.datasets.get(digest)
        except LooplineError:
            return None


def compared(version: int, dataset: str, snapshot: Any, last: tuple[int, Any] | None) -> BlamedData:
    """One snapshot against the one behind the version before: batches that came, went or changed."""
    name = dataset or str(getattr(snapshot, "dataset", ""))
    if last is None or last[1].digest == snapshot.digest:
        same = "" if last is None else f"Versions {last[0]} and {version} were trained on the same snapshot of {name}."
        return BlamedData(version=version, dataset=name, digest=snapshot.digest, rows=snapshot.rows, told=same)
    mine, theirs = ({part.name: part for part in one.parts} for one in (snapshot, last[1]))
    gone = sorted(theirs.keys() - mine.keys())
    changed = sorted(name for name in mine.keys() & theirs.keys() if mine[name].digest != theirs[name].digest)
    fresh = sorted(mine.keys() - theirs.keys())
    usual = sorted(part.rows for part in theirs.values())[len(theirs) // 2] if theirs else 0
    short = [part for part in (mine[one] for one in fresh) if part.rows < usual / 2]
    parts = [f"{len(fresh)} new batches"] * bool(fresh) + [f"{len(gone)} no longer there ({gone[0]})" for _ in gone[:1]]
    parts += [f"{len(changed)} changed ({changed[0]})" for _ in changed[:1]]
    parts += [f"{one.name} holds {one.rows:,} rows where {usual:,} are usual" for one in short[:2]]
    told = f"Version {version} was trained on {snapshot.rows:,} rows of {name}, version {last[0]} on {last[1].rows:,}: "
    return BlamedData(
        version=version,
        dataset=name,
        digest=snapshot.digest,
        rows=snapshot.rows,
        before=last[1].digest,
        rows_before=last[1].rows,
        told=told + (", ".join(parts) or "the same batches") + ".",
    )


def top(found: Blame, most: int = 3) -> dict[str, Any]:
    """What is kept with an alert: the first sentences and parts."""
    parts = [{"segment": one.segment, "share": round(one.share, 4), "by": one.by} for one in found.parts[:most]]
    features = [{"name": one.name, "weight": round(one.weight, 4)} for one in found.features[:most] if one.weight > 0]
    return {
        "change": found.change,
        "sentences": list(found.sentences[: most + 1]),
        "parts": parts,
        "features": features,
    }


def _drawn(rows: pa.Table) -> pa.Table:
    """At most MOST_ROWS of them, the same each time."""
    if len(rows) <= MOST_ROWS:
        return rows
    import numpy as np

    places = np.sort(np.random.default_rng(0).choice(len(rows), MOST_ROWS, replace=False))
    return rows.take(places)


def _within(rows: pa.Table, start_ms: int, end_ms: int) -> pa.Table:
    """The predictions whose event time lies in a stretch."""
    import pyarrow as pa

    from loopline.usecases.monitoring.books.reading import event_times

    times = event_times(rows)
    return rows.filter(pa.array((times >= start_ms) & (times < end_ms)))
