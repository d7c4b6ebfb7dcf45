"""A firing belongs to one process at a time: leases with a beat, a fence that grows, places of a pipeline."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import Any

import pytest

from loopline.usecases.automation.leases import LEASE_S, Lost, beating, died_here

pytestmark = pytest.mark.integration

RUN = {"on": "alert", "run": "training"}


def fired(world: Any, alerts: int = 1, **more: Any) -> None:
    world.apply(policies={"retrain": {**RUN, **more}})
    for n in range(alerts):
        world.alert(f"a{n}")
    world.automation.tick()


def elsewhere(world: Any, firing: Any) -> None:
    """The owner is a process of another machine, of which nothing is known here."""
    place = {"owner": "other-boot/pid:[9] 1 1", "id": firing.id}
    world.loopline.database.write(
        lambda tx: tx.run("UPDATE automation_firings SET owner = :owner WHERE id = :id", place)
    )


def test_of_two_that_want_a_firing_one_gets_it(world: Any) -> None:
    fired(world)
    other = world.another()
    firing = world.automation.next_requested()
    first, second = world.automation.begin(firing.id), other.begin(firing.id)
    assert (first.fence, second) == (1, None)
    assert other.next_requested() is None
    assert other.begin(firing.id, fence=7) is None
    assert other.begin(firing.id, fence=1).fence == 1  # the process for which it was claimed


def test_a_lease_ends_when_its_beat_stands_still(world: Any) -> None:
    fired(world)
    firing = world.automation.begin(world.automation.next_requested().id)
    elsewhere(world, firing)
    watcher = world.another()
    assert watcher.requeue_lost() == 0
    for _ in range(4):  # as long as it beats, it is not taken over, however long it takes
        world.seconds += LEASE_S - 1
        assert world.automation.renew(firing)
        assert watcher.requeue_lost() == 0
    world.clock.move(days=1)  # the clock on the wall decides nothing
    assert watcher.requeue_lost() == 0
    world.seconds += LEASE_S - 1
    assert watcher.requeue_lost() == 0
    world.seconds += 1
    assert watcher.requeue_lost() == 1
    assert watcher.firing(firing.id).state == "requested"


def test_who_lost_its_lease_can_write_no_more(world: Any) -> None:
    fired(world)
    stalled = world.automation.begin(world.automation.next_requested().id)
    elsewhere(world, stalled)
    other = world.another()
    other.requeue_lost()
    world.seconds += LEASE_S
    assert other.requeue_lost() == 1
    assert not world.automation.renew(stalled)
    now = other.begin(stalled.id)
    assert (now.fence, now.attempts) == (3, 2)
    for write in (
        lambda: world.automation.made(stalled, "r", "late", 1),
        lambda: world.automation.judged(stalled, "g", "passed", "production"),
        lambda: world.automation.ran(stalled, "prod", "d"),
        lambda: world.automation.ended(stalled, "done", "late"),
    ):
        with pytest.raises(Lost, match="taken over"):
            write()
    assert not world.automation.give_back(stalled)
    other.ended(now, "done", "well")
    assert world.automation.firing(now.id).reason == "well"
    assert world.kinds().count("policy.finished") == 1
    with pytest.raises(Lost):
        other.ended(now, "failed", "again")


def test_an_execution_that_lost_its_firing_ends_without_a_word_to_others(world: Any) -> None:
    fired(world)
    firing = world.automation.next_requested()

    def taken(*_: Any, **__: Any) -> Any:
        world.loopline.database.write(lambda tx: tx.run("UPDATE automation_firings SET fence = fence + 1"))
        return run(*_, **__)

    run, world.releases.run = world.releases.run, taken
    assert not world.execution().execute(firing.id)
    assert world.automation.firing(firing.id).state == "running"
    assert "taken over by another process" in world.said[-1]


def test_a_dead_process_of_this_machine_is_known_at_once(world: Any) -> None:
    code = "from loopline.kit.owners import myself; print(myself())"
    gone = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert died_here(gone)
    assert not died_here("other-boot/pid:[9] 1 1")
    assert not died_here("")


def test_the_beat_goes_on_until_the_end_and_tells_of_a_loss() -> None:
    answers, lost, beaten = iter([True, True, False]), threading.Event(), threading.Event()

    def renew() -> bool:
        beaten.set()
        return next(answers)

    with beating(renew, lost.set, every_s=0.001):
        assert beaten.wait(5)
        assert lost.wait(5)
    assert not [one for one in threading.enumerate() if one.name == "beat"]


def test_a_pipeline_runs_as_often_at_once_as_it_may(world: Any) -> None:
    world.apply(policies={"retrain": RUN, "second": {**RUN, "concurrency": 2}, "other": {**RUN, "run": "report"}})
    world.alert("a1")
    world.automation.tick()
    other = world.another()
    first = world.automation.begin(world.automation.next_requested().id)
    assert first.policy == "retrain"
    second = other.begin(other.next_requested().id)
    assert second.policy == "second"  # two may run beside each other, it says
    third = other.next_requested()
    assert third.policy == "other"  # of another pipeline
    world.alert("a2")
    world.automation.tick()
    assert world.automation.next_requested(frozenset({third.id})) is None
    world.automation.ended(first, "done", "")
    other.ended(second, "done", "")
    assert world.automation.next_requested(frozenset({third.id})).policy == "retrain"  # in the order of the alerts


def test_many_that_wait_for_one_pipeline_keep_nobody_else_waiting(world: Any) -> None:
    world.apply(policies={"retrain": RUN, "other": {**RUN, "when": {"alert": "late"}, "run": "report"}})
    for n in range(300):
        world.alert(f"a{n}")
    world.alert("late")
    world.automation.tick()
    assert world.automation.begin(world.automation.next_requested().id).policy == "retrain"
    assert world.automation.next_requested().policy == "other"


def test_who_lost_its_firing_promotes_nothing(world: Any) -> None:
    world.apply(policies={"judge": {"on": "model.version_registered", "model": "late", "promote_to": "production",
                                    "deploy": "automatic"}})  # fmt: skip
    world.tell("model.version_registered", "late/1", model="late", version=1)
    world.automation.tick()
    gate = world.promotion.gate

    def judged(*about: Any) -> Any:
        world.loopline.database.write(lambda tx: tx.run("UPDATE automation_firings SET fence = fence + 1"))
        return gate(*about)

    world.promotion.gate = judged
    assert not world.execute()
    assert world.promotion.alias == {}


def test_two_that_want_the_last_place_do_not_both_get_it(world: Any) -> None:
    fired(world, alerts=2)
    newest, oldest = world.automation.firings()
    assert world.automation.begin(oldest.id)
    assert world.another().begin(newest.id) is None
    assert world.automation.firing(newest.id).state == "requested"
    assert world.automation.firing(newest.id).attempts == 0


def test_a_busy_policy_may_skip(world: Any) -> None:
    fired(world, alerts=3, when_busy="skip")
    assert [firing.state for firing in world.automation.firings()] == ["skipped", "skipped", "requested"]
    assert world.automation.firings()[0].reason == "busy: 1 firing of training wait or run already"
    world.execute()
    world.alert("later")
    assert world.automation.tick().fired == 1


def test_a_paused_policy_says_so_and_can_be_set_off_by_hand(world: Any) -> None:
    paused = {"on": "schedule", "cron": "0 * * * *", "run": "training", "paused": True}
    world.apply(policies={"retrain": {**RUN, "paused": True}, "hourly": paused})
    world.alert()
    world.automation.tick()
    assert [(one.state, one.reason) for one in world.automation.firings()] == [
        ("skipped", "paused: its project says so")
    ]
    world.clock.move(days=1)
    assert world.automation.tick().fired == 0
    assert len(world.automation.firings()) == 1
    world.automation.fire("retrain", "ada")
    assert world.execute()


def test_nothing_released_is_said_with_the_way_out(world: Any) -> None:
    fired(world, alerts=2)
    world.releases.nothing_stands = True
    assert not world.execute()
    world.projects.environments = ()
    assert not world.execute()
    second, first = world.automation.firings()
    assert first.reason == (
        "No release of the pipeline 'training' stands in 'prod' of 'flights'. "
        "Run `loopline release training`, then `loopline promote training --env prod`."
    )
    assert second.reason.startswith("The policy 'retrain' does not say in which environment it runs 'training'.")
    assert world.releases.runs == []


def test_a_firing_runs_what_stands_in_its_environment(world: Any) -> None:
    world.apply(policies={"retrain": {**RUN, "environment": "live"}})
    world.alert()
    world.automation.tick()
    assert world.execute()
    assert (world.releases.runs[0]["environment"], world.automation.firings()[0].environment) == ("live", "live")
    assert "release flights-trai in live" in " ".join(world.automation.why(world.automation.firings()[0].id).sentences)
