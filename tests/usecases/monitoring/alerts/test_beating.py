"""Monitors are monitored: what falls silent, stays away, stands still or is full is an alert, and resolves by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from loopline.adapters.databases.sqlite import SQLite
from loopline.app.migrations.runner import bring_up_to_date
from loopline.testing.fakes import FixedClock
from loopline.usecases.monitoring import beating
from loopline.usecases.monitoring.beating import Beats, not_watched
from loopline.usecases.monitoring.incidents import Incidents
from loopline.usecases.monitoring.model import Heartbeat, LabelDelay, MonitorConfig, Window
from loopline.usecases.monitoring.model.alerts import Alert
from loopline.usecases.monitoring.model.beats import Track, noted, shown, silent_after
from loopline.usecases.monitoring.store import alerts as store
from loopline.usecases.monitoring.store import beats as beat_store
from loopline.usecases.monitoring.store import messages as message_store

pytestmark = pytest.mark.unit
HOUR, DAY = 3600.0, 86400.0


class World:
    """An installation with one endpoint whose logs move as told."""

    def __init__(self, folder: Path) -> None:
        (folder / "run").mkdir()
        bring_up_to_date(folder)
        self.database = SQLite(folder / "loopline.db")
        self.clock = FixedClock("2026-05-04T00:00:00Z")
        self.start = self.clock.now().timestamp()
        self.heartbeat = Heartbeat()
        self.times = [0.0, 0.0]
        self.stuck: list[str] = []
        self.free = 10 * 1024**3
        self.failing: dict[str, str] = {}
        self.seqs = iter(range(1, 10_000))
        ledger: Any = SimpleNamespace(append=lambda *_: SimpleNamespace(seq=next(self.seqs)))
        self.beats = Beats(
            self.database, self.clock, Incidents(ledger), lambda: {"late": MonitorConfig(heartbeat=self.heartbeat)},
            lambda: self.stuck, folder, lambda _: (self.times[0], self.times[1]), lambda: self.free,
        )  # fmt: skip

    def live(self, hours: float, every_h: float = 1.0, truth: bool = False, evaluated: bool = True) -> None:
        """Time passes; predictions (and truth) come every so often; somebody looks all the while."""
        end = self.clock.now().timestamp() + hours * HOUR
        due = self.clock.now().timestamp() + every_h * HOUR
        while (now := self.clock.now().timestamp()) < end:
            self.clock.move(seconds=118)
            if now >= due:
                self.times = [now, now if truth else self.times[1]]
                due = now + every_h * HOUR
                if evaluated:
                    at = self.clock.text()
                    self.database.write(lambda tx, at=at: beat_store.put(tx, "evaluate:late", "late", at))  # type: ignore[misc]
            self.beats.watch(self.failing)

    def quiet(self, hours: float) -> None:
        """Time passes and nothing comes; a look every so often."""
        for _ in range(4):
            self.clock.move(hours=hours / 4)
            self.beats.watch(self.failing)

    def open(self) -> dict[str, Alert]:
        return {alert.cause: alert for alert in self.database.read(lambda tx: store.alerts(tx, "", "open", 50))}

    def told(self) -> list[str]:
        return [f"{note.alert.cause} {note.state}" for note in self.database.read(message_store.unaddressed)]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    found = World(tmp_path)
    yield found
    found.database.close()


def test_what_is_usual_is_three_times_the_longest_gap_once_a_weekend_was_seen() -> None:
    track, at = Track(), 1_000_000.0
    for step in range(60):
        at += 4 * HOUR if step % 6 else 10 * HOUR
        track = noted(track, at, True, silent_after(track, None))
        if at - track.since < 8 * DAY:
            assert silent_after(track, None) is None
    assert silent_after(track, None) == 30 * HOUR
    assert silent_after(track, 2.0) == 2 * HOUR
    assert silent_after(track, 0.0) is None


def test_silence_and_what_nobody_watched_is_not_learned() -> None:
    track = Track(since=1.0, last=9 * DAY, gaps={f"2026-05-0{day}": HOUR for day in range(1, 8)})
    assert noted(track, 12 * DAY, True, 3 * HOUR).gaps == track.gaps
    assert noted(track, 12 * DAY, False, None).gaps == track.gaps
    assert max(noted(track, 9 * DAY + 2 * HOUR, True, 3 * HOUR).gaps.values()) == 2 * HOUR


def test_many_days_stay_small() -> None:
    track, at = Track(), 1_000.0
    for _ in range(400):
        at += DAY
        track = noted(track, at, True, None)
    assert len(track.gaps) == 90


def test_a_source_that_falls_silent_is_told_once_and_resolves_by_itself(world: World) -> None:
    world.heartbeat = Heartbeat(silent_hours=5)
    world.live(10)
    assert world.open() == {}
    world.quiet(3)
    assert world.open() == {}
    world.quiet(4)
    alert = world.open()["silence"]
    assert "no prediction since 2026-05-04" in alert.message
    assert alert.details["effect"] == "no prediction for more than 5 hours"
    assert "loopline endpoints late" in alert.details["commands"]
    world.live(2)
    assert world.open() == {}
    assert world.told() == ["silence opened", "silence resolved"]


def test_silence_is_learned_from_the_source_s_own_gaps(world: World) -> None:
    for _ in range(9):
        world.live(14, every_h=2)
        world.live(10, every_h=9)
    assert world.told() == []
    world.quiet(25)
    assert world.open() == {}
    world.quiet(10)
    assert list(world.open()) == ["silence"]


def test_a_source_that_stays_silent_is_told_once_more(world: World) -> None:
    world.heartbeat = Heartbeat(silent_hours=5)
    world.live(10)
    for _ in range(10):
        world.quiet(5)
    assert world.told() == ["silence opened", "silence again"]


def test_truth_that_stays_away_while_predictions_come_is_missed(world: World) -> None:
    world.heartbeat = Heartbeat(truth_hours=12)
    world.live(20, truth=True)
    world.live(10)
    assert world.open() == {}
    world.live(4)
    assert "no truth since" in world.open()["truth"].message
    world.live(2, truth=True)
    assert world.open() == {}
    world.quiet(40)
    assert "truth" not in world.open()


def test_a_monitor_that_is_not_evaluated_is_an_alert(world: World) -> None:
    world.live(5)
    world.live(0.8, evaluated=False)
    assert world.open() == {}
    world.live(2, evaluated=False)
    assert "was not evaluated since" in world.open()["monitor"].message
    world.live(2)
    assert world.open() == {}


def test_evaluations_that_fail_again_and_again_are_an_alert(world: World) -> None:
    world.live(2)
    world.failing = {"late": "The log of late cannot be read."}
    world.live(0.2)
    assert "cannot be read" in world.open()["monitor"].message
    world.failing = {}
    world.live(0.2)
    assert world.open() == {}


def test_a_full_disk_and_late_schedules_are_the_installation_s(world: World) -> None:
    world.free, world.stuck = 500 * 1024**2, ["the schedule 'nightly' of flights should have come at 03:00"]
    world.beats.watch()
    assert {alert.endpoint for alert in world.open().values()} == {""}
    assert "nightly" in world.open()["schedule"].message
    assert world.open()["disk"].details["commands"] == ["loopline room", "loopline gc --dry-run"]
    world.free, world.stuck = int(1.2 * 1024**3), []
    world.beats.watch()
    assert list(world.open()) == ["disk"]
    world.free = 2 * 1024**3
    world.beats.watch()
    assert world.open() == {}


def test_what_was_closed_by_hand_opens_only_when_it_lasts(world: World) -> None:
    world.free = 0
    world.beats.watch()
    alert = world.open()["disk"].id
    world.database.write(lambda tx: Incidents(SimpleNamespace(append=lambda *_: SimpleNamespace(seq=99))).resolve(  # type: ignore[arg-type]
        tx, alert, "anna", "known", world.clock.text()))  # fmt: skip
    world.beats.watch()
    assert world.open() == {}
    world.clock.move(days=1)
    world.beats.watch()
    assert list(world.open()) == ["disk"]


def test_a_look_without_news_writes_no_alert_anew(world: World) -> None:
    world.free = 0
    for _ in range(5):
        world.beats.watch()
        world.clock.move(seconds=30)
    assert world.told() == ["disk opened"]
    assert world.open()["disk"].details["windows"] == 1


def test_what_was_learned_outlives_the_worker(world: World) -> None:
    world.heartbeat = Heartbeat(silent_hours=5)
    world.live(3)
    world.beats = Beats(
        world.database, world.clock, world.beats._incidents, world.beats._configs, list, None,
        lambda _: (world.times[0], 0.0), lambda: world.free,
    )  # fmt: skip
    world.quiet(6)
    assert list(world.open()) == ["silence"]
    seen = world.database.read(beat_store.seen).of["late"].predictions
    assert seen.gaps
    assert seen.since < seen.last


def test_who_watches_nothing_is_found_out() -> None:
    assert not_watched("", "2026-05-04T00:00:00Z") == ""
    assert not_watched("2026-05-04T00:00:00Z", "2026-05-04T00:03:00Z") == ""
    assert "since 2026-05-04T00:00:00Z" in not_watched("2026-05-04T00:00:00Z", "2026-05-04T01:00:00Z")


def test_windows_whose_truth_should_be_there_are_missed() -> None:
    def window(day: int, labelled: int, mature: bool = True) -> Window:
        return Window(
            start=f"2013-04-{day:02d}T00:00:00.000Z", end="", column="", value="", predictions=1000, labelled=labelled,
            complete=True, mature=mature, metrics={},
        )  # fmt: skip

    windows = [window(1, 900), window(2, 300), window(3, 0, mature=False)]
    look: Any = SimpleNamespace(
        endpoint="late",
        config=MonitorConfig(),
        windows=windows,
        live_at={},
        delay=LabelDelay(expected_share=0.9, settled=True),
    )
    first, second = beating.look(look).findings
    assert (first.state, second.state) == ("well", "wrong")
    assert "truth of 30 % of the predictions of the week of 2013-04-02 has arrived, usually of 90 %" in second.message
    look.config = MonitorConfig(heartbeat=Heartbeat(truth_hours=0))
    assert beating.look(look).findings == ()


def test_durations_are_said_as_people_do() -> None:
    assert [shown(seconds) for seconds in (30, 600, 7 * HOUR, 3 * DAY)] == [
        "30 seconds", "10 minutes", "7 hours", "3 days",
    ]  # fmt: skip
