"""Facts that set policies off: finished runs by pipeline, bounds, values handed on, alerts that stay open."""

from __future__ import annotations

from typing import Any

import pytest

from loopline.core.errors import NotFound

pytestmark = pytest.mark.integration


def finished(world: Any, run: str, name: str, experiment: str = "flights", status: str = "finished") -> None:
    """A pipeline run as tracking tells of it."""
    world.tell("run.started", run, name=name, kind="pipeline", experiment=experiment)
    world.tell("run.finished", run, name=name, kind="pipeline", status=status, seconds=1.0, links=[], error="")


@pytest.mark.parametrize(
    ("when", "fires"),
    [
        ({}, 4),  # any run that finished well
        ({"pipeline": "training"}, 1),  # the own project's
        ({"pipeline": "training", "project": ["flights", "other"]}, 2),
        ({"pipeline": "training", "project": "other"}, 1),
        ({"pipeline": ["training", "report"]}, 2),
        ({"pipeline": "training", "status": "failed"}, 1),
        ({"pipeline": "training", "status": ["finished", "failed"]}, 2),
        ({"kind": "run"}, 1),
    ],
)
def test_a_policy_answers_the_runs_of_a_pipeline(world: Any, when: dict[str, Any], fires: int) -> None:
    world.apply(policies={"publish": {"on": "run.finished", "when": when, "gate": "g"}})
    finished(world, "r1", "training")
    finished(world, "r2", "training", status="failed")
    finished(world, "r3", "training", "other")
    finished(world, "r4", "report")
    world.tell("run.started", "r5", name="training", kind="run", experiment="flights")
    world.tell("run.finished", "r5", name="training", kind="run", status="finished")
    assert world.automation.tick().fired == fires


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("dataset.snapshot_taken", {"dataset": "flights", "rows": 1000}),
        ("model.version_registered", {"model": "late", "version": 2}),
        ("release.promoted", {"project": "flights", "pipeline": "training", "environment": "prod"}),
        ("alert.opened", {"alert": "a", "cause": "performance"}),
    ],
)
def test_each_kind_of_fact_can_set_a_policy_off(world: Any, kind: str, body: dict[str, Any]) -> None:
    field, value = next(iter(body.items()))
    world.apply(policies={"one": {"on": kind, "when": {field: value}}, "two": {"on": kind, "when": {field: "x"}}})
    world.tell(kind, "thing", **body)
    assert world.automation.tick().fired == 1


def test_bounds_narrow_too(world: Any) -> None:
    world.apply(policies={"train": {"on": "dataset.snapshot_taken", "when": {"rows": {">=": 100, "<": 200}}}})
    for rows in (99, 100, 199, 200, "many", None):
        world.tell("dataset.snapshot_taken", "flights", rows=rows)
    assert world.automation.tick().fired == 2


def test_a_fact_hands_its_values_on(world: Any) -> None:
    policy = {"on": "dataset.snapshot_taken", "run": "training", "params": {"rate": 1, "rows": 0},
              "params_from": {"rows": "rows", "first": "about.first", "none": "none"}}  # fmt: skip
    world.apply(policies={"train": policy})
    world.tell("dataset.snapshot_taken", "flights", rows=10, about={"first": "2013"})
    world.tell("dataset.snapshot_taken", "flights", rows=[1, 2])
    world.automation.tick()
    bad, good = world.automation.firings()
    assert good.rules.params == {"rate": 1, "rows": 10, "first": "2013"}
    assert (bad.state, bad.reason) == ("skipped", "params: rows is no single value of at most 1000 characters")


def test_an_alert_that_stays_open_sets_its_policy_off_again(world: Any) -> None:
    policy = {"on": "alert", "when": {"endpoint": "late"}, "run": "training", "repeat": "7d"}
    world.apply(policies={"retrain": policy, "once": {**policy, "repeat": None}})
    world.alert("a1", at_first=True)
    world.alert("other", endpoint="early")
    world.clock.set("2026-01-01T00:00:01Z")
    assert world.automation.tick().fired == 2
    world.clock.move(days=8)
    assert world.automation.tick().fired == 0  # it still waits to be executed
    for _ in range(2):
        world.execute()
    world.clock.move(minutes=2)
    assert world.automation.tick().fired == 1
    assert world.another().tick().fired == 0
    again = world.automation.firings()[0]
    assert again.policy == "retrain"
    assert again.cause.startswith("alert.opened endpoint:late, still open after ")
    world.execute()
    world.clock.move(days=6)
    assert world.automation.tick().fired == 0
    other = world.another()  # another process reads the open alerts from the ledger
    world.clock.move(days=2)
    assert other.tick().fired == 1
    world.execute()
    world.tell("alert.resolved", "endpoint:late", "monitor", alert="a1")
    world.clock.move(days=30)
    assert other.tick().fired == 0
    assert world.another().tick().fired == 0


def test_a_policy_that_never_was_has_no_firings_to_list(world: Any) -> None:
    with pytest.raises(NotFound, match="There is no policy 'nowhere'"):
        world.automation.firings("nowhere")
