"""Monitors are monitored: each evaluation gives a sign of life, and a light look from outside, without arrays, finds what
has died: a silent source, truth that stays away, monitors, schedules or channels that stand still, a disk that is full."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import msgspec

from loopline.core.times import from_ms, from_text, to_text
from loopline.ports.clock import Clock
from loopline.ports.database import Database, Transaction
from loopline.usecases.monitoring.incidents import Incidents
from loopline.usecases.monitoring.model import MonitorConfig
from loopline.usecases.monitoring.model import beats as rules
from loopline.usecases.monitoring.model.alerts import RESOLVED, Finding
from loopline.usecases.monitoring.model.beats import Seen, Tracks
from loopline.usecases.monitoring.model.looking import Look
from loopline.usecases.monitoring.model.windows import Window
from loopline.usecases.monitoring.store import beats as store
from loopline.usecases.monitoring.store import windows as window_store

CAUSES = ("silence", "truth", "monitor", "schedule", "channel", "disk")
ACTOR = "monitor"
ATTENDED_S = 120.0  # looks further apart than this learn nothing of what came between
KEEP_S = 600.0  # how often what was learned is written
BEHIND_S = 2 * rules.HOUR_S
FAILURES = 3
CHANNEL_TRIES = 6  # about two minutes
DISK_LOW, DISK_WELL = 1024**3, 3 * 1024**3 // 2
EXPECTED = 0.5  # of the usual share of truth
LogTimes = Callable[[str], tuple[float, float]]


@dataclass(frozen=True)
class Beaten:
    """What `look` found."""

    endpoint: str
    findings: Sequence[Finding]

    def keep(self, tx: Transaction, at: str) -> None:
        """Write that the monitor lives."""
        store.put(tx, f"evaluate:{self.endpoint}", self.endpoint, at)


def look(look: Look) -> Beaten:
    """The sign of life of an evaluation; and windows whose truth should be there and is not: mature ones with less than
    half of the share that usually arrives."""
    expected = look.delay.expected_share
    if expected is None or not look.delay.settled or look.config.heartbeat.truth_hours == 0:
        return Beaten(look.endpoint, ())
    mature = [window for window in look.windows if window.column == "" and window.mature]
    judged = [window for window in mature if window.predictions >= look.config.minimum_rows]
    return Beaten(look.endpoint, [_truth_of(look, window, expected) for window in judged])


def _truth_of(look: Look, window: Window, expected: float) -> Finding:
    share, limit = window.truth_share, EXPECTED * expected
    wrong = share < limit
    words = "has arrived" if wrong else "is there"
    return Finding(
        cause="truth",
        state="wrong" if wrong else "well",
        first_window=window.start,
        window=window.start,
        version=look.live_at.get(window.start),
        value=share,
        limit=limit,
        message=f"truth of {100 * share:.0f} % of the predictions of the {look.config.window} of {window.start[:10]} {words}, "
        f"usually of {100 * expected:.0f} %",
        details={
            "direction": "lower", "truth_share": share, "change": share - expected,
            "effect": f"{100 * (expected - share):.0f} points less truth than usual by now",
        } if wrong else {},
    )  # fmt: skip


class Beats:
    """The light look. `log_times` answers when an endpoint's predictions and truth last came (Unix seconds, 0: never);
    `configs` what the monitor of each endpoint that serves says; `stuck` which schedules and firings stand still, in sentences."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        incidents: Incidents,
        configs: Callable[[], Mapping[str, MonitorConfig]],
        stuck: Callable[[], Sequence[str]],
        home: Path | None,
        log_times: LogTimes | None = None,
        free: Callable[[], int] | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._incidents = incidents
        self._configs = configs
        self._stuck = stuck
        self._home = home
        self._log_times = log_times or (lambda name: log_times_in(home, name))
        self._seen_before: Seen | None = None
        self._kept_at = 0.0
        self._free = free or (lambda: shutil.disk_usage(home or Path()).free)

    def watch(self, failing: Mapping[str, str] | None = None) -> int:
        """Look at everything; answers how many findings are wrong. `failing` are evaluations that failed several times in
        a row, with their errors, by endpoint."""
        now = self._clock.now().timestamp()
        evaluated = self._database.read(store.evaluated)
        before = self._seen_before or self._database.read(store.seen)
        configs = self._configs()
        seen = self._seen(before, configs, now)
        found = list(self._found(configs, seen, evaluated, failing or {}, now))
        at, keep = self._clock.text(), not 0 <= now - self._kept_at < KEEP_S
        self._seen_before = seen

        def work(tx: Transaction) -> int:
            store.put(tx, store.WATCH, "", at)
            if keep:
                store.put_seen(tx, seen, at)
            self._settle(tx, found, at)
            return len(found)

        wrong = self._database.write(work, durable=bool(found))
        self._kept_at = now if keep else self._kept_at
        return wrong

    def _seen(self, before: Seen, configs: Mapping[str, MonitorConfig], now: float) -> Seen:
        learns = 0 <= now - before.at <= ATTENDED_S
        found: dict[str, Tracks] = {}
        for name, config in configs.items():
            known, (predicted, told) = before.of.get(name, Tracks()), self._log_times(name)
            predictions, truth = (
                rules.noted(track, last, learns, rules.silent_after(track, hours))
                for track, last, hours in (
                    (known.predictions, predicted, config.heartbeat.silent_hours),
                    (known.truth, told, config.heartbeat.truth_hours),
                )
            )
            found[name] = Tracks(predictions=predictions, truth=truth)
        return Seen(at=now, of=found)

    def _found(
        self,
        configs: Mapping[str, MonitorConfig],
        seen: Seen,
        evaluated: Mapping[str, str],
        failing: Mapping[str, str],
        now: float,
    ) -> Iterator[tuple[str, Finding]]:
        for name, config in configs.items():
            tracks = seen.of[name]
            checks = (
                silence(tracks, config, now),
                no_truth(tracks, config, now),
                behind(tracks, evaluated.get(name, ""), failing.get(name, ""), now),
            )
            yield from ((name, finding) for finding in checks if finding is not None)
        yield from (("", finding) for finding in self._of_installation(now))

    def _of_installation(self, now: float) -> Iterator[Finding]:
        today = to_text(self._clock.now().replace(hour=0, minute=0, second=0, microsecond=0))
        channels = self._database.read(lambda tx: store.failing_channels(tx, CHANNEL_TRIES))
        if channels:
            told = "; ".join(f"{name}: {error}" for name, error in sorted(channels.items()))
            yield _wrong("channel", today, f"messages do not arrive ({told})", {"channels": sorted(channels)})
        stuck = list(self._stuck())
        if stuck:
            yield _wrong("schedule", today, "; ".join(stuck), {"effect": f"{len(stuck)} late"})
        free = self._free()
        standing = [one for one in self._open() if one[1] == "disk"]
        if free < (DISK_WELL if standing else DISK_LOW):
            message = f"less than {(DISK_WELL if standing else DISK_LOW) / 1024**3:.1f} GiB of the installation's disk are free"
            yield _wrong("disk", today, message, {"direction": "lower", "run": ["loopline gc --dry-run"]})

    def _open(self) -> list[tuple[str, str]]:
        found = self._database.read(lambda tx: store.open_alerts(tx, CAUSES))
        return [(alert.endpoint, alert.cause) for alert in found]

    def _settle(self, tx: Transaction, found: Sequence[tuple[str, Finding]], at: str) -> None:
        """Open what is wrong and resolve what is not any more. What windows opened (`look`) windows resolve."""
        wrong = {(name, finding.cause) for name, finding in found}
        over = [alert for alert in store.open_alerts(tx, CAUSES) if alert.details.get("by") == "watch"]
        for name in dict.fromkeys(name for name, _ in found):
            summary = window_store.summary(tx, name) if name else None
            model, version = (summary[1].model, summary[1].version) if summary else ("", None)
            mine = [_served(finding, version) for each, finding in found if each == name]
            self._incidents.settle(tx, name, model, mine, {}, ACTOR, at)
        for alert in over:
            if (alert.endpoint, alert.cause) not in wrong and alert.state != RESOLVED:
                self._incidents.resolve(tx, alert.id, ACTOR, WELL[alert.cause], at)


