"""What starts what: the graph, its drawing, and circles that are refused with their path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loopline.core.errors import Invalid
from loopline.usecases.automation.drawing import drawing, lines
from loopline.usecases.projects.checking import checked
from loopline.usecases.projects.checking_policies import refuse_circles
from loopline.usecases.projects.starting import circle, starting

pytestmark = pytest.mark.unit

PIPELINES = {"training": {"registers": "late"}, "report": {}, "tuning": {"registers": "late"}}
GATES = {"champion": {"model": "late", "promote_to": "production"}}


def config(**policies: Any) -> dict[str, Any]:
    return {"pipelines": PIPELINES, "gates": GATES, "policies": policies, "datasets": {"flights": {"folder": "data"}},
            "endpoints": {"late": {"model": "late", "alias": "production"}}}  # fmt: skip


VERSION = {"on": "model.version_registered", "when": {"model": "late"}}
MOVED = {"on": "alias.moved"}
AFTER = {"on": "run.finished", "when": {"pipeline": "training"}}


@pytest.mark.parametrize(
    ("policies", "path"),
    [
        ({"judge": {**VERSION, "gate": "champion", "deploy": "automatic"},
          "again": {**MOVED, "run": "training"}},
         "judge → alias.moved late@production → again → model.version_registered late → judge"),
        ({"judge": {**VERSION, "gate": "champion"}, "again": {**MOVED, "run": "training"}}, ""),  # a person approves
        ({"retrain": {"on": "alert", "run": "training"},
          "judge": {**VERSION, "gate": "champion", "deploy": "automatic"}}, ""),  # an alert comes from outside
        ({"a": {**AFTER, "run": "report"}, "b": {"on": "run.finished", "when": {"pipeline": "report"}, "run": "training"}},
         "a → run.finished report → b → run.finished training → a"),
        ({"a": {**AFTER, "run": "training"}}, "a → run.finished training → a"),
        ({"a": {**VERSION, "run": "training"}}, "a → model.version_registered late → a"),
        ({"a": {"on": "run.finished", "run": "report"}}, ""),  # no policy answers what it did itself
        ({"a": {"on": "run.finished", "run": "report"}, "b": {"on": "run.finished", "run": "training"}},
         "a → run.finished report → b → run.finished training → a"),
        ({"a": {**AFTER, "run": "report"}, "b": {"on": "policy.finished", "when": {"policy": "a"}, "run": "training"}},
         "a → policy.finished a → b → run.finished training → a"),
        ({"a": {**AFTER, "run": "report"},
          "b": {"on": "policy.finished", "when": {"policy": "a"}, "run": "training", "paused": True}}, ""),
        ({"a": {"on": "dataset.snapshot_taken", "run": "training"},
          "b": {"on": "dataset.snapshot_taken", "run": "report"}}, ""),  # only new data makes a snapshot
        ({"a": {"on": "deployment.live", "when": {"endpoint": "late"}, "run": "training"},
          "b": {**VERSION, "gate": "champion", "deploy": "automatic"}},
         "a → model.version_registered late → b → deployment.live late → a"),
    ],
)  # fmt: skip
def test_circles(policies: dict[str, Any], path: str) -> None:
    assert " → ".join(circle({"p": config(**policies)})) == path


YAML = """
project: flights
pipelines:
  training: {registers: late}
  tuning: {registers: late}
policies:
  tune: {on: run.finished, when: {pipeline: training}, run: tuning}
schedules:
  weekly: {cron: "0 6 * * 1", run: training, timezone: Europe/Paris, catch_up: all, jitter: 5m, cooldown: 1h,
           concurrency: 2, when_busy: skip, paused: true}
