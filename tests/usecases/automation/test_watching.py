"""From facts and time to firings: each cause once, none in a circle."""

from __future__ import annotations

from typing import Any

import pytest

from loopline.core.errors import Invalid
from loopline.usecases.automation import declared, model, schedules
from loopline.usecases.automation.watching import Ticked

pytestmark = pytest.mark.integration

RETRAIN = {"on": "alert", "when": {"endpoint": "late"}, "run": "training", "deploy": "automatic", "cooldown": "7d"}


def states(world: Any) -> list[tuple[str, str]]:
    return [(firing.policy, firing.state) for firing in reversed(world.automation.firings())]


def test_nothing_new_is_nothing_done(world: Any) -> None:
    assert world.automation.tick() == Ticked()
    assert world.kinds() == []


def test_an_alert_sets_its_policy_off_once(world: Any) -> None:
    world.apply(policies={"retrain": RETRAIN})
    alert = world.alert()
    assert world.automation.tick().fired == 1
    assert world.automation.tick().fired == 0
    assert world.another().tick().fired == 0
    (firing,) = world.automation.firings()
    assert (firing.because, firing.state, firing.event_at) == (alert.seq, "requested", "2013-06-24T00:00:00Z")
    assert (firing.rules.run, firing.code) == ("training", "c" * 64)
    (fact,) = world.loopline.ledger.since(0, kind="policy.fired")
    assert (fact.actor, fact.subject, fact.body["because"]) == ("policy:retrain", "policy:flights/retrain", alert.seq)


def test_the_same_alert_told_again_does_not_fire_again(world: Any) -> None:
    world.apply(policies={"retrain": {**RETRAIN, "cooldown": 0}})
    world.alert("a1")
    world.alert("a1")
    world.alert("a2")
    assert world.automation.tick().fired == 2


@pytest.mark.parametrize(
    ("when", "fires"),
    [
        ({}, True),
        ({"endpoint": "late", "cause": "performance"}, True),
        ({"cause": ["quality", "performance"]}, True),
        ({"version": 3}, True),
        ({"version": "3"}, True),
        ({"endpoint": "other"}, False),
        ({"cause": ["quality"]}, False),
        ({"nothing": "late"}, False),
    ],
)
def test_a_filter_narrows_what_fires(world: Any, when: dict[str, Any], fires: bool) -> None:
    world.apply(policies={"retrain": {**RETRAIN, "when": when}})
    world.alert(version=3)
    assert world.automation.tick().fired == int(fires)


def test_other_kinds_of_facts_fire(world: Any) -> None:
    policies = [
        {"name": "judge", "on": "model.version_registered", "when": {"model": "late"}},
        {"name": "train", "on": "dataset.snapshot_taken"},
    ]
    world.apply(policies=policies)
    world.tell("model.version_registered", "late/1", model="late", version=1)
    world.tell("model.version_registered", "early/1", model="early", version=1)
    world.tell("dataset.snapshot_taken", "flights", dataset="flights")
    assert world.automation.tick().fired == 2
    assert states(world) == [("judge", "requested"), ("train", "requested")]


@pytest.mark.parametrize(
    ("second", "state"), [("2013-06-30T23:59:59Z", "skipped"), ("2013-07-01T00:00:00Z", "requested")]
)
def test_the_cooldown_runs_on_event_time(world: Any, second: str, state: str) -> None:
    world.apply(policies={"retrain": RETRAIN})
    world.alert("a1", "2013-06-24T00:00:00Z")
    world.alert("a2", second)
    world.automation.tick()
    assert states(world) == [("retrain", "requested"), ("retrain", state)]


def test_without_event_time_the_cooldown_runs_on_the_wall_clock(world: Any) -> None:
    world.apply(policies={"retrain": RETRAIN})
    for name, days in (("a1", 0), ("a2", 6), ("a3", 1)):
        world.clock.move(days=days)
        world.alert(name, None)
        world.automation.tick()
    assert [state for _, state in states(world)] == ["requested", "skipped", "requested"]
    skipped = world.automation.firings()[1]
    assert skipped.reason == "cooldown: it rests until 2026-01-08T00:00:00Z"
    assert world.kinds().count("policy.skipped") == 1


def test_facts_from_before_a_policy_was_applied_do_not_fire_it(world: Any) -> None:
    world.alert("old")
    world.apply(policies={"retrain": RETRAIN})
    world.alert("new", "2013-08-24T00:00:00Z")
    world.apply(policies={"retrain": RETRAIN, "second": RETRAIN})
    assert world.automation.tick().fired == 2  # both policies are dated by the first application that is found
    world.apply(policies={"retrain": RETRAIN, "second": RETRAIN, "third": {**RETRAIN, "cooldown": 0}})
    world.alert("newest", "2013-12-24T00:00:00Z")
    assert world.automation.tick().fired == 3


def test_a_removed_policy_fires_no_more(world: Any) -> None:
    world.apply(policies={"retrain": RETRAIN})
    world.automation.tick()
    world.apply(policies={})
    world.alert()
    assert world.automation.tick().fired == 0


def test_a_policy_does_not_answer_itself(world: Any) -> None:
    world.apply(policies={"again": {"on": "model.version_registered", "run": "training"}})
    world.tell("model.version_registered", "late/1", model="late", version=1)
    assert world.automation.tick().fired == 1
    world.execute()
    assert world.automation.tick().fired == 0
    assert len(world.releases.runs) == 1


