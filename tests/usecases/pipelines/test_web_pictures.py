"""What the pages of a run draw: layers, lines, bars, what has no room, the best trial."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from loopline.usecases.pipelines import web
from loopline.usecases.pipelines.drawing import MOST_BESIDE, MOST_LAYERS, WIDE, depths, drawing
from loopline.usecases.pipelines.timeline import MOST_BARS, marks, shares, timeline

pytestmark = pytest.mark.unit


def viewed(label: str, status: str = "ran", needs: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    plain = {"label": label, "step": label, "status": status, "kind": "step", "needs": needs, "direction": ""}
    timed = {"calls": 0, "counts": {}, "after": None, "until": None, "seconds": 0.0, "attempts": 1, "error": ""}
    return {**plain, **timed, **more}


def names(found: dict[str, Any]) -> list[str]:
    return [box["label"] for box in found["boxes"]]


def test_each_step_stands_beneath_all_that_it_needs() -> None:
    steps = [viewed("load"), viewed("clean", needs=("load",)), viewed("train", needs=("clean", "load"))]
    assert depths(steps) == {"load": 0, "clean": 1, "train": 2}
    found = drawing(steps)
    places = {box["label"]: (box["x"], box["y"]) for box in found["boxes"]}
    assert places["load"][1] < places["clean"][1] < places["train"][1]
    assert len(found["lines"]) == 3
    assert max(line.count("C") for line in found["lines"]) == 3, "the line from load to train passes beside clean"
    assert found["width"] >= WIDE


def test_boxes_of_a_row_do_not_touch() -> None:
    steps = [viewed("load"), *(viewed(f"part{n}", needs=("load",)) for n in range(6)), viewed("end", needs=("load",))]
    row = sorted(box["x"] for box in drawing(steps)["boxes"] if box["label"] != "load")
    assert all(right - left > WIDE for left, right in itertools.pairwise(row))


def test_of_a_wide_layer_those_are_drawn_that_failed_or_run() -> None:
    steps = [viewed(f"s{n}") for n in range(40)]
    steps[30], steps[35] = viewed("s30", "failed"), viewed("s35", "running")
    found = drawing(steps)
    assert len(found["boxes"]) == MOST_BESIDE
    assert {"s30", "s35"} <= set(names(found))
    assert found["left"] == 40 - MOST_BESIDE


def test_of_a_thousand_layers_those_around_the_one_that_runs_are_drawn() -> None:
    steps = [
        viewed(f"s{n}", "ran" if n < 500 else "running" if n == 500 else "waiting", (f"s{n - 1}",) if n else ())
        for n in range(1000)
    ]
    found = drawing(steps)
    assert "s500" in names(found)
    assert len(found["boxes"]) == MOST_LAYERS
    assert (found["layers"], found["last"] - found["first"] + 1) == (1000, MOST_LAYERS)


def test_a_map_tells_its_calls_and_what_went_wrong_first() -> None:
    counts = {"hit": 3, "ran": 8, "failed": 1}
    box = drawing([viewed("score", "failed", kind="map", calls=12, counts=counts)])["boxes"][0]
    assert box["said"] == "12 calls: 1 failed, 3 hit, 8 ran"
    assert box["several"]


def test_every_state_has_a_shape_of_its_own() -> None:
    states = ("hit", "ran", "failed", "running", "cancelled", "skipped", "waiting")
    shapes = {drawing([viewed("one", state)])["boxes"][0]["glyph"] for state in states}
    assert len(shapes) == len(states)


def test_an_empty_run_draws_nothing() -> None:
    assert drawing([])["boxes"] == []
    assert timeline([], 0.0)["bars"] == []


def test_bars_begin_and_end_with_their_steps() -> None:
    steps = [viewed("a", after=0.0, until=2.0), viewed("b", "running", after=2.0), viewed("c", "hit")]
    found = timeline(steps, 4.0)
    first, second = found["bars"]
    assert (first["x"], first["x"] + first["wide"]) == (236.0, second["x"])
    assert (second["seconds"], second["wide"]) == (2.0, first["wide"])
    assert (
        len(timeline([viewed(f"s{n}", after=float(n), until=n + 1.0) for n in range(99)], 100.0)["bars"]) == MOST_BARS
    )


@pytest.mark.parametrize(("whole", "last"), [(0.03, 0.03), (4.0, 4.0), (59.0, 50.0), (3600.0, 3000.0)])
def test_the_axis_has_round_marks(whole: float, last: float) -> None:
    found = marks(whole)
    assert found[0] == 0
    assert len(found) <= 7
    assert found[-1] == pytest.approx(last)


def test_the_bar_of_shares_is_filled_by_all_that_is_known() -> None:
    pieces = shares({"hit": 1, "waiting": 3}, 4)
    assert [(one["status"], one["x"], one["wide"]) for one in pieces] == [("hit", 0, 250), ("waiting", 250, 750)]


@pytest.mark.parametrize(("direction", "best"), [("minimize", 2), ("maximize", 0)])
def test_the_best_trial_is_marked(direction: str, best: int) -> None:
    trials = [{"params": {"rate": "1"}, "value": value} for value in (3.0, None, 1.0)]
    found = web.searched(viewed("fit", kind="search", direction=direction, calls=3), trials)
    assert found["best"] == best
    assert found["plot"]["series"][1]["points"][-1] == [2, 1.0 if direction == "minimize" else 3.0]


def test_the_command_that_takes_a_run_up_names_what_failed() -> None:
    run = {"run_id": "0123456789abcdef", "release": "", "environment": ""}
    found = {"run": run, "steps": [viewed("load"), viewed("my step", "failed")]}
    assert web.again(found) == "loopline rerun 01234567 --from 'my step'"
    released = {**found, "run": {**run, "release": "ab" * 32, "environment": "prod"}}
    assert web.again(released) == "loopline run abababababab --environment prod"


def test_of_many_steps_those_are_listed_that_failed() -> None:
    steps = [viewed(f"s{n}") for n in range(1000)]
    steps[900] = viewed("s900", "failed")
    listed = web.shown(steps)
    assert len(listed) == web.MOST_STEPS
    assert listed[-1]["label"] == "s900"
    assert [web.fits(steps[900], {"status": state, "q": "S9"}) for state in ("failed", "ran")] == [True, False]
