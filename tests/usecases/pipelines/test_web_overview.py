"""A run counted where it lies: many steps, maps, searches, runs that took everything over, pages that stay quick."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loopline.core.errors import Invalid, NotFound
from loopline.core.verbs import Caller, Role
from loopline.testing.factories import installation
from loopline.usecases.pipelines.project import forget

pytestmark = pytest.mark.integration
ADA = Caller("ada", Role.ADMIN)
CODE = """
from loopline import pipeline, step


@step
def one(x: int) -> int:
    return x + 1


@step
def score(x: int) -> float:
    if x == 7:
        raise ValueError("seven")
    print("scored", x)
    return x * 1.0


@step
def fit(rate: float) -> dict:
    return {"loss": (rate - 0.5) ** 2}


@pipeline
def chain(n: int = 1000) -> int:
    x = 0
    for _ in range(n):
        x = one(x)
    return x


@pipeline
def wide(n: int = 6) -> list:
    return score.map(over="x", x=list(range(n)))


@pipeline
def searching(trials: int = 6) -> dict:
    return fit.search(space={"rate": (0.0, 1.0)}, trials=6, measure="loss", sampler="random")
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "many").mkdir()
    (tmp_path / "many" / "pipeline.py").write_text(CODE)
    with installation(tmp_path) as loopline:
        yield loopline, tmp_path / "many"
    forget({str(tmp_path / "many")})


def run(place: Any, pipeline: str, **params: Any) -> Any:
    loopline, folder = place
    return loopline.pipelines.run(folder, pipeline, params, actor="ada", executor="inline")


def page(loopline: Any, run_id: str) -> str:
    from loopline.shells.http.pages import calls, templates
    from loopline.usecases.pipelines import web

    data = web.run(calls(loopline, ADA), {"run_id": run_id})
    return templates().get_template("pipelines/run.html").render(tab="runs", caller=ADA, params={}, **data)


def test_the_page_of_a_thousand_steps_is_quick_and_says_what_it_leaves_out(place: Any) -> None:
    done = run(place, "chain")
    page(place[0], done.run_id)
    took = []
    for _ in range(3):
        began = time.thread_time()
        text = page(place[0], done.run_id)
        took.append(time.thread_time() - began)
    assert min(took) < 0.3
    assert len(text) < 400_000
    assert "150 of 1,000 steps" in text
    assert "Layers 1 to 40 of 1,000" in text


def test_a_map_is_counted_and_its_failed_call_comes_first(place: Any) -> None:
    found = place[0].pipelines.overview(run(place, "wide", n=9).run_id, most=4)
    (step,) = found.steps
    assert (step.kind, step.status, step.calls, step.counts) == ("map", "failed", 9, {"ran": 8, "failed": 1})
    assert [one.label for one in found.calls["score"]] == ["score[7]", "score[0]", "score[1]", "score[2]"]
    assert (found.total, found.done) == (9, 9)
    assert found.logs[0].label == "score[7]"
    assert "ValueError: seven" in found.logs[0].text


def test_what_was_taken_over_wholly_counts_as_hits(place: Any) -> None:
    run(place, "wide")
    again = run(place, "wide")
    found = place[0].pipelines.overview(again.run_id)
    assert found.counts == {"hit": 6}
    assert {one.status for one in found.calls["score"]} == {"hit"}
    assert found.steps[0].after is None
    assert found.logs == ()


def test_trials_have_their_parameters_and_numbers_also_from_the_cache(place: Any) -> None:
    first, again = run(place, "searching"), run(place, "searching")
    for one in (first, again):
        trials = place[0].pipelines.overview(one.run_id).calls["fit"]
        assert len(trials) == 6
        assert all(one.value == pytest.approx((float(one.params["rate"]) - 0.5) ** 2, abs=1e-4) for one in trials)


def test_what_cannot_be_asked_is_said(place: Any) -> None:
    loopline, _ = place
    with pytest.raises(NotFound, match="no run '0000'"):
        loopline.pipelines.overview("0000")
    other = loopline.tracking.start("plain", actor="ada")
    with pytest.raises(NotFound, match="is no pipeline run"):
        loopline.pipelines.overview(other.id)
    with pytest.raises(Invalid, match="cannot be told"):
        loopline.pipelines.overview(run(place, "wide").run_id, most=-1)


def test_calls_that_have_not_begun_are_counted_as_waiting(tmp_path: Path) -> None:
    from loopline.usecases.pipelines.overview import await_rest

    counts = {"score": {"ran": 30, "running": 2}, "done": {"ran": 5}}
    await_rest(counts, tmp_path / "calls.json")
    (tmp_path / "calls.json").write_text('{"score": 100, "done": 5, "next": 7, "none": 0}')
    await_rest(counts, tmp_path / "calls.json")
    assert counts == {
        "score": {"ran": 30, "running": 2, "waiting": 68},
        "done": {"ran": 5},
        "next": {"waiting": 7},
        "none": {},
    }