def test_policies_that_set_each_other_off_stop(world: Any) -> None:
    ping = {"on": "model.version_registered", "run": "training"}
    world.apply(policies={"ping": ping, "pong": ping})
    world.tell("model.version_registered", "late/0", model="late", version=0)
    for _ in range(10):
        world.automation.tick()
        world.execute()
    assert len(world.releases.runs) == 4  # each by itself, and each once more because of the other
    assert any("circle" in firing.reason for firing in world.automation.firings())


def test_many_facts_are_read_in_pages_and_the_cursor_survives(world: Any) -> None:
    world.apply(policies={"retrain": {**RETRAIN, "cooldown": 0}})

    def many(tx: Any) -> None:
        for n in range(1200):
            world.loopline.ledger.append(tx, "run.finished", f"{n}", "ada", {})

    world.loopline.database.write(many)
    world.alert()
    ticks = [world.automation.tick() for _ in range(4)]
    assert [tick.more for tick in ticks] == [True, True, False, False]
    assert sum(tick.fired for tick in ticks) == 1
    assert world.another().tick() == Ticked()


def test_moves_and_approvals_are_passed_on(world: Any) -> None:
    world.tell("alias.moved", "late@production", model="late", alias="production", to=2)
    world.tell("approval.given", "late/3", model="late", version=3)
    assert world.automation.tick() == Ticked(moved=True, approved=(("late", 3),))


def test_a_schedule_fires_when_due_and_catches_up_once(world: Any) -> None:
    world.apply(policies={"nightly": {"on": "schedule", "when": {"cron": "0 6 * * *"}, "run": "training"}})
    assert world.automation.tick().fired == 0
    world.clock.set("2026-01-01T05:59:59Z")
    assert world.automation.tick().fired == 0
    world.clock.set("2026-01-01T06:00:00Z")
    assert world.automation.tick().fired == 1
    assert world.automation.tick().fired == 0
    world.clock.set("2026-01-05T12:00:00Z")
    again = world.another()  # nobody was there for four days
    assert again.tick().fired == 1
    assert again.tick().fired == 0
    assert world.automation.firings()[0].cause == "schedule 0 6 * * * at 2026-01-05T06:00:00.000Z, 3 missed"
    assert world.automation.policies()[0].next_at == "2026-01-06T06:00:00.000Z"


def test_two_workers_fire_a_schedule_once(world: Any) -> None:
    world.apply(policies={"nightly": {"on": "schedule", "cron": "0 6 * * *"}})
    other = world.another()
    assert (world.automation.tick().fired, other.tick().fired) == (0, 0)
    world.clock.move(days=1)
    assert (world.automation.tick().fired, other.tick().fired) == (1, 0)


@pytest.mark.parametrize(
    ("zone", "cron", "start", "times"),
    [
        # New York skips 02:30 on 8 March 2026 and has 01:30 twice on 1 November.
        (
            "America/New_York",
            "30 2 * * *",
            "2026-03-07T12:00:00Z",
            ["2026-03-08T07:00:00.000Z", "2026-03-09T06:30:00.000Z"],
        ),
        (
            "America/New_York",
            "30 1 * * *",
            "2026-10-31T12:00:00Z",
            ["2026-11-01T05:30:00.000Z", "2026-11-02T06:30:00.000Z"],
        ),
        ("UTC", "0 6 * * 1", "2026-01-01T00:00:00Z", ["2026-01-05T06:00:00.000Z", "2026-01-12T06:00:00.000Z"]),
    ],
)
def test_schedules_are_right_at_clock_changes(zone: str, cron: str, start: str, times: list[str]) -> None:
    from loopline.core.times import from_text, to_text

    policy = model.Policy(project="p", name="n", on="schedule", when={"cron": cron, "timezone": zone})
    moment, found = from_text(start), []
    for _ in times:
        moment = schedules.due(policy, moment)
        found.append(to_text(moment))
    assert found == times


@pytest.mark.parametrize(
    "when", [{"cron": "not cron"}, {"cron": "0 0 31 2 *"}, {}, {"cron": "0 6 * * *", "timezone": "No/Where"}]
)
def test_a_wrong_schedule_is_left_out_and_the_others_go_on(world: Any, when: dict[str, str]) -> None:
    world.apply(policies={"bad": {"on": "schedule", "when": when}, "retrain": RETRAIN})
    world.alert()
    assert world.automation.tick().fired == 1
    assert len(world.automation.policies()) == 2


def test_a_wrong_policy_leaves_the_other_projects_alone(world: Any) -> None:
    world.apply("bad", policies={"retrain": {**RETRAIN, "cooldown": "a while"}})
    world.apply("worse", policies={"retrain": {**RETRAIN, "deploy": "maybe"}})
    world.apply("good", policies={"retrain": RETRAIN})
    world.alert()
    assert world.automation.tick().fired == 1


@pytest.mark.parametrize(
    ("text", "seconds"), [("7d", 604800), ("36h", 129600), ("15 min", 900), ("1 week", 604800), (30, 30)]
)
def test_durations(text: Any, seconds: float) -> None:
    assert declared.duration(text) == seconds


@pytest.mark.parametrize("text", ["", "7", "d", "-1d", -1, "7 days ago", None])
def test_what_is_no_duration_is_refused(text: Any) -> None:
    with pytest.raises(Invalid):
        declared.duration(text)
