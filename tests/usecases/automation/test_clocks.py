"""Whatever clocks, kills and a second scheduler do: an occasion fires once, and none is lost unsaid."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from loopline.core.times import from_text
from loopline.testing.factories import installation
from loopline.usecases.automation import schedules

pytestmark = pytest.mark.integration

HOURLY = {"on": "schedule", "cron": "0 * * * *", "run": "training", "timezone": "America/New_York"}


def fired(world: Any) -> list[str]:
    """The occasions that fired, in the order in which they did."""
    rows = world.loopline.database.read(
        lambda tx: tx.rows("SELECT dedupe_key AS name FROM automation_firings WHERE state <> 'skipped' ORDER BY seq")
    )
    return [row["name"].rpartition("schedule:")[2] for row in rows]


def test_after_a_jump_forward_and_back_the_hours_go_on(world: Any) -> None:
    world.apply(policies={"hourly": HOURLY})
    world.automation.tick()
    world.clock.move(hours=1)
    assert world.automation.tick().fired == 1
    world.clock.move(days=1)
    assert world.automation.tick().fired == 1  # no flood
    assert "missed" in world.automation.firings()[1].reason
    world.clock.move(days=-1)
    for _ in range(24):
        assert world.automation.tick().fired == 0
        world.clock.move(hours=1)
        world.automation.tick()
    assert len(fired(world)) == len(set(fired(world))) == 25
    assert sorted(fired(world))[-1] == "2026-01-02T01:00:00.000Z"


def test_after_a_jump_back_nothing_fires_twice(world: Any) -> None:
    world.apply(policies={"hourly": HOURLY})
    world.automation.tick()
    for _ in range(3):
        world.clock.move(hours=1)
        world.automation.tick()
    world.clock.move(hours=-3)
    for _ in range(4):
        world.automation.tick()
        world.another().tick()
        world.clock.move(hours=1)
    world.automation.tick()
    assert fired(world) == [f"2026-01-01T0{hour}:00:00.000Z" for hour in (1, 2, 3, 4)]


def test_a_schedule_that_was_changed_begins_anew(world: Any) -> None:
    world.apply(policies={"daily": {**HOURLY, "cron": "0 6 * * *", "timezone": "UTC"}})
    world.automation.tick()
    world.clock.set("2026-01-01T14:00:00Z")
    assert world.automation.tick().fired == 1
    world.apply(policies={"daily": {**HOURLY, "cron": "0 12 * * *", "timezone": "UTC"}})
    assert world.automation.tick().fired == 0  # twelve o'clock was before it said so
    assert world.another().tick().fired == 0
    world.clock.set("2026-01-02T12:00:00Z")
    assert world.automation.tick().fired == 1
    assert fired(world) == ["2026-01-01T06:00:00.000Z", "2026-01-02T12:00:00.000Z"]


class Clockwork(RuleBasedStateMachine):
    """Two schedulers at one home, whose clock jumps and which die. While the clock runs on and somebody looks every few
    minutes, every occasion fires; over a jump it fires, or is told to be missed, or comes later."""

    make: Any = None

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.loopline = installation(Path(self.folder.name))
        self.world = type(self).make(self.loopline)
        self.world.apply(policies={"hourly": {**HOURLY, "jitter": "5m"}})
        self.born = self.world.clock.now()
        self.schedulers = [self.world.automation, self.world.another()]
        for one in self.schedulers:
            one.tick()

    @rule(hours=st.integers(1, 5), who=st.integers(0, 1))
    def time_passes(self, hours: int, who: int) -> None:
        for _ in range(hours * 12):
            before = self.world.clock.now()
            self.world.clock.move(minutes=5)
            self.schedulers[who].tick()
            due = [one for one in self._occasions(before, self.world.clock.now())
                   if one > before and one + schedules.spread(self.policy, one) <= self.world.clock.now()]  # fmt: skip
            assert {one.isoformat()[:16] for one in due} <= {text[:16] for text in fired(self.world)}

    @rule(days=st.sampled_from([-1, 1]), minutes=st.integers(-90, 90))
    def clock_jumps(self, days: int, minutes: int) -> None:
        before = len(fired(self.world))
        self.world.clock.move(days=days, minutes=minutes)
        for one in self.schedulers:
            one.tick()
        assert len(fired(self.world)) <= before + 1

    @rule(who=st.integers(0, 1))
    def killed_and_started_anew(self, who: int) -> None:
        self.schedulers[who] = self.world.another()

    @invariant()
    def each_occasion_fired_once(self) -> None:
        names = fired(self.world)
        assert len(names) == len(set(names))
        assert all(from_text(name).minute == 0 for name in names)

    @property
    def policy(self) -> Any:
        return self.world.automation.policies()[0].policy

    def _occasions(self, since: Any, until: Any) -> list[Any]:
        found, moment = [], since - timedelta(seconds=1)
        while (moment := schedules.due(self.policy, moment)) <= until:
            found.append(moment)
        return found

    def teardown(self) -> None:
        self.loopline.close()
        self.folder.cleanup()


def test_an_occasion_fires_once_whatever_happens(make_world: Any) -> None:
    Clockwork.make = staticmethod(make_world)
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Clockwork,
        settings=settings(
            max_examples=6, stateful_step_count=8, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
