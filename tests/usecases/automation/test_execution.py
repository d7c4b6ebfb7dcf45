"""Executing a firing: snapshots, pipeline, gate, promotion; taken up again after a crash without doing things twice."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from loopline.core.errors import CheckFailed, Invalid, NotFound
from loopline.kit.owners import is_alive, myself

pytestmark = pytest.mark.integration

GATES = {"champion": {"model": "late", "promote_to": "production"}}
RETRAIN = {
    "on": "alert",
    "run": "training",
    "params": {"rate": 0.1},
    "gate": "champion",
    "deploy": "automatic",
    "cooldown": "7d",
}


def fired(world: Any, **more: Any) -> None:
    world.apply(policies={"retrain": {**RETRAIN, **more}}, gates=GATES)
    world.alert()
    world.automation.tick()


def only(world: Any) -> Any:
    (firing,) = world.automation.firings()
    return firing


def test_a_firing_goes_the_whole_way(world: Any) -> None:
    fired(world)
    assert world.execute()
    firing = only(world)
    assert (firing.state, firing.run_id, firing.model, firing.version) == ("done", "run1", "late", 1)
    assert (firing.gate_id, firing.verdict, firing.alias, firing.promoted) == ("gate1", "passed", "production", True)
    assert firing.reason == "late:1 passed and is production"
    assert world.promotion.alias == {"production": 1}
    assert world.promotion.gates == [("late", 1, "production", "policy:retrain")]
    (run,) = world.releases.runs
    assert run["ref"] == firing.release == "flights-training-prod".ljust(64, "0")
    assert (run["environment"], run["params"], run["actor"]) == ("prod", {"rate": 0.1}, "policy:retrain")
    assert firing.environment == "prod"
    assert run["tags"]["firing"] == firing.id
    assert world.kinds()[-1] == "policy.finished"
    assert not world.execute()


def test_a_candidate_that_fails_its_gate_stays_where_it_is(world: Any) -> None:
    world.promotion.verdict = "failed"
    fired(world)
    world.execute()
    assert (only(world).state, only(world).verdict, only(world).promoted) == ("done", "failed", False)
    assert only(world).reason == "late:1 did not become production: its gate failed"
    assert world.promotion.alias == {}


@pytest.mark.parametrize(("deploy", "missing"), [("after_approval", ""), ("automatic", "1 approval missing")])
def test_a_candidate_waits_for_its_approval_and_is_then_promoted(world: Any, deploy: str, missing: str) -> None:
    world.promotion.missing = missing
    fired(world, deploy=deploy)
    world.execute()
    assert (only(world).state, only(world).promoted) == ("done", False)
    assert "waits to become production" in only(world).reason
    assert world.promotion.alias == {}
    if missing:
        assert not world.automation.approved("late", 1, world.promotion)
    world.promotion.missing = ""
    assert world.automation.approved("late", 1, world.promotion)
    assert not world.automation.approved("late", 1, world.promotion)
    assert not world.automation.approved("late", 7, world.promotion)
    assert world.promotion.alias == {"production": 1}
    assert (only(world).promoted, only(world).reason) == (True, "late:1 was approved and is production")


def test_a_promotion_that_is_refused_is_told(world: Any) -> None:
    world.promotion.refuses = "The alias moved meanwhile."
    fired(world)
    world.execute()
    assert only(world).reason == "late:1 passed but did not become production: The alias moved meanwhile."


@pytest.mark.parametrize(("conflicts", "gates", "promoted"), [(1, 2, True), (9, 3, False)])
def test_an_alias_that_moved_meanwhile_asks_for_another_gate(
    world: Any, conflicts: int, gates: int, promoted: bool
) -> None:
    world.promotion.conflicts = conflicts
    fired(world)
    assert world.execute()
    assert (len(world.promotion.gates), only(world).promoted) == (gates, promoted)
    assert promoted or "The alias moved since the gate." in only(world).reason


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ZeroDivisionError("by zero"), "ZeroDivisionError: by zero"),
        (CheckFailed("No batch.", "Mend it."), "No batch. Mend it."),
    ],
)
def test_whatever_breaks_makes_the_firing_fail(world: Any, error: Exception, words: str) -> None:
    world.releases.breaks = error
    fired(world)
    assert not world.execute()
    assert (only(world).state, only(world).reason) == ("failed", words)
    assert world.kinds()[-1] == "policy.failed"
    assert world.promotion.gates == []


def test_a_failed_run_is_a_failed_firing(world: Any) -> None:
    world.releases.status = "failed"
    fired(world)
    assert not world.execute()
    assert only(world).reason == "The run run1 of 'training' failed: no rows"


def test_a_policy_without_a_pipeline_judges_what_its_cause_names(world: Any) -> None:
    judge = {"on": "model.version_registered", "gate": "champion", "deploy": "automatic"}
    world.apply(policies={"judge": judge}, gates=GATES)
    world.tell("model.version_registered", "late/4", model="late", version=4, run_id="r")
    world.automation.tick()
    assert world.execute()
    assert world.promotion.alias == {"production": 4}
    assert world.releases.runs == []


def test_a_policy_that_only_notes_is_done(world: Any) -> None:
    world.apply(policies={"note": {"on": "alert"}})
    world.alert()
    world.automation.tick()
    assert world.execute()
    assert only(world).reason == "noted"


def broken_off(world: Any) -> str:
    """Begin the firing in a process that dies, as kill -9 leaves it."""
    firing = world.automation.next_requested()
    assert world.automation.begin(firing.id)
    assert world.automation.begin(firing.id) is None
    world.loopline.database.write(lambda tx: tx.run("UPDATE automation_firings SET owner = :owner", {"owner": dead()}))
    return str(firing.id)


def dead() -> str:
    """What `myself` said in a process that has ended."""
    code = "from loopline.kit.owners import myself; print(myself())"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_who_lives_and_who_is_dead() -> None:
    assert is_alive(myself())
    assert not is_alive(dead())
    assert not is_alive("")
    assert not is_alive("another-machine/pid:[1] 1 1")


def test_a_firing_whose_process_died_is_taken_up_again(world: Any) -> None:
    fired(world)
    broken_off(world)
    assert world.automation.next_requested() is None
    assert world.automation.requeue_lost() == 1
    assert world.automation.requeue_lost() == 0
    assert world.execute()
    assert (only(world).state, only(world).attempts) == ("done", 2)


def test_a_living_owner_keeps_its_firing(world: Any) -> None:
    fired(world)
    assert world.automation.begin(only(world).id)
    assert world.automation.requeue_lost() == 0


def test_what_the_broken_attempt_registered_is_used(world: Any) -> None:
    fired(world)
    broken_off(world)
    world.releases.run(
        "", actor="policy:retrain", tags={"firing": only(world).id}
    )  # registered, then killed before it was noted
    world.automation.requeue_lost()
    assert world.execute()
    assert len(world.releases.runs) == 1
    assert (only(world).version, world.promotion.alias) == (1, {"production": 1})


def test_versions_of_earlier_firings_are_not_taken_for_own(world: Any) -> None:
    world.apply(policies={"retrain": {**RETRAIN, "cooldown": 0}}, gates=GATES)
    for name in ("a1", "a2"):
        world.alert(name)
    world.automation.tick()
    assert world.execute()
    assert world.execute()
    assert [firing.version for firing in world.automation.firings()] == [2, 1]


def test_a_gate_that_decided_before_the_crash_is_not_asked_again(world: Any) -> None:
    fired(world)
    broken_off(world)
    world.releases.run("", actor="policy:retrain", tags={"firing": only(world).id})
    world.promotion.gate("late", 1, "production", "policy:retrain")
    world.promotion.promote("late", 1, "production", "policy:retrain")
    world.automation.requeue_lost()
    assert world.execute()
    assert len(world.promotion.gates) == 1
    assert (only(world).promoted, only(world).reason) == (True, "late:1 is production")


def test_a_firing_that_always_kills_its_process_fails_in_the_end(world: Any) -> None:
    fired(world)
    for _ in range(5):
        broken_off(world)
        world.automation.requeue_lost()
    assert (only(world).state, only(world).reason) == (
        "failed",
        f"its process ended 5 times: see logs/firing-{only(world).id}.log",
    )


def test_by_hand_the_cooldown_is_not_asked(world: Any) -> None:
    fired(world)
    made = world.automation.fire("retrain", "ada", params={"rate": 0.2})
    assert (made.state, made.fired_by, made.because) == ("requested", "ada", None)
    assert made.rules.params == {"rate": 0.2}
    assert world.execute()
    assert world.execute()
    assert world.releases.runs[1]["params"] == {"rate": 0.2}
    with pytest.raises(NotFound, match="no policy 'other'"):
        world.automation.fire("other", "ada")
    world.apply("second", policies={"retrain": RETRAIN})
    with pytest.raises(Invalid, match="Several projects"):
        world.automation.fire("retrain", "ada")
    assert world.automation.fire("retrain", "ada", "second").project == "second"


def test_why_tells_the_story(world: Any) -> None:
    fired(world)
    waiting = world.automation.why(only(world).id)
    assert waiting.sentences[-1] == "It waits to be executed."
    world.execute()
    story = world.automation.why(only(world).id)
    assert story.because.kind == "alert.opened"
    assert [fact.kind for fact in story.did] == ["model.version_registered", "policy.finished"]
    assert story.sentences[-2:] == [
        "The gate gate1 for production says passed.",
        "Done: late:1 passed and is production.",
    ]
    with pytest.raises(NotFound):
        world.automation.why("nothing")


def test_policies_say_how_they_stand(world: Any) -> None:
    fired(world)
    (standing,) = world.automation.policies()
    assert (standing.policy.name, standing.firings, standing.next_at) == ("retrain", 1, None)
    assert standing.last.id == only(world).id
    assert standing.rests_until == "2013-07-01T00:00:00Z"
