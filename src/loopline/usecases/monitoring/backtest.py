"""Replaying history: what would have fired under the present or other rules, how soon, and how often for nothing."""

from __future__ import annotations

import contextlib
import math
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec

from loopline.core.errors import Invalid, NotFound
from loopline.core.ids import new_id
from loopline.core.times import from_ms, from_text, to_ms, to_text
from loopline.ports.database import Transaction
from loopline.usecases.monitoring import budgets
from loopline.usecases.monitoring.evaluating import Evaluating, _usual_missing
from loopline.usecases.monitoring.incidents import Incidents
from loopline.usecases.monitoring.model import Alert, Finding, MonitorConfig, Summary, Window, findings, limits_of
from loopline.usecases.monitoring.model.budget.plants import Plant, plant_in
from loopline.usecases.monitoring.model.budget.results import QUARTER_DAYS, Backtest, Change, Choice, Fired
from loopline.usecases.monitoring.replaying import Replayed
from loopline.usecases.monitoring.store import alerts as alert_store

MOST_PLANTS, MOST_CHOICES = 20, 24
DAY_MS, HOUR_MS = 86_400_000, 3_600_000


class Undone(Exception):
    """Takes back what a replay wrote."""


class Nowhere:
    """A ledger that forgets; its numbers lie beyond all that a real one gives."""

    def __init__(self) -> None:
        self._seq = 1 << 61

    def append(self, tx: Transaction, kind: str, subject: str, actor: str, body: Mapping[str, Any]) -> Any:
        self._seq += 1
        return SimpleNamespace(seq=self._seq)


@dataclass(frozen=True)
class Outcome:
    """One replay."""

    fired: list[Fired]
    windows: list[Window]
    limits: dict[str, float]