"""


def test_a_file_with_a_circle_is_refused_where_it_stands() -> None:
    assert checked(YAML)
    closed = YAML.replace(
        "schedules:", "  train: {on: run.finished, when: {pipeline: tuning}, run: training}\nschedules:"
    )
    with pytest.raises(Invalid) as refused:
        checked(closed)
    assert refused.value.message == (
        "loopline.yaml:7:3: policies that set each other off for ever: "
        "tune → run.finished tuning → train → run.finished training → tune"
    )


def test_projects_that_close_a_circle_together_are_refused() -> None:
    one = config(a={"on": "model.version_registered", "when": {"model": "other"}, "run": "training"})
    two = {"pipelines": {"more": {"registers": "other"}}, "policies": {"b": {**VERSION, "run": "more"}}}
    assert not circle({"one": one})
    assert not circle({"two": two})
    with pytest.raises(Invalid, match=r"would close a circle.*a → model\.version_registered late → b"):
        refuse_circles("two", {"one": one, "two": two})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{on: webhook, run: training}", "needs its secret"),
        ("{on: webhook, run: training, secret: {}}", "either env or file"),
        ("{on: webhook, run: training, secret: {env: A, file: b}}", "either env or file"),
        ("{on: alert, run: training, secret: {env: A}}", "only beside `on: webhook`"),
        ("{on: run.finished, run: training, repeat: 7d}", "only beside `on: alert`"),
        ("{on: alert, run: training, catch_up: all}", "only beside `on: schedule`"),
        ("{on: alert, run: training, repeat: soon}", "'soon' is no duration"),
        ("{on: schedule, run: training, cron: 0 6 * * *, jitter: soon}", "'soon' is no duration"),
        ("{on: schedule, run: training, cron: 0 6 * * *, catch_up: some}", "catch_up"),
        ("{on: schedule, run: training, cron: 0 6 * * * *}", "it has 6 fields"),
        ("{on: schedule, run: training, cron: 0 6 31 2 *}", "is no schedule"),
        ("{on: schedule, run: training, when: {cron: 0 6 * *}}", "it has 4 fields"),
        ("{on: schedule, run: training, cron: 0 6 * * *, params_from: {a: b}}", "a schedule gives no values"),
        ("{on: alert, run: training, when: {value: {about: 3}}}", "compares nothing"),
        ("{on: alert, run: training, concurrency: 0}", "concurrency"),
        ("{on: alert, run: training, when_busy: wait}", "when_busy"),
        ("{on: alert, run: training, cooldown: -1}", "cooldown"),
    ],
)
def test_mistakes_are_told(text: str, words: str) -> None:
    with pytest.raises(Invalid) as refused:
        checked(f"project: p\npipelines: {{training: {{}}}}\npolicies:\n  a: {text}\n")
    assert words in refused.value.message


def test_the_example_is_no_circle() -> None:
    folder = Path(__file__).parents[3] / "examples" / "late-arrival"
    found = checked((folder / "loopline.yaml").read_text())
    graph = starting({"late-arrival": found})
    told = list(lines(*as_data(graph)))
    assert "fact alert.opened (endpoint late-arrival, cause performance)" in told
    assert any(line.strip() == "writes fact model.version_registered late-arrival" for line in told)


def as_data(graph: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    import msgspec

    data = msgspec.to_builtins(graph)
    return data["nodes"], data["edges"]


def test_the_graph_holds_every_way_to_start() -> None:
    policies = {
        "weekly": {"on": "schedule", "cron": "0 6 * * 1", "timezone": "Europe/Paris", "run": "training", "environment": "prod"},
        "hook": {"on": "webhook", "run": "report"},
        "judge": {**VERSION, "gate": "champion", "deploy": "automatic"},
        "fresh": {"on": "dataset.snapshot_taken", "when": {"dataset": "flights"}, "run": "report", "paused": True},
    }  # fmt: skip
    graph = starting({"p": config(**policies)})
    said = {(edge.source, edge.label, edge.target) for edge in graph.edges}
    assert said >= {
        ("schedule:p/weekly", "sets off", "policy:p/weekly"),
        ("policy:p/weekly", "runs in prod", "pipeline:p/training"),
        ("pipeline:p/training", "writes", "fact:model.version_registered late"),
        ("pipeline:p/training", "writes", "fact:run.finished training"),
        ("fact:model.version_registered late", "sets off", "policy:p/judge"),
        ("policy:p/judge", "judges, automatic", "gate:late@production"),
        ("gate:late@production", "writes", "fact:alias.moved late@production"),
        ("webhook:p/hook", "sets off", "policy:p/hook"),
        ("fact:dataset.snapshot_taken dataset flights", "sets off", "policy:p/fresh"),
        ("policy:p/weekly", "takes in", "fact:dataset.snapshot_taken dataset flights"),
    }
    nodes, edges = as_data(graph)
    drawn = drawing(nodes, edges)
    boxes = {box["id"]: box for box in drawn["boxes"]}
    assert boxes.keys() == {node["id"] for node in nodes}
    assert len(drawn["curves"]) == len([edge for edge in edges if edge["label"] != "takes in"])
    assert len({(box["x"], box["y"]) for box in boxes.values()}) == len(boxes)
    assert boxes["schedule:p/weekly"]["x"] < boxes["policy:p/weekly"]["x"] < boxes["pipeline:p/training"]["x"]
    assert boxes["policy:p/fresh"]["detail"] == "paused"
    told = list(lines(nodes, edges))
    assert told[0] == "schedule 0 6 * * 1 (Europe/Paris)"
    assert told[1:3] == ["  sets off policy weekly", "    runs in prod pipeline training"]
    assert drawing([], [])["boxes"] == []
