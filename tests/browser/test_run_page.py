"""A run's page: its curves are what the verb answers, near and far; it keeps up; what people change there stays."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from loopline.usecases.tracking.model import Link, Point

pytestmark = pytest.mark.browser
POINTS = 20_000
PEAK = 12_345
DIFF = "diff --git a/train.py b/train.py\n--- a/train.py\n+++ b/train.py\n@@ -1 +1 @@\n-rate = 1\n+rate = 2\n"


@pytest.fixture(scope="session")
def long_run(site: Any) -> str:
    """A run with long curves, one peak, files, code, packages, inputs and a run inside."""
    tracking = site.loopline.tracking
    around = {"git": {"commit": "ab" * 20, "dirty": True, "diff": DIFF}, "python": "3.11.9"}
    around["distributions"] = "numpy==2.4.6\npandas==2.3.1"
    run = tracking.start(
        "long", actor="ada", experiment="reading", params={"rate": "0.1", "depth": "7"}, surroundings=around
    )
    points = [Point("train/loss", 9.0 if at == PEAK else math.exp(-at / 5000), at, at) for at in range(POINTS)]
    points += [Point("valid/loss", 1 / (1 + at), at, at) for at in range(50)]
    points += [Point("system/cpu", 50.0 + at % 7, at, at) for at in range(50)]
    links = [Link(direction="input", name="flights", digest="12" * 32, kind="dataset")]
    tracking.log(run.id, [*points, Point("auc", 0.9)], links=links)
    tracking.put_artifact(run.id, "model/weights.bin", b"\x00\x01")
    tracking.put_artifact(run.id, "logs/stdout.txt", b"epoch 1\nepoch 2\n")
    inside = tracking.start("inside", actor="ada", experiment="reading", tags={"mlflow.parentRunId": run.id})
    for one in (inside, run):
        tracking.finish(one.id, actor="ada")
    return str(run.id)


def drawn(visitor: Any, title: str) -> Any:
    """The chart of a metric, once it is drawn."""
    figure = visitor.page.locator(f"figure[data-name='{title}']")
    figure.locator(".chart[data-drawn] canvas").wait_for()
    return figure


def spec(figure: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(figure.locator(".chart").get_attribute("data-curves"))
    return found


def test_a_chart_draws_what_the_verb_answers_with_its_peak(site: Any, visit: Any, long_run: str) -> None:
    visitor = visit("viewer")
    visitor.open(f"/runs/{long_run}")
    figure = drawn(visitor, "train/loss")
    assert figure.locator("[data-range]").inner_text() == f"{POINTS:,} points"
    told = json.loads(json.dumps(site.call("tracking.curve", run_id=long_run, key="train/loss")))
    assert spec(figure)["curves"] == [told]
    assert [PEAK, 9.0] in told["points"]
    assert len(told["points"]) <= 1000


def test_looking_closer_asks_the_server_for_that_stretch(visit: Any, long_run: str) -> None:
    visitor = visit("viewer")
    visitor.open(f"/runs/{long_run}")
    figure = drawn(visitor, "train/loss")
    figure.scroll_into_view_if_needed()
    box = figure.locator(".chart").bounding_box()
    asked = lambda request: "/tracking/curves" in request.url  # noqa: E731
    with visitor.page.expect_response(lambda answer: asked(answer.request)) as waited:
        visitor.page.mouse.move(box["x"] + 0.55 * box["width"], box["y"] + 60)
        visitor.page.mouse.down()
        visitor.page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 70, steps=4)
        assert visitor.page.locator(".stretch").count() == 1
        visitor.page.mouse.up()
    fields, curve = waited.value.request.post_data_json, waited.value.json()[0]
    assert 0.4 * POINTS < fields["first"] < fields["last"] < 0.8 * POINTS
    inside = [x for x, _ in curve["points"] if fields["first"] <= x <= fields["last"]]
    assert len(inside) > 400
    assert curve["count"] == POINTS
    assert visitor.page.locator(".stretch").count() == 0
    assert "step" in figure.locator("[data-range]").inner_text()
    figure.locator("[data-look=whole]").click()
    figure.locator("[data-range]:has-text('20,000 points')").wait_for()


def test_the_keyboard_looks_closer_and_moves(visit: Any, long_run: str) -> None:
    visitor = visit("viewer")
    visitor.open(f"/runs/{long_run}")
    figure = drawn(visitor, "train/loss")
    figure.locator(".chart").focus()
    for key, range_of in (
        ("+", "step 5,000 to step 14,999"),
        ("ArrowRight", "step 7,500 to step 17,499"),
        ("0", "20,000 points"),
    ):
        visitor.page.keyboard.press(key)
        figure.locator(f"[data-range]:has-text('{range_of}')").wait_for()


def test_choices_stand_in_the_address(visit: Any, long_run: str) -> None:
    visitor = visit("viewer")
    visitor.open(f"/runs/{long_run}")
    drawn(visitor, "train/loss")
    with visitor.page.expect_response(lambda answer: "/tracking/curves" in answer.url) as waited:
        visitor.page.select_option("select[name=x]", "time")
    assert waited.value.json()[0]["x"] == "time"
    with visitor.page.expect_response(lambda answer: "/tracking/curves" in answer.url) as waited:
        visitor.page.locator("input[name=smooth]").fill("0.9")
    assert waited.value.json()[0]["smoothed"]
    visitor.page.select_option("select[name=scale]", "log")
    visitor.page.check("input[name=wide]")
    visitor.page.wait_for_function("() => location.search.includes('wide')")
    assert visitor.path() == f"/runs/{long_run}?x=time&smooth=0.9&scale=log&wide=1"
    visitor.page.reload()
    chosen = spec(drawn(visitor, "train/loss"))
    assert (chosen["x"], chosen["scale"], chosen["smooth"]) == ("time", "log", 0.9)
    assert visitor.page.locator("#charts.wide").count() == 1


def test_without_script_points_and_choices_are_tables_and_forms(site: Any, visit: Any, long_run: str) -> None:
    visitor = visit("viewer", script=False)
    visitor.open(f"/runs/{long_run}?metric=train/loss")
    figure = visitor.page.locator("figure")
    assert figure.count() == 1
    assert figure.locator(".chart").is_hidden()
    figure.locator("summary").click()
    rows = [tuple(row.split("\t")) for row in visitor.texts("figure tbody tr")]
    assert (f"{PEAK:,}", "9") in rows
    assert (rows[0], rows[-1][0]) == (("0", "1"), f"{POINTS - 1:,}")
    visitor.page.select_option("select[name=x]", "time")
    visitor.page.click("form[data-choices] button")
    visitor.page.locator("figure summary").click()
    assert visitor.texts("figure tbody tr")[0].startswith("1970-01-01 00:00:00")
    assert "metric=train" in visitor.path()


def test_metrics_of_one_last_name_share_a_chart_and_the_machine_stands_last(visit: Any, long_run: str) -> None:
    visitor = visit("viewer")
    visitor.open(f"/runs/{long_run}?together=name")
    names = [one["name"] for one in spec(drawn(visitor, "loss"))["series"]]
    assert names == ["train/loss", "valid/loss"]
    groups = visitor.page.locator("details.charts")
    assert groups.last.locator("h3").inner_text() == "System metrics"
    groups.last.locator("summary").first.click()
    drawn(visitor, "system/cpu")


def test_a_running_run_keeps_up_by_itself(site: Any, visit: Any) -> None:
    tracking = site.loopline.tracking
    run = tracking.start("going on", actor="ada", experiment="reading")
    tracking.log(run.id, [Point("loss", 1.0, 0), Point("loss", 0.5, 1)])
    tracking.put_artifact(run.id, "logs/stdout.txt", b"epoch 1\n")
    visitor = visit("viewer")
    visitor.open(f"/runs/{run.id}")
    figure = drawn(visitor, "loss")
    visitor.page.evaluate("window.kept = true")
    tracking.log(run.id, [Point("loss", 0.25, 2), Point("fresh", 7.0, 0), Point("fresh", 8.0, 1)])
    figure.locator("[data-range]:has-text('3 points')").wait_for(timeout=4000)
    visitor.page.wait_for_selector("#values td:text-is('0.25')", timeout=4000)
    drawn(visitor, "fresh")
    tracking.put_artifact(run.id, "logs/stdout.txt", b"epoch 1\nepoch 2\n")
    visitor.page.wait_for_selector("#printed pre:has-text('epoch 2')", timeout=4000)
    tracking.finish(run.id, actor="ada")
    visitor.page.wait_for_selector(".head .status:text-is('finished')", timeout=4000)
    assert visitor.page.locator("#now[data-live]").count() == 0
    assert visitor.page.evaluate("window.kept") is True


def test_metrics_and_params_are_found_within_the_page(visit: Any, long_run: str, script: bool) -> None:
    visitor = visit("viewer", script)
    visitor.open(f"/runs/{long_run}")
    visitor.page.fill("input[name=find]", "loss")
    visitor.page.press("input[name=find]", "Enter")
    visitor.page.wait_for_selector("#values tr:has-text('rate')", state="hidden")
    shown = visitor.texts("#values tbody tr:visible")
    assert [row.split("\t")[0] for row in shown] == ["train/loss", "valid/loss"]


def test_files_code_packages_lineage_and_logs_are_shown(visit: Any, long_run: str, script: bool) -> None:
    visitor = visit("viewer", script)
    visitor.open(f"/runs/{long_run}")
    assert "model/ 1 file, 2 bytes" in visitor.texts(".tree summary")
    assert visitor.texts("pre.diff .added") == ["+rate = 2"]
    assert visitor.texts("pre.diff .removed") == ["-rate = 1"]
    assert visitor.texts("#packages tbody tr") == ["numpy\t2.4.6", "pandas\t2.3.1"]
    visitor.page.fill("input[name=package]", "pand")
    visitor.page.press("input[name=package]", "Enter")
    visitor.page.wait_for_selector("#packages tr:has-text('numpy')", state="hidden")
    assert visitor.texts("#packages tbody tr:visible") == ["pandas\t2.3.1"]
    assert visitor.page.locator(f"a[href='/snapshots/{'12' * 32}']").count() == 1
    assert "epoch 2" in visitor.texts("#printed pre")[0]
    assert visitor.texts("section:has(#children-title) tbody th") == ["inside"]
    visitor.page.click("section:has(#children-title) tbody a")
    assert visitor.texts("section:has(#lineage-title) p")[0] == "Part of long."


def test_people_name_describe_tag_and_put_away_a_run(site: Any, visit: Any, script: bool) -> None:
    run = site.loopline.tracking.start("to edit", actor="ada", experiment="reading")
    visitor = visit("editor", script)
    visitor.open(f"/runs/{run.id}")
    visitor.page.fill("input[name=key]", "team")
    visitor.page.fill("input[name=value]", "air")
    visitor.page.click("button:text-is('Set tag')")
    visitor.page.fill("form.edit input[name=name]", "edited")
    visitor.page.fill("textarea", "First line\nsecond")
    visitor.page.click("button:text-is('Save')")
    visitor.page.wait_for_selector("h1:text-is('edited')")
    found = site.call("tracking.get", run_id=run.id)
    assert (found["name"], found["tags"]["team"]) == ("edited", "air")
    assert found["tags"]["mlflow.note.content"] == "First line\nsecond"
    assert visitor.texts(".note") == ["First line\nsecond"]
    visitor.page.click("button[aria-label='Remove tag team']")
    visitor.page.wait_for_selector("text=No tags.")
    for button, state in (
        ("Archive", "archived"),
        ("Take out of the archive", "active"),
        ("Delete", "deleted"),
        ("Take out of the trash", "active"),
    ):
        visitor.page.click(f"button:text-is('{button}')")
        visitor.page.wait_for_load_state()
        assert site.call("tracking.get", run_id=run.id)["state"] == state
    site.loopline.tracking.finish(run.id, actor="ada")