class Replay(Evaluating):
    """One pass over replayed logs under one set of rules. Nothing of it stays: its book lies in a folder for the moment,
    its alerts in a transaction that is taken back."""

    def __init__(
        self, owner: Any, config: MonitorConfig, logs: Replayed, folder: Path, choices: Sequence[Choice]
    ) -> None:
        self._database, self._clock, self._registry = owner._database, owner._clock, owner._registry
        self._serving = logs
        self._profiles = owner._profiles
        self._home = folder
        self._config = config
        self._choices = choices
        self._incidents = Incidents(Nowhere())
        self.rules = lambda endpoint: config
        self._name = f"backtest-{new_id()[:12].lower()}"

    def run(self, alerts: Sequence[Alert]) -> Outcome:
        """Everything that would have fired, oldest first."""
        from loopline.usecases.monitoring.books.windowing import evaluated
        from loopline.usecases.monitoring.leanbook import LeanBook

        describe = self._describe()
        kind = None if self._config.drift.alert else LeanBook
        book = (
            self.book(self._name, self._config, describe)
            if kind is None
            else kind(self._home, self._serving, self._name, self._config, describe)
        )
        book.update()
        found = evaluated(book, self._config, {}, describe)
        windows = [window for _, window in found.windows]
        usual = _usual_missing(describe, found.live)
        summary = self._summarized(
            self._name, self._config, found, book, limits_of(self._config, self._metrics(*found.live))
        )
        rules = self._rules(found, windows, usual, alerts)
        wrong = [
            one
            for limits, config, judged in rules
            for one in findings(windows, config, limits, found.live_at, usual, found.delay)
            if one.window in judged
        ]
        look = self._look(book, rules[-1][1], found, summary, describe)
        every = sorted([*wrong, *self._looks(look)], key=lambda one: one.due or _end(windows, one.window))
        return Outcome(self._fired(found.live[0], every, windows, found.delay), windows, rules[-1][0])

    def _looks(self, look: Any) -> list[Finding]:
        """What else can wake someone: drift and estimates, where the rules say so."""
        asked = [("drifting", self._config.drift.alert), ("estimating", self._config.estimates.alert)]
        chosen = [name for name, wakes in asked if wakes]
        looks = [import_module(f"loopline.usecases.monitoring.{name}").look(look) for name in chosen]
        return [one for each in looks for one in each.findings]

    def _rules(
        self, found: Any, windows: Sequence[Window], usual: Mapping[str, float], alerts: Sequence[Alert]
    ) -> list[tuple[dict[str, float], MonitorConfig, set[str]]]:
        """(limits, configuration, the starts of the windows judged by them), oldest first: by the version that was live,
        and with a budget by what it led to before the window."""
        starts = sorted({window.start for window in windows})
        seeking = self._config.alarms.per_quarter is not None and budgets.unwritten(self._config)
        choices = self._chosen(found, windows, usual, alerts, starts) if seeking else {}
        rules: list[tuple[dict[str, float], MonitorConfig, set[str]]] = []
        for start in starts:
            limits = limits_of(self._config, self._metrics(found.live[0], found.live_at.get(start)))
            config, choice = self._config, choices.get(start)
            if choice is not None and choice.limits:
                limits = {**limits, **choice.limits}
                config = msgspec.structs.replace(config, consecutive=choice.consecutive)
            if rules and rules[-1][:2] == (limits, config):
                rules[-1][2].add(start)
            else:
                rules.append((limits, config, {start}))
        return rules

    def _chosen(
        self,
        found: Any,
        windows: Sequence[Window],
        usual: Mapping[str, float],
        alerts: Sequence[Alert],
        starts: list[str],
    ) -> dict[str, Choice | None]:
        """What the budget had led to before each window: as it was kept, else chosen anew (at most MOST_CHOICES times)."""
        if self._choices:
            known = sorted(self._choices, key=lambda one: one.until)
            return {start: next((one for one in reversed(known) if one.until < start), None) for start in starts}
        stride, told, last = max(1, math.ceil(len(starts) / MOST_CHOICES)), dict[str, Choice | None](), None
        for place, start in enumerate(starts):
            if place >= budgets.LEAST_WINDOWS and place % stride == 0:
                version = found.live_at.get(start)
                metrics = self._metrics(found.live[0], version)
                live = (found.live[0], version)
                now = budgets.Situation(
                    self._name, self._config, windows, live, found.live_at, metrics, usual, starts[place - 1]
                )
                last = budgets.choose(now, alerts)
            told[start] = last
        return told

    def _fired(self, model: str, every: Sequence[Finding], windows: Sequence[Window], delay: Any) -> list[Fired]:
        held: list[Alert] = []

        def work(tx: Transaction) -> None:
            self._incidents.settle(tx, self._name, model, every, {}, "backtest", self._clock.text())
            held.extend(alert_store.alerts(tx, self._name, "", 100_000))
            raise Undone

        with contextlib.suppress(Undone):
            self._database.write(work)
        found = [_fired_of(alert, every, windows, self._config, delay) for alert in held]
        return sorted(found, key=lambda one: (one.at, one.cause))


def _fired_of(
    alert: Alert, every: Sequence[Finding], windows: Sequence[Window], config: MonitorConfig, delay: Any
) -> Fired:
    """The alert as it was when it opened."""
    same = [one for one in every if one.cause == alert.cause and one.state == "wrong"]
    since = [one for one in same if one.first_window == alert.first_window] or [
        one for one in same if one.window >= alert.first_window
    ]
    first = since[0] if since else None
    window = first.window if first is not None else alert.first_window
    hours = config.label_delay_hours or delay.p99_hours or 0.0
    wait = int(hours * HOUR_MS) if alert.cause == "performance" else 0
    return Fired(
        cause=alert.cause,
        first_window=alert.first_window,
        window=window,
        last_window=alert.last_window,
        at=from_ms(to_ms(_end(windows, window)) + wait),
        version=alert.version,
        value=alert.value if first is None else first.value,
        limit=alert.limit if first is None else first.limit,
        message=alert.message if first is None else first.message,
    )


