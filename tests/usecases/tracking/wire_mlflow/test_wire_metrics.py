"""MLflow's routes for histories of metrics."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from loopline.core.errors import Invalid
from loopline.usecases.tracking.sampling import stretches

pytestmark = pytest.mark.integration
Call = Callable[..., Any]
INTERVAL = "metrics/get-history-bulk-interval"


def point(step: int, value: Any = 1.0, at: int = 0) -> dict[str, Any]:
    return {"key": "m", "value": value, "timestamp": at or 100 + step, "step": step}


@pytest.fixture
def measured(call: Call, run: str) -> str:
    call("runs/log-batch", run_id=run, metrics=[point(step, step % 3) for step in range(10)])
    return run


def history(call: Call, run_id: str, **more: Any) -> Any:
    return call("metrics/get-history", "GET", run_id=run_id, metric_key="m", **more)


def test_a_history_is_told_by_time_step_and_value(call: Call, run: str) -> None:
    sent = [point(2, "NaN", 5), point(-1, 3, 9), point(7, "Infinity", 5), point(7, -1.5, 5), point(7, -1.5, 5)]
    call("runs/log-batch", run_id=run, metrics=sent)
    found = [(one["timestamp"], one["step"], one["value"]) for one in history(call, run)["metrics"]]
    assert found == [(5, 2, "NaN"), (5, 7, -1.5), (5, 7, "Infinity"), (9, -1, 3.0)]
    data = call("runs/get", "GET", run_id=run)["run"]["data"]
    assert data["metrics"] == [{"key": "m", "value": "Infinity", "timestamp": 5, "step": 7}]


def test_a_history_comes_in_pages_of_which_the_last_names_no_other(call: Call, measured: str) -> None:
    pages = [history(call, measured, max_results="5")]
    while token := pages[-1].get("next_page_token"):
        pages.append(history(call, measured, max_results="5", page_token=token))
    assert [[one["step"] for one in page["metrics"]] for page in pages] == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]


def test_an_unknown_run_or_metric_has_no_history(call: Call, measured: str) -> None:
    assert history(call, "0" * 32) == history(call, "nope") == {}
    assert call("metrics/get-history", "GET", run_id=measured, metric_key="other") == {}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"metric_key": "m"}, "Missing value for required parameter 'run_id'"),
        ({"run_id": "r"}, "Missing value for required parameter 'metric_key'"),
        ({"run_id": "r", "metric_key": "m", "max_results": "0"}, "It must be a positive integer"),
        ({"run_id": "r", "metric_key": "m", "max_results": "x"}, "for parameter 'max_results'"),
        ({"run_id": "r", "metric_key": "m", "page_token": "x"}, "Invalid page token"),
    ],
)
def test_wrong_questions_for_a_history_are_refused(call: Call, fields: Any, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        call("metrics/get-history", "GET", **fields)


def test_histories_of_several_runs_come_one_after_the_other(call: Call, measured: str, experiment: str) -> None:
    other = call("runs/create", experiment_id=experiment)["run"]["info"]["run_id"]
    call("runs/log-batch", run_id=other, metrics=[point(1)])

    def bulk(**fields: Any) -> list[tuple[str, int]]:
        found = call("metrics/get-history-bulk", "GET", metric_key="m", **fields)["metrics"]
        return [(one["run_id"], one["step"]) for one in found]

    everything = sorted([(measured, step) for step in range(10)] + [(other, 1)])
    assert bulk(run_id=[other, measured, "unknown", other]) == everything
    assert bulk(run_id=[other, measured], max_results="4") == everything[:4]
    assert bulk(run_id=other) == [(other, 1)]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"metric_key": "m"}, "must specify at least one run_id"),
        ({"run_id": "r"}, "must specify a metric_key"),
        ({"run_id": ["r"] * 101, "metric_key": "m"}, "cannot specify more than 100 run_ids"),
    ],
)
def test_wrong_questions_for_several_histories_are_refused(call: Call, fields: Any, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        call("metrics/get-history-bulk", "GET", **fields)


def test_points_are_chosen_evenly_and_the_last_is_among_them(call: Call, measured: str) -> None:
    def steps(**fields: Any) -> list[int]:
        found = call(INTERVAL, "GET", run_ids=measured, metric_key="m", **fields).get("metrics", [])
        return [one["step"] for one in found]

    assert steps() == list(range(10))
    assert steps(max_results="3") == [0, 4, 9]
    assert steps(max_results="1") == [9]
    assert steps(max_results="3", start_step="2", end_step="4") == [2, 3, 4]
    assert steps(start_step="20", end_step="30") == []


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"metric_key": "m"}, "Missing value for required parameter 'run_ids'"),
        ({"run_ids": "r"}, "Missing value for required parameter 'metric_key'"),
        ({"run_ids": ["r"] * 101, "metric_key": "m"}, "must specify at most 100 run_ids. Received 101 run_ids"),
        ({"run_ids": "r", "metric_key": "m", "max_results": "0"}, "max_results must be between 1 and 2500"),
        ({"run_ids": "r", "metric_key": "m", "max_results": "2501"}, "max_results must be between 1 and 2500"),
        ({"run_ids": "r", "metric_key": "m", "start_step": "1"}, "both must be specified"),
        ({"run_ids": "r", "metric_key": "m", "start_step": "2", "end_step": "1"}, "end_step must be greater"),
    ],
)
def test_wrong_questions_for_chosen_points_are_refused(call: Call, fields: Any, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        call(INTERVAL, "GET", **fields)


@pytest.mark.parametrize(("count", "most"), [(0, 5), (1, 1), (5, 5), (7, 3), (103, 10), (1_000_000, 2_500)])
def test_stretches_are_equally_long_within_one(count: int, most: int) -> None:
    places = stretches(count, most).tolist()
    assert len(places) == min(count, most)
    assert places == sorted(set(places))
    if count > most > 1:
        lengths = [after - before for before, after in pairwise(places[:-1])]
        assert (places[0], places[-1]) == (0, count - 1)
        assert max(lengths) - min(lengths) <= 1
