"""Runs side by side: the page tells what the verb answers, with script and without."""

from __future__ import annotations

import json
from typing import Any

import pytest

from loopline.usecases.tracking.model import Link, Point

pytestmark = pytest.mark.browser
DIFF = "diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -1 +1 @@\n-x = 0\n+x = {}\n"


@pytest.fixture(scope="session")
def trials(site: Any) -> list[str]:
    """Twelve runs whose score rises with their rate."""
    tracking, ids = site.loopline.tracking, []
    for place in range(12):
        around = {
            "git": {"commit": f"{place % 2}a" * 20, "dirty": True, "diff": DIFF.format(place % 3)},
            "distributions": f"numpy==2.4.{place % 2}\npandas==2.3.1",
        }
        params = {"rate": str(place / 10), "kind": "ab"[place % 2], "same": "1"}
        run = tracking.start(f"trial {place}", actor="ada", experiment="trials", params=params, surroundings=around)
        points = [Point("loss", (place + 1) / (1 + step), step, step * 1000) for step in range(40)]
        links = [Link(direction="input", name="flights", digest=f"{place % 2}b" * 32, kind="dataset")]
        tracking.log(run.id, [*points, Point("score", place**2 / 100)], links=links)
        tracking.finish(run.id, actor="ada")
        ids.append(run.id)
    return ids


def cells(visitor: Any, title: str) -> dict[str, list[str]]:
    """The table beneath a heading: the cells of each line by its name."""
    rows = visitor.texts(f"section:has(#{title}) tbody tr")
    return {row.split("\t")[0]: row.split("\t")[1:] for row in rows}


def test_tables_tell_where_few_runs_differ(site: Any, visit: Any, trials: list[str], script: bool) -> None:
    visitor = visit("viewer", script)
    visitor.open(f"/runs/compare?runs={','.join(one[:12] for one in trials[:3])}&target=score")
    found = site.call("tracking.comparison", runs=trials[:3], target="score")
    assert cells(visitor, "params-title") == {"kind": ["a", "b", "a"], "rate": ["0.0", "0.1", "0.2"]}
    visitor.page.check("text=Also what is the same")
    visitor.page.click("button:text-is('Show') >> nth=0")
    visitor.page.wait_for_selector("section:has(#params-title) th:text-is('same')")
    assert cells(visitor, "params-title")["same"] == ["1", "1", "1"]
    assert cells(visitor, "metrics-title")["score"] == ["0", "0.01", "0.04"]
    assert cells(visitor, "around-title") == {"numpy": ["2.4.0", "2.4.1", "2.4.0"]}
    assert cells(visitor, "data-title") == {"flights": ["0b0b0b0b0b0b", "1b1b1b1b1b1b", "0b0b0b0b0b0b"]}
    assert list(cells(visitor, "code-title")) == ["trial 0", "trial 1", "trial 2"]
    assert visitor.texts("pre.diff .added") == [
        line for line in found["difference"].splitlines() if line.startswith("+") and line[:3] != "+++"
    ]
    assert visitor.texts("pre.diff .added") == ["++x = 1"]


def test_many_runs_stand_in_lines_and_their_params_are_weighed(
    site: Any, visit: Any, trials: list[str], script: bool
) -> None:
    visitor = visit("viewer", script)
    visitor.open(f"/runs/compare?runs={','.join(trials)}&target=score&across=params.rate&up=metrics.score")
    found = site.call("tracking.comparison", runs=trials, target="score")
    assert [(one["name"], round(one["share"], 2)) for one in found["importance"]] == [("rate", 1.0), ("kind", 0.0)]
    weights = visitor.texts("section:has(#params-weight-title) table tbody tr")
    assert [text.split()[0] for text in weights] == ["rate", "kind"]
    assert "100 %" in weights[0]
    assert "+1.00" in weights[0]
    assert len(visitor.texts("section:has(#table-title) tbody tr")) == 12
    assert "12 runs, r = +0.96" in visitor.page.locator("section:has(#params-weight-title)").inner_text()


def test_curves_lie_over_each_other_best_first(visit: Any, site: Any, trials: list[str]) -> None:
    visitor = visit("viewer")
    visitor.open(f"/runs/compare?runs={','.join(trials)}&target=score&order=highest&most=3")
    visitor.page.wait_for_selector("figure[data-name=loss] .chart[data-drawn] canvas")
    spec = json.loads(visitor.page.locator("figure[data-name=loss] .chart").get_attribute("data-curves"))
    assert [one["run"] for one in spec["series"]] == trials[:-4:-1]
    assert spec["curves"] == json.loads(json.dumps(site.call("tracking.curves", runs=trials[:-4:-1], keys=["loss"])))
    with visitor.page.expect_response(lambda answer: "/tracking/curves" in answer.url) as waited:
        visitor.page.select_option("select[name=x]", "relative")
    assert {curve["x"] for curve in waited.value.json()} == {"relative"}
    assert "x=relative" in visitor.path()
    assert "most=3" in visitor.path()
    visitor.page.wait_for_function("() => document.querySelectorAll('[data-plot] canvas').length >= 2")


def test_without_script_curves_are_a_table_of_their_extremes(visit: Any, trials: list[str]) -> None:
    visitor = visit("viewer", script=False)
    visitor.open(f"/runs/compare?runs={','.join(trials[:2])}")
    visitor.page.click("figure[data-name=loss] summary")
    rows = visitor.texts("figure[data-name=loss] tbody tr")
    assert [row.split("\t")[1:] for row in rows] == [["40", "0.025", "1", "0.025"], ["40", "0.05", "2", "0.05"]]


def test_a_choice_is_sent_and_kept(visit: Any, trials: list[str], script: bool) -> None:
    visitor = visit("viewer", script)
    visitor.open(f"/runs/compare?runs={','.join(trials)}&x=time")
    visitor.page.select_option("select[name=target]", "loss")
    visitor.page.click("button:text-is('Show') >> nth=0")
    visitor.page.wait_for_url("**target=loss**")
    assert visitor.page.input_value("select[name=target]") == "loss"
    assert visitor.page.input_value("select[name=x]") == "time"


def test_no_runs_and_wrong_runs_are_answered_kindly(visit: Any, script: bool) -> None:
    visitor = visit("viewer", script)
    assert visitor.open("/runs/compare").status == 200
    visitor.page.click("button:text-is('Compare')")
    assert visitor.page.locator("h1:text-is('2 runs side by side')").count() == 1
    assert visitor.open("/runs/compare?runs=ffffffffffff").status == 404