def _end(windows: Sequence[Window], start: str) -> str:
    return next((window.end for window in windows if window.start == start), start)


def backtest(
    owner: Any,
    endpoint: str,
    since: str = "",
    until: str = "",
    plants: Sequence[str] = (),
    changed: Mapping[str, Any] | None = None,
) -> Backtest:
    """Replay the history of an endpoint (see `Backtest`). `owner` is the service. NotFound without history, Invalid for a
    rule or plant that cannot be."""
    summary: Summary = owner.summary(endpoint)
    present = owner.rules(endpoint)
    config = with_rules(present, changed or {})
    planted = [plant_in(text) for text in plants]
    if len(planted) > MOST_PLANTS:
        raise Invalid(f"{len(planted)} changes are more than the {MOST_PLANTS} that are planted at once.", "Ask twice.")
    wait = config.label_delay_hours
    if wait is None and summary.label_delay.settled:
        wait = summary.label_delay.p99_hours
        config = msgspec.structs.replace(config, label_delay_hours=wait)
    bounds = [to_ms(to_text(from_text(text))) if text else None for text in (since, until)]
    logs = Replayed(owner._serving, endpoint, config, wait, bounds[0], bounds[1])
    if not len(logs):
        raise NotFound(f"Endpoint {endpoint!r} has no predictions there.", "`loopline monitor` lists its windows.")
    alerts = owner._database.read(lambda tx: alert_store.alerts(tx, endpoint, "", 1000))
    kept = [] if changed else owner._choices(endpoint)
    base = _run(owner, config, logs, kept, alerts)
    changes = [_planted(one, base, _run(owner, config, logs.planted(one), kept, alerts)) for one in planted]
    return _told(endpoint, base, changes, alerts, config, changed or {})


def _run(
    owner: Any, config: MonitorConfig, logs: Replayed, choices: Sequence[Choice], alerts: Sequence[Alert]
) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="loopline-backtest-") as folder:
        return Replay(owner, config, logs, Path(folder), choices).run(alerts)


def with_rules(config: MonitorConfig, changed: Mapping[str, Any]) -> MonitorConfig:
    """The rules with some replaced, by dotted names: {"drift.alert": True}. Invalid for what they do not have."""
    plain: dict[str, Any] = msgspec.to_builtins(config)
    for name, value in changed.items():
        *way, last = name.split(".")
        inner: Any = plain
        for step in way:
            inner = inner.get(step) if isinstance(inner, dict) else None
        if not isinstance(inner, dict) or (last not in inner and not way):
            raise Invalid(
                f"A monitor has no rule {name!r}.", "docs/alert-budget.md and the schema of loopline.yaml list them."
            )
        inner[last] = value
    try:
        return msgspec.convert(plain, MonitorConfig, strict=False)
    except msgspec.ValidationError as error:
        raise Invalid(f"These rules cannot be: {error}.", "Mend what --set says.") from None


def _planted(plant: Plant, base: Outcome, changed: Outcome) -> Change:
    """How soon the first alert told of it that had not fired without it."""
    usual = {(one.cause, one.first_window) for one in base.fired}
    fresh = [
        one
        for one in changed.fired
        if (one.cause, one.first_window) not in usual and _end(changed.windows, one.window) > plant.at
    ]
    return _change("planted", plant.told, plant.at, fresh[0] if fresh else None, changed.windows)


def _change(kind: str, what: str, at: str, fired: Fired | None, windows: Sequence[Window], alert: str = "") -> Change:
    if fired is None:
        return Change(kind=kind, what=what, at=at, alert=alert)
    starts = sorted({window.start for window in windows if window.column == ""})
    place = max((n for n, start in enumerate(starts) if start <= at), default=0)
    return Change(
        kind=kind,
        what=what,
        at=at,
        alert=alert,
        cause=fired.cause,
        window=fired.window,
        delay_windows=starts.index(fired.window) - place if fired.window in starts else None,
        delay_days=round((to_ms(fired.at) - to_ms(at)) / DAY_MS, 3),
    )


