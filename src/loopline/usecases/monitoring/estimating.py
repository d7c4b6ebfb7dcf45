"""Performance before its truth: estimates of every window whose truth is not mature, and later how wrong they were."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec

from loopline.core.times import from_ms, to_ms
from loopline.ports.database import Transaction
from loopline.usecases.monitoring.model.alerts import Finding
from loopline.usecases.monitoring.model.config import MonitorConfig
from loopline.usecases.monitoring.model.estimates.limits import findings
from loopline.usecases.monitoring.model.estimates.speaking import Said, as_first, first_of, silent, spoken
from loopline.usecases.monitoring.model.estimates.values import Estimate
from loopline.usecases.monitoring.model.looking import Look
from loopline.usecases.monitoring.model.windows import Window
from loopline.usecases.monitoring.store import estimates as store

if TYPE_CHECKING:
    from loopline.usecases.monitoring.estimating_rows import Reader
    from loopline.usecases.monitoring.model.estimates.binary import Belief
    from loopline.usecases.monitoring.model.estimates.forecasts import Forecast
    from loopline.usecases.monitoring.model.estimates.regression import NumericBelief
    from loopline.usecases.monitoring.model.estimates.rows import Rows

MOST_WINDOWS, MOST_YOUNG, MOST_KEPT = 26, 60, 400
LEAST_NEWS, LEAST_OF_VERSION, LEAST_IN_WINDOW = 0.02, 1_000, 20
USUAL = ("auc", "accuracy", "log_loss", "brier")
NO_TRUTH = "no truth has arrived yet: there is nothing to calibrate with"
TEXTS = "predictions are texts: without their probabilities nothing can be said before the truth"


@dataclass
class Estimated:
    """What this look found, and the rows that it changes."""

    endpoint: str
    findings: Sequence[Finding] = ()
    changed: list[tuple[str, Estimate]] = field(default_factory=list)

    def keep(self, tx: Transaction, at: str) -> None:
        """Write what changed."""
        store.put(tx, self.endpoint, self.changed, at)


def look(look: Look) -> Estimated:
    """Estimate the windows that are new or have news, fill in what came true, and say which are beyond their limit.

    Of each window that is over it is kept what could be said at its end (from labels known by then, however late one
    looks), and what was said last before its truth was mature. Nothing that was said is changed later.
    """
    if look.config.estimates.off:
        return Estimated(look.endpoint)
    whole = [w for w in look.windows if w.column == "" and w.predictions >= LEAST_IN_WINDOW][-MOST_KEPT:]
    since = whole[0].start if whole else ""
    kept = look.read(lambda tx: store.estimates(tx, look.endpoint, since))
    rules = f"{zlib.crc32(repr((look.config.window, asked_metrics(look.config), look.config.threshold)).encode()):08x}"
    round_ = Round(look, rules, kept)
    for age, window in zip(range(len(whole), 0, -1), whole, strict=True):
        if window.mature or age <= MOST_YOUNG:
            round_.take(window, newest=age <= MOST_WINDOWS)
    changed = [
        (basis, entry) for key, (basis, entry) in round_.kept.items() if round_.before.get(key) != (basis, entry)
    ]
    return Estimated(look.endpoint, list(findings(look, (entry for _, entry in round_.kept.values()))), changed)


def asked_metrics(config: MonitorConfig) -> tuple[str, ...]:
    """The metrics to estimate: those that the monitor names, and the usual ones."""
    return tuple(dict.fromkeys((config.metric, *(entry.metric for entry in config.quality), *config.metrics, *USUAL)))


class Round:
    """One look at the windows, oldest first."""

    def __init__(self, look: Look, rules: str, kept: Sequence[tuple[str, Estimate]]) -> None:
        self.kept = {(entry.start, entry.metric, entry.method): (basis, entry) for basis, entry in kept}
        self.before = dict(self.kept)
        self._look, self._rules = look, rules
        hours = look.config.label_delay_hours
        hours = look.delay.p99_hours if hours is None else hours
        self._delay_ms = None if hours is None else int(hours * 3_600_000)
        self._metrics = asked_metrics(look.config)
        self._last: tuple[object, Belief | NumericBelief | str, list[str]] | None = None

    def take(self, window: Window, newest: bool) -> None:
        """Say what there is to say of a window. What could be said at its end is looked up only for the newest."""
        kept = {key[1:]: entry for key, entry in self.kept.items() if key[0] == window.start}
        if any(entry.mature for _, entry in kept.values()):
            return
        bases = {basis for basis, _ in kept.values() if basis.endswith(self._rules)}
        said = {key: entry for key, (basis, entry) in kept.items() if basis in bases}
        if window.mature and (said or newest):
            self._settle(window, said)
        elif not window.mature and (not said or self._news(window, said, bases)):
            self._say(window, said, newest)

    def _news(self, window: Window, said: Said, bases: set[str]) -> bool:
        if window.complete and not all(entry.complete for entry in said.values()):
            return True
        rows, labels = (int(part) for part in min(bases).split()[:2])
        moved = max(abs(window.predictions - rows), abs(window.labelled - labels))
        return moved > LEAST_NEWS * max(window.predictions, 1)

    def _say(self, window: Window, said: Said, newest: bool) -> None:
        """What is to be said now, and with it what was to be said at the window's end."""
        first = {key: first_of(entry) for key, entry in said.items() if entry.complete}
        now = min(self._look.watermark_ms, to_ms(window.end)) if not window.complete else self._look.watermark_ms
        if window.complete and newest and not first:
            ended = self._estimates(window, to_ms(window.end))
            first = {key: as_first(entry) for key, entry in ended.items()}
        self._put(window, self._estimates(window, now), first)

    def _settle(self, window: Window, said: Said) -> None:
        """The truth is mature: fill in what came true beside what was said, which stays as it is."""
        if not said or not all(entry.complete for entry in said.values()):  # nobody looked between its end and now
            said = self._estimates(window, to_ms(window.end))
        first = {key: {} if entry.complete else as_first(entry) for key, entry in said.items()}
        real = self._realized(window)
        self._put(window, {k: msgspec.structs.replace(e, realized=real.get(k[0])) for k, e in said.items()}, first)

    def _put(self, window: Window, found: Said, first: dict[tuple[str, str], dict[str, float | None]]) -> None:
        basis = f"{window.predictions} {window.labelled} {self._rules}"
        for key, entry in found.items():
            values = {"complete": window.complete, "mature": window.mature, **first.get(key, {})}
            self.kept[window.start, *key] = (basis, msgspec.structs.replace(entry, **values))

    def _estimates(self, window: Window, moment_ms: int) -> Said:
        """What the labels known at a moment say of a window."""
        forecast, version, warning = self._forecast(window, moment_ms)
        share = window.labelled / max(window.predictions, 1)
        blank = Estimate(
            start=window.start, end=window.end, metric="", method="", rows=window.predictions, share=share,
            as_of=from_ms(moment_ms), version=version,
        )  # fmt: skip
        if isinstance(forecast, str):
            return silent((self._look.config.metric,), blank, forecast)
        found = spoken(forecast, self._past(moment_ms), blank, warning)
        judged = {self._look.config.metric, *self._look.limits}
        return found | silent(sorted(judged - forecast.values.keys()), blank, "this metric cannot be estimated")

    def _forecast(self, window: Window, moment_ms: int) -> tuple[Forecast | str, int | None, list[str]]:
        from loopline.usecases.monitoring.model.estimates.learning import asked, predicted

        if self._delay_ms is None:
            return NO_TRUTH, None, []
        if self._reader.is_text():
            return TEXTS, None, []
        rows = self._reader.window(window)
        rows = rows.where(rows.event_ms < moment_ms)
        if not len(rows):
            return "no row of this window has a number as its prediction", None, []
        belief, warning = self._belief(rows, moment_ms)
        version = rows.main_version()
        if isinstance(belief, str):
            return belief, version, []
        return predicted(belief, rows, asked(self._look.config, self._metrics)), version, warning

    def _belief(self, rows: Rows, moment_ms: int) -> tuple[Belief | NumericBelief | str, list[str]]:
        """What was learned by a moment for the versions that served some rows; the last one is kept."""
        from loopline.usecases.monitoring.estimating_rows import of_versions
        from loopline.usecases.monitoring.model.estimates.learning import learned

        key = (moment_ms, rows.versions())
        if self._last is None or self._last[0] != key:
            delay_ms = self._delay_ms or 0
            history, warning = of_versions(self._reader.before(moment_ms), rows, moment_ms, delay_ms, LEAST_OF_VERSION)
            belief = learned(history, moment_ms, delay_ms, self._look.config.window)
            self._last = key, belief, [warning] if warning else []
        return self._last[1], self._last[2]

    def _realized(self, window: Window) -> dict[str, float]:
        from loopline.usecases.monitoring.model.estimates.learning import asked, realized

        if self._reader.is_text():
            return {}
        rows = self._reader.window(window)
        return realized(rows.where(rows.known(self._look.watermark_ms)), asked(self._look.config, self._metrics))

    def _past(self, moment_ms: int) -> list[Said]:
        """What was said at the ends of windows whose truth was mature at a moment, oldest first."""
        found: dict[str, Said] = {}
        for (start, metric, method), (_, entry) in sorted(self.kept.items(), key=lambda pair: pair[0]):
            if entry.mature and to_ms(entry.end) + (self._delay_ms or 0) <= moment_ms:
                found.setdefault(start, {})[metric, method] = entry
        return list(found.values())

    @cached_property
    def _reader(self) -> Reader:
        from loopline.usecases.monitoring.estimating_rows import Reader

        return Reader(self._look, self._delay_ms or 0)
