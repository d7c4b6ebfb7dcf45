"""Every mistake in loopline.yaml is told at once, with line, column and what was probably meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loopline.core.errors import Invalid
from loopline.usecases.projects.checking import checked, checked_data, schema
from loopline.usecases.projects.model import gate_rules, monitor_rules, policies_of
from loopline.usecases.projects.plans import differences

pytestmark = pytest.mark.unit

GOOD = """\
project: late
owner: ada
datasets:
  flights: {folder: data/flights, contract: "contract.py:flights"}
  orders: {url: "postgresql://me:${PASSWORD}@host/db", query: SELECT 1}
pipelines:
  training:
  scoring: {file: flows/score.py, function: main}
gates:
  late: {model: late, promote_to: production, slices: [carrier, {column: origin, minimum_rows: 50}], slice_minimum: 100}
endpoints:
  late: {model: late, alias: production, key: id, event_time: at}
monitors:
  late: {endpoint: late, window: week, missing_share: 0.1, quality: [{metric: lead, over: naive, lower_limit: -0.01}]}
policies:
  retrain: {on: alert, run: training, gate: late, deploy: automatic, cooldown: 4w}
schedules:
  monday: {cron: 0 6 * * 1, timezone: Europe/Paris, run: training}
"""


def refused(text: str) -> list[str]:
    with pytest.raises(Invalid) as caught:
        checked(text)
    return caught.value.message.splitlines()


def test_a_good_file_becomes_plain_data() -> None:
    config = checked(GOOD)
    assert config["datasets"]["flights"] == {"folder": "data/flights", "contract": "contract.py:flights"}
    assert config["pipelines"] == {"training": None, "scoring": {"file": "flows/score.py", "function": "main"}}
    assert checked_data(config) == config


def test_all_mistakes_come_at_once_with_their_places() -> None:
    text = (
        GOOD.replace("owner:", "ownr:")
        .replace("window: week", "window: year")
        .replace("run: training}", "run: trainin}")
    )
    text = text.replace("file: flows/score.py", "file: 3")
    assert refused(text) == [
        "loopline.yaml:2:1: 'ownr' is not known here; did you mean 'owner'?",
        "loopline.yaml:8:19: pipelines.scoring.file: expected text, found 3",
        'loopline.yaml:14:34: monitors.late.window: expected day or hour or month or week, found "year"',
        "loopline.yaml:18:58: schedules.monday.run: 'trainin' is not known here; did you mean 'training'?",
    ]


@pytest.mark.parametrize(
    ("change", "line", "words"),
    [
        (("folder: data/flights, ", ""), 4, "one source"),
        (("folder: data/flights", "folder: a, query: SELECT 1"), 4, "one source"),
        (('url: "postgresql://me:${PASSWORD}@host/db", ', ""), 5, "needs the url"),
        (("${PASSWORD}", "hunter2"), 5, "no password"),
        (("contract.py:flights", "contract"), 4, "not written as it must be"),
        (("endpoint: late", "endpoint: lat"), 14, "did you mean 'late'?"),
        (("over: naive, ", ""), 14, "needs `over`"),
        (("window: week", "metric: ndcg"), 14, "ndcg needs `group`"),
        (("window: week", "metrics: [auc, map]"), 14, "map needs `group`"),
        (("window: week", "metric: cost"), 14, "cost needs `costs`"),
        (("window: week", "drift: {reference: fixed}"), 14, "needs `start` and `end`"),
        (("window: week", "drift: {reference: fixed, start: soon, end: 2026-06-01}"), 14, "'soon' is no date"),
        (("window: week", "drift: {reference: fixed, start: 2026-06-02, end: 2026-06-01}"), 14, "later than start"),
        (("window: week", "drift: {start: 2026-06-02}"), 14, "only beside `reference: fixed`"),
        (("on: alert", "on: alert, when: {cause: [performence, drift]}"), 16, "did you mean 'performance'?"),
        (("on: alert", "on: alert, when: {cause: x}"), 16, "there are performance, estimate,"),
        (("gate: late", "gate: early"), 16, "known are late"),
        (("cooldown: 4w", "cooldown: a while"), 16, "no duration"),
        (("run: training, gate: late, ", ""), 16, "does something"),
        (("on: alert", "on: schedule"), 16, "needs cron"),
        (("on: alert", "on: Alert"), 16, "'Alert' is no cause; write alert, schedule"),
        (("0 6 * * 1", "0 6 * *"), 18, "no schedule"),
        (("Europe/Paris", "Europe/Pari"), 18, "no time zone"),
        (("monday:", "retrain:"), 18, "a policy has the name"),
        (("project: late", "project: a b"), 1, "not written as it must be"),
        (("project: late\n", ""), 1, "'project' is missing"),
        (("slices: [carrier", "slices: [3"), 10, "expected text or a mapping, found 3"),
        (("  late: {model: late, promote", "  other: {model: late, promote_to: production}\n  late: {model: late, promote"), 11, "already"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_line(change: tuple[str, str], line: int, words: str) -> None:
    assert change[0] in GOOD
    (message,) = refused(GOOD.replace(*change, 1))
    assert message.startswith(f"loopline.yaml:{line}:")
    assert words in message


@pytest.mark.parametrize("value", [".nan", "-.inf", '"\\ud800"', '["\\udfff"]'])
def test_what_cannot_be_kept_is_refused(value: str) -> None:
    policy = f"policies: {{p: {{on: alert, run: training, gate: late, when: {{x: {value}}}}}}}"
    (message,) = refused(GOOD[: GOOD.index("policies:")] + policy)
    assert message.startswith("loopline.yaml:15:")


@pytest.mark.parametrize("text", ["", "[]", "3", "a: [", "project: x\nproject: y", "\x00", "project: {a: 1}"])
def test_what_is_no_project_is_refused(text: str) -> None:
    assert refused(text)[0].startswith("loopline.yaml:")


def test_a_flood_of_mistakes_is_cut() -> None:
    lines = refused("project: x\n" + "\n".join(f"k{n}: 1" for n in range(50)))
    assert len(lines) == 21
    assert lines[-1] == "and 30 more"


@pytest.mark.parametrize(
    ("policy", "place", "words"),
    [
        ("{on: alert, do: roll_back, run: training}", "15:42", "no meaning beside `do: roll_back`"),
        ("{on: run.finished, do: hold}", "15:34", "only beside `on: alert`"),
        ("{on: alert, do: notify}", "15:12", "needs the channels"),
        ("{on: alert, do: notify, notify: [day]}", "15:48", "known are night"),
        ("{on: alert, do: hold, notify: [night]}", "15:37", "only beside `do: notify`"),
        ("{on: alert, run: training, notify: [night]}", "15:42", "only beside `do: notify`"),
        ("{on: alert, do: run, gate: late}", "15:27", "name the pipeline"),
        ("{on: alert, do: dance}", "15:31", "expected hold"),
    ],
)
def test_what_a_policy_does_is_checked_where_it_stands(policy: str, place: str, words: str) -> None:
    channels = "\nchannels:\n  night: {env: NIGHT}\n"
    (message,) = refused(GOOD[: GOOD.index("policies:")] + f"policies: {{p: {policy}}}{channels}")
    assert message.startswith(f"loopline.yaml:{place}:"), message
    assert words in message


def test_a_gate_becomes_promotions_rules() -> None:
    config = checked(GOOD)
    assert gate_rules(config, config["gates"]["late"]) == {
        "slices": [{"minimum_rows": 100, "column": "carrier"}, {"minimum_rows": 50, "column": "origin"}]
    }
    assert gate_rules({**config, "self_approval": True}, {"model": "m", "promote_to": "p"}) == {"self_approval": True}


def test_a_monitor_becomes_monitorings_rules() -> None:
    rules = monitor_rules(checked(GOOD)["monitors"]["late"])
    assert rules["data_quality"] == {"missing_share": 0.1}
    assert "endpoint" not in rules


def test_schedules_stand_among_the_policies() -> None:
    assert policies_of(checked(GOOD))["monday"]["on"] == "schedule"


def test_what_differs_is_told_section_by_section() -> None:
    before = checked(GOOD)
    text = GOOD.replace("window: week", "window: day").replace(
        "  scoring: {file: flows/score.py, function: main}\n", ""
    )
    told = [(change.kind, change.name, change.what) for change in differences(before, checked(text))]
    assert told == [("pipeline", "scoring", "gone"), ("monitor", "late", "changed")]
    (change,) = differences(before, checked(GOOD.replace("window: week", "window: day")))
    assert change.details == ('window: "week" → "day"',)


def test_the_schema_knows_every_section() -> None:
    made: dict[str, Any] = schema()
    config = made["$defs"]["Config"]["properties"]
    assert {"datasets", "gates", "policies", "monitors"} <= set(config)


def test_the_examples_are_correct() -> None:
    for path in (Path(__file__).parents[3] / "examples").glob("*/loopline.yaml"):
        assert checked(path.read_text())["project"]


def test_policies_may_wait_for_every_cause_that_there_is() -> None:
    from loopline.usecases.monitoring.model.grouping import GRAVITY
    from loopline.usecases.projects.checking_monitors import CAUSES

    assert set(GRAVITY) < set(CAUSES)
    assert checked(GOOD.replace("on: alert", 'on: alert, when: {cause: {"!=": drift}, endpoint: late}'))