def _told(
    endpoint: str,
    base: Outcome,
    planted: list[Change],
    alerts: Sequence[Alert],
    config: MonitorConfig,
    changed: Mapping[str, Any],
) -> Backtest:
    whole = sorted((one for one in base.windows if one.column == ""), key=lambda window: window.start)
    first, last = whole[0].start, whole[-1].end
    quarters = (to_ms(last) - to_ms(first)) / DAY_MS / QUARTER_DAYS
    within = [one for one in alerts if first <= one.first_window < last]
    real = [one for one in within if one.verdict == "real"]
    fired = [msgspec.structs.replace(one, because=_because(one, real)) for one in base.fired]
    nothing = [one for one in fired if not one.because]
    low, high = garwood(len(nothing))
    changes = [*planted, *_real(real, fired, whole), *_releases(base.windows, fired, whole)]
    return Backtest(
        endpoint=endpoint,
        since=first,
        until=last,
        windows=len(whole),
        quarters=quarters,
        fired=tuple(fired),
        false_alarms=len(nothing),
        false_per_quarter=len(nothing) / quarters,
        false_low=low / quarters,
        false_high=high / quarters,
        changes=tuple(changes),
        missed=sum(one.kind != "release" and not one.window for one in changes),
        opened=len(within),
        precision=budgets.precision(endpoint, alerts),
        rules=dict(changed),
        limits=base.limits,
        budget=config.alarms.per_quarter,
        notes=tuple(_notes(within, nothing, planted, alerts)),
    )


def _because(one: Fired, real: Iterable[Alert]) -> str:
    """The alert judged real that it overlaps."""
    same = [a for a in real if a.first_window <= one.last_window and one.first_window <= a.last_window]
    return f"alert {same[0].id}" if same else ""


def _real(real: Sequence[Alert], fired: Sequence[Fired], windows: Sequence[Window]) -> list[Change]:
    return [
        _change(
            "real",
            f"{one.cause} since {one.first_window[:10]}",
            one.first_window,
            next((each for each in fired if _because(each, [one])), None),
            windows,
            one.id,
        )
        for one in real
    ]


def _releases(windows: Sequence[Window], fired: Sequence[Fired], whole: Sequence[Window]) -> list[Change]:
    first: dict[str, str] = {}
    for one in sorted((w for w in windows if w.column == "version"), key=lambda window: window.start):
        first.setdefault(one.value, one.start)
    marks = sorted(first.items(), key=lambda pair: pair[1])[1:]
    found = []
    for place, (version, start) in enumerate(marks):
        until = marks[place + 1][1] if place + 1 < len(marks) else "9999"
        after = next((one for one in fired if start <= one.first_window < until), None)
        found.append(_change("release", f"version {version} goes live", start, after, whole))
    return found


def garwood(count: int) -> tuple[float, float]:
    """The 90 % interval of the mean of a Poisson count (Garwood, Fiducial limits for the Poisson distribution, 1936), with
    chi-square quantiles by Wilson and Hilferty (1931)."""

    def half_quantile(free: float, z: float) -> float:
        return free * (1 - 2 / (9 * free) + z * math.sqrt(2 / (9 * free))) ** 3 / 2

    low = 0.0 if count == 0 else half_quantile(2 * count, -1.6448536)
    return low, half_quantile(2 * count + 2, 1.6448536)


def _notes(
    within: Sequence[Alert], nothing: Sequence[Fired], planted: Sequence[Change], alerts: Sequence[Alert]
) -> list[str]:
    notes = []
    if nothing and not any(one.verdict for one in alerts):
        notes.append("Nobody has judged an alert of this endpoint yet, so every one that fired counts as false.")
    if planted:
        notes.append("Predictions stay as they were logged: a change planted in an input does not reach the model.")
    return notes