WELL = {
    "silence": "predictions come again",
    "truth": "truth comes again",
    "monitor": "the monitor is evaluated again",
    "schedule": "nothing is late any more",
    "channel": "messages arrive again",
    "disk": "there is room again",
}


def silence(tracks: Tracks, config: MonitorConfig, now: float) -> Finding | None:
    """No prediction for longer than is usual."""
    after = rules.silent_after(tracks.predictions, config.heartbeat.silent_hours)
    return _late("silence", "no prediction", tracks.predictions.last, after, now, tracks.predictions)


def no_truth(tracks: Tracks, config: MonitorConfig, now: float) -> Finding | None:
    """No truth for longer than is usual, though predictions came after the last one."""
    after = rules.silent_after(tracks.truth, config.heartbeat.truth_hours)
    since = tracks.truth.last or tracks.predictions.since
    if not since or tracks.predictions.last <= since:
        return None
    return _late("truth", "no truth", since, after, now, tracks.truth)


def behind(tracks: Tracks, evaluated_at: str, failing: str, now: float) -> Finding | None:
    """What came was not evaluated for hours, or evaluating fails again and again."""
    day = from_ms(int(now // rules.DAY_S * rules.DAY_S * 1000))
    if failing:
        return _wrong("monitor", day, f"evaluating fails again and again: {failing}", {"effect": "nothing is judged"})
    evaluated = from_text(evaluated_at).timestamp() if evaluated_at else 0.0
    news = max(tracks.predictions.last, tracks.truth.last)
    waits = now - max(evaluated, tracks.predictions.since)
    if not news or news <= evaluated or waits < BEHIND_S:
        return None
    since = from_ms(int(evaluated * 1000)) if evaluated else "ever"
    message = f"what came was not evaluated since {since}" if evaluated else "what came was never evaluated"
    return _wrong("monitor", day, message, {"effect": "nothing is judged"})


def _late(cause: str, what: str, since: float, after: float | None, now: float, track: rules.Track) -> Finding | None:
    if after is None or not since or (times := rules.periods(now - since, after)) < 1:
        return None
    start = from_ms(int(since * 1000))
    usual = f"usually at most {rules.shown(max(track.gaps.values()))} apart" if track.gaps else "as its monitor asks"
    message = f"{what} since {start[:16].replace('T', ' ')} UTC (at most {rules.shown(after)}; {usual})"
    window = from_ms(int((since + (times - 1) * after) * 1000))
    details = {"direction": "worse", "effect": f"{what} for more than {rules.shown(times * after)}", "by": "watch"}
    return Finding(
        cause=cause, state="wrong", first_window=start, window=window, version=None, value=None,
        limit=after / rules.HOUR_S, message=message, details=details,
    )  # fmt: skip


def _wrong(cause: str, window: str, message: str, details: Mapping[str, object]) -> Finding:
    return Finding(
        cause=cause, state="wrong", first_window=window, window=window, version=None, value=None, limit=None,
        message=message, details={"by": "watch", **details},
    )  # fmt: skip


def _served(finding: Finding, version: int | None) -> Finding:
    return msgspec.structs.replace(finding, version=version)


def log_times_in(home: Path | None, endpoint: str) -> tuple[float, float]:
    """When predictions and truth of an endpoint were last written, by the times of the files that are being written."""
    newest = [0.0, 0.0]
    for place, kind in enumerate(("predictions", "truth") if home is not None else ()):
        try:
            with os.scandir(home / kind / endpoint) as entries:  # type: ignore[operator]
                newest[place] = max((entry.stat().st_mtime for entry in entries if entry.is_file()), default=0.0)
        except OSError:
            continue
    return newest[0], newest[1]


def not_watched(watched_at: str, now: str, patience: timedelta = timedelta(minutes=5)) -> str:
    """What the home page and /health say when nobody looks after the monitors; "" when somebody does."""
    if not watched_at:
        return ""
    quiet = from_text(now) - from_text(watched_at)
    return f"monitors have not been looked after since {watched_at}" if quiet > patience else ""
