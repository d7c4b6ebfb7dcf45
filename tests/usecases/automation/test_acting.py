"""What policies do on alerts beside running pipelines: roll back, hold releases, tell people; and what is checked of it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from loopline.core.errors import Conflict, NotFound
from loopline.usecases.automation.acting import Acting
from loopline.usecases.automation.execution import Execution
from loopline.usecases.automation.holds import Holds

pytestmark = pytest.mark.unit
BLAMED = {"model": "delays", "version": 3, "message": "auc is low"}


class Served:
    """An endpoint that answers with a version; going back answers the one before."""

    def __init__(self, version: int = 3, alias: str | None = None, before: int = 2) -> None:
        self.version, self.alias, self.before = version, alias, before
        self.back: list[str] = []

    def endpoint(self, name: str) -> Any:
        return SimpleNamespace(name=name, model="delays", alias=self.alias, live=7, traffic=None)

    def revision(self, name: str, number: int) -> Any:
        return SimpleNamespace(model="delays", version=self.version, revision=number)

    def rollback(self, name: str, actor: str) -> Any:
        if not self.before:
            raise Conflict(f"{name} has nothing to go back to.")
        self.back.append(actor)
        self.version, self.before = self.before, 0
        return SimpleNamespace(version=self.version, revision=8)


class Acts:
    """A world whose policies act on real holds and on a fake endpoint."""

    def __init__(self, world: Any, served: Served) -> None:
        self.world, self.served = world, served
        self.told: list[tuple[str, list[str]]] = []
        self.moved: list[tuple[str, str]] = []
        self.holds = Holds(world.loopline.database, world.clock, world.loopline.ledger)

    def run(self) -> Any:
        """Take notice of all facts, execute what was asked for; answers the last firing."""
        self.world.automation.tick()
        messages: Any = SimpleNamespace(tell=lambda alert, channels: self.told.append((alert, list(channels))))
        promotion: Any = SimpleNamespace(rollback=self._moved_back)
        acting = Acting(self.world.clock, self.holds, self.served, promotion, messages)
        while firing := self.world.automation.next_requested():
            Execution(
                self.world.automation, self.world.projects, lambda: self.world.releases, self.world.promotion,
                self.world.releases, self.world.said.append, act=acting,
            ).execute(firing.id)  # fmt: skip
        return self.world.automation.firings()[0]

    def _moved_back(self, model: str, alias: str, actor: str, reason: str = "") -> int:
        self.moved.append((f"{model}@{alias}", reason))
        return 2


def policy(do: str, **more: Any) -> dict[str, Any]:
    return {"mend": {"on": "alert", "do": do, "when": {"cause": "performance"}, **more}}


def test_an_endpoint_goes_back_when_the_blamed_version_answers(world: Any) -> None:
    acts = Acts(world, Served())
    world.apply(policies=policy("roll_back"))
    world.alert(**BLAMED)
    firing = acts.run()
    assert (firing.state, firing.reason) == ("done", "late goes back to version 2 (revision 8)")
    assert acts.served.back == ["policy:mend"]
    assert "late goes back" in " ".join(world.automation.why(firing.id).sentences)


def test_an_endpoint_that_follows_an_alias_goes_back_with_it(world: Any) -> None:
    acts = Acts(world, Served(alias="production"))
    world.apply(policies=policy("roll_back"))
    world.alert(**BLAMED)
    assert acts.run().reason == "delays@production went back to version 2, and late with it"
    assert acts.moved == [("delays@production", "policy mend: alert a1")]


@pytest.mark.parametrize(
    ("served", "body", "state", "said"),
    [
        (Served(version=4), BLAMED, "done", "not rolled back: late answers with delays:4, the alert blames delays:3"),
        (Served(before=0), BLAMED, "failed", "late has nothing to go back to."),
        (Served(), BLAMED | {"version": None}, "failed", "The alert blames no version"),
    ],
    ids=["another answers", "nothing before", "no version"],
)
def test_nothing_goes_back_without_reason(world: Any, served: Served, body: Any, state: str, said: str) -> None:
    acts = Acts(world, served)
    world.apply(policies=policy("roll_back"))
    world.alert(**body)
    firing = acts.run()
    assert firing.state == state
    assert said in firing.reason
    assert acts.served.back == []


def test_releases_are_held_until_the_alert_is_resolved(world: Any) -> None:
    acts = Acts(world, Served())
    world.apply(policies=policy("hold"))
    world.alert(**BLAMED)
    assert acts.run().reason == "releases of delays are held until alert a1 is resolved"
    assert world.automation.held("delays") == "alert a1 on late is open: auc is low"
    assert world.automation.held("other") == ""
    world.tell("alert.resolved", "endpoint:late", "monitor", alert="a1")
    world.automation.tick()
    assert world.automation.held("delays") == ""
    assert [hold.lifted_by for hold in world.automation.holds(everything=True)] == ["monitor"]
    assert world.kinds().count("releases.held") == world.kinds().count("releases.released") == 1


def test_an_alert_that_was_resolved_meanwhile_holds_nothing(world: Any) -> None:
    acts = Acts(world, Served())
    world.apply(policies=policy("hold"))
    world.alert(**BLAMED)
    world.automation.tick()
    world.tell("alert.resolved", "endpoint:late", "monitor", alert="a1")
    world.automation.tick()
    acts.run()
    assert world.automation.held("delays") == ""


def test_an_admin_lifts_a_hold(world: Any) -> None:
    acts = Acts(world, Served())
    world.apply(policies=policy("hold"))
    world.alert(**BLAMED)
    acts.run()
    assert [hold.alert for hold in world.automation.lift("delays", "anna")] == ["a1"]
    with pytest.raises(NotFound, match="Nothing holds"):
        world.automation.lift("delays", "anna")


def test_people_are_told_through_the_channels_that_a_policy_names(world: Any) -> None:
    acts = Acts(world, Served())
    world.apply(policies=policy("notify", notify=["night", "day"]))
    world.alert(**BLAMED)
    assert acts.run().reason == "told night, day of alert a1"
    assert acts.told == [("a1", ["flights/night", "flights/day"])]


def test_one_more_cause_of_an_incident_sets_its_policy_off_once(world: Any) -> None:
    acts = Acts(world, Served())
    world.apply(policies=policy("roll_back"))
    world.alert(**BLAMED | {"cause": "data_quality"})
    world.automation.tick()
    assert world.automation.firings() == []
    for _ in range(2):
        world.tell("alert.grew", "endpoint:late", "monitor", alert="a1", endpoint="late", cause="performance", **BLAMED)
    assert acts.run().state == "done"
    assert len(world.automation.firings()) == 1


def test_it_repeats_while_one_more_cause_stays(world: Any) -> None:
    world.apply(
        policies={"again": {"on": "alert", "run": "training", "repeat": "7d", "when": {"cause": "performance"}}}
    )
    world.alert(**BLAMED | {"cause": "drift"})
    world.tell("alert.grew", "endpoint:late", "monitor", alert="a1", endpoint="late", cause="performance", **BLAMED)
    world.automation.tick()
    world.execute()
    world.clock.move(days=8)
    world.automation.tick()
    assert world.automation.firings()[0].cause.endswith("still open after 1 times 1w")


def test_by_hand_nothing_says_what_it_is_about(world: Any) -> None:
    acts = Acts(world, Served())
    world.apply(policies=policy("roll_back"))
    world.automation.fire("mend", "anna")
    firing = acts.run()
    assert firing.state == "failed"
    assert "No alert set 'mend' off" in firing.reason


def test_the_graph_shows_what_it_does_and_what_follows(world: Any) -> None:
    world.apply(
        endpoints={"late": {"model": "delays", "alias": "production"}},
        policies={
            "back": {"on": "alert", "do": "roll_back", "when": {"endpoint": "late"}},
            "stop": {"on": "alert", "do": "hold"},
            "tell": {"on": "alert", "do": "notify", "notify": ["night"]},
            "after": {"on": "deployment.live", "when": {"endpoint": "late"}, "gate": "g", "model": "delays"},
        },
    )
    graph = world.automation.graph()
    assert {node.name for node in graph.nodes if node.kind == "action"} == {
        "roll back late", "hold releases of what the alert is about", "tell night",
    }  # fmt: skip
    edges = {(edge.source, edge.target) for edge in graph.edges}
    assert ("policy:flights/back", "action:flights/back") in edges
    assert ("fact:deployment.live late", "policy:flights/after") in edges


def test_a_schedule_that_stands_still_and_a_firing_that_waits_are_found(world: Any) -> None:
    world.apply(policies={"nightly": {"on": "schedule", "cron": "0 3 * * *", "run": "training"}})
    world.automation.tick()
    assert world.automation.stuck() == []
    world.clock.move(hours=3, minutes=40)
    assert "the schedule 'nightly' of flights should have come at 2026-01-01T03:00" in world.automation.stuck()[0]
    world.automation.tick()
    assert world.automation.stuck() == []
    world.clock.move(hours=7)
    assert "waits since" in world.automation.stuck()[0]
