"""People work in the table of runs: search with completion, choose columns, group, change many runs, keep views."""

from __future__ import annotations

from typing import Any

import pytest

from loopline.usecases.tracking.model import Point

pytestmark = pytest.mark.browser
NAMES = "#found tbody th a[href^='/runs/']"
EXPERIMENT = "table of runs"


@pytest.fixture(scope="module")
def table(site: Any) -> list[str]:
    """Ids of eight runs of one experiment."""
    ids = []
    for number in range(8):
        run = site.loopline.tracking.start(
            f"row {number}",
            actor="ada",
            experiment=EXPERIMENT,
            params={"model": ("tree", "net")[number % 2]},
            started_at=f"2026-01-01T00:00:0{number}.000Z",
        )
        site.loopline.tracking.log(run.id, [Point("val auc", number / 10)], tags={"team": "blue"})
        ids.append(run.id)
    return ids


def at(query: str = "") -> str:
    return f"/runs?experiment={EXPERIMENT.replace(' ', '+')}{query}"


def test_the_search_box_completes_what_is_typed(table: list[str], visit: Any) -> None:
    visitor = visit("viewer")
    visitor.open(at())
    box = visitor.page.locator("input[data-complete]")
    box.click()
    visitor.page.wait_for_selector(".suggestions li >> text=metrics.")
    visitor.page.keyboard.type("val")
    visitor.page.wait_for_selector(".suggestions li:has-text('val auc')")
    visitor.page.keyboard.press("Tab")
    visitor.page.wait_for_selector(".suggestions li:has-text('IS NULL')")
    assert box.input_value() == "metrics.`val auc` "
    visitor.page.keyboard.type(">= 0.5 ")
    visitor.page.wait_for_selector(".suggestions li:has-text('AND')")
    visitor.page.keyboard.press("ArrowDown")
    visitor.page.keyboard.press("Enter")
    visitor.page.keyboard.type("params.model = '")
    visitor.page.click(".suggestions li:has-text('tree')")
    assert box.input_value() == "metrics.`val auc` >= 0.5 AND params.model = 'tree' "
    visitor.page.keyboard.press("Escape")
    visitor.page.keyboard.press("Enter")
    visitor.page.wait_for_selector("caption:has-text('1 run ')")
    assert visitor.texts(NAMES) == ["row 6"]


def test_escape_before_the_suggestions_came_leaves_the_text(table: list[str], visit: Any) -> None:
    visitor = visit("viewer")
    visitor.open(at())
    held: list[Any] = []
    visitor.page.route("**/api/v1/tracking/complete*", lambda route: held.append(route))
    box = visitor.page.locator("input[data-complete]")
    box.click()
    visitor.page.keyboard.type("params.model = 'tree'")
    visitor.page.keyboard.press("Escape")
    assert box.input_value() == "params.model = 'tree'"
    visitor.page.keyboard.press("Enter")
    visitor.page.wait_for_url("**filter=params.model*")


def test_a_mistake_is_pointed_at_under_the_box(table: list[str], visit: Any, script: bool) -> None:
    visitor = visit("viewer", script)
    visitor.open(at("&filter=params.model+%3D+tree"))
    assert visitor.page.locator("pre.caret").text_content() == "params.model = tree\n               ^^^^"
    assert "at character 16" in visitor.texts("[role=alert]")[0]


def test_columns_are_chosen_and_stand_in_the_address(table: list[str], visit: Any, script: bool) -> None:
    visitor = visit("viewer", script)
    visitor.open(at())
    visitor.page.click("#columns summary")
    if script:
        visitor.page.fill("#columns input[data-find]", "team")
        assert visitor.page.locator("#choices label:visible").count() == 1
        visitor.page.fill("#columns input[data-find]", "")
    visitor.page.check("#choices label:has-text('team') input")
    visitor.page.uncheck("#choices label:has-text('val auc') input")
    visitor.page.click("#columns button:has-text('Show these')")
    visitor.page.wait_for_selector("thead a:has-text('team')")
    assert visitor.texts("#found thead th")[4:-1] == ["model", "team"]
    again = visit("viewer", script)
    again.open(visitor.path())
    assert again.texts("#found thead th")[4:-1] == ["model", "team"]


def test_groups_open_and_close(table: list[str], visit: Any, script: bool) -> None:
    visitor = visit("viewer", script)
    visitor.open(at())
    visitor.page.click("#grouping summary")
    visitor.page.select_option("select[name=group]", "params.model")
    visitor.page.select_option("select[name=measure]", "val auc")
    visitor.page.click("#grouping button:has-text('Group')")
    visitor.page.wait_for_selector("tr.group")
    assert visitor.texts("tr.group .soft")[0].startswith("4 runs · val auc mean 0.4000, from 0.1000 to 0.7000")
    assert visitor.texts(NAMES) == []
    visitor.page.click("tr.group a:has-text('tree')")
    visitor.page.wait_for_selector(NAMES)
    assert visitor.texts(NAMES) == ["row 6", "row 4", "row 2", "row 0"]
    visitor.page.click("tr.group a:has-text('tree')")
    visitor.page.wait_for_selector("tr.group a[aria-expanded=false]:has-text('tree')")
    assert visitor.texts(NAMES) == []


def test_chosen_runs_are_tagged_and_put_away(site: Any, table: list[str], visit: Any, script: bool) -> None:
    visitor = visit("editor", script)
    visitor.open(at())
    if script:
        assert visitor.page.is_disabled("button:has-text('Archive')")
    for number in (1, 2):
        visitor.page.check(f"#run-{table[number]} input")
    if script:
        assert visitor.texts("[data-count]") == ["2 chosen"]
    visitor.page.click("#bulk summary")
    visitor.page.fill("#bulk input[name=key]", "chosen")
    visitor.page.fill("#bulk input[name=value]", f"script {script}")
    visitor.page.click("button:has-text('Tag them')")
    visitor.page.wait_for_selector("#found")
    found = site.loopline.tracking.find(f"tags.chosen = 'script {script}'").runs
    assert {run.id for run in found} == {table[1], table[2]}
    for before, button, after in (
        ("", "Archive", "archived"),
        ("archived", "Restore", "active"),
        ("", "Delete", "deleted"),
        ("deleted", "Restore", "active"),
    ):
        visitor.open(at(f"&state={before}"))
        visitor.page.check(f"#run-{table[2]} input")
        visitor.page.click(f"#bulk button:has-text('{button}')")
        visitor.page.wait_for_selector(f"#found:not(:has(#run-{table[2]}))")
        assert site.loopline.tracking.get(table[2]).state == after


def test_chosen_runs_are_compared(table: list[str], visit: Any, script: bool) -> None:
    visitor = visit("viewer", script)
    visitor.open(at())
    for number in (1, 2):
        visitor.page.check(f"#run-{table[number]} input")
    visitor.page.click("button:has-text('Compare')")
    visitor.page.wait_for_url("**/runs/compare?*")
    for number in (1, 2):
        assert table[number] in visitor.path()
        assert f"row {number}" in visitor.page.text_content("main")


def test_a_view_is_saved_and_found_again(table: list[str], visit: Any, script: bool) -> None:
    visitor = visit("editor", script)
    visitor.open(at("&filter=metrics.`val+auc`+>+0.4&sort=metrics.`val+auc`&order=asc"))
    name = f"the better ones {script}"
    visitor.page.click("#views summary")
    visitor.page.fill("#views input[name=name][required]", name)
    visitor.page.click("#views button:has-text('Save')")
    visitor.page.wait_for_selector("h1")
    visitor.open("/runs")
    visitor.page.click("#views summary")
    visitor.page.click(f"#views a:has-text('{name}')")
    visitor.page.wait_for_selector("caption:has-text('3 runs')")
    assert visitor.texts(NAMES) == ["row 5", "row 6", "row 7"]
    visitor.page.click("#views summary")
    visitor.page.click(f"#views form:has-text('{name}') button:has-text('Forget')")
    visitor.page.wait_for_selector("h1")
    assert name not in visitor.page.text_content("main")


def test_a_new_run_appears_while_one_looks_and_choices_stay(site: Any, table: list[str], visit: Any) -> None:
    visitor = visit("viewer")
    visitor.open(at("&q=row"))
    visitor.page.check(f"#run-{table[3]} input")
    run = site.loopline.tracking.start("row that came late", actor="ada", experiment=EXPERIMENT)
    visitor.page.wait_for_selector(f"#run-{run.id}", timeout=15_000)
    assert visitor.page.is_checked(f"#run-{table[3]} input")
    site.loopline.tracking.delete_run(run.id, actor="ada")
    visitor.page.wait_for_selector(f"#run-{run.id}", state="detached", timeout=15_000)
    visitor.page.click("thead a:has-text('val auc')")  # the region that is put in is followed too
    visitor.page.wait_for_selector("th[aria-sort=descending] >> text=val auc")
    site.loopline.tracking.log(table[0], [Point("val auc", 0.95, 1)])
    visitor.page.wait_for_selector(f"#found tbody tr:first-child:is(#run-{table[0]})", timeout=15_000)
    site.loopline.tracking.log(table[0], [Point("val auc", 0.0, 2)])


def test_an_experiment_is_renamed_put_into_the_trash_and_restored(site: Any, visit: Any, script: bool) -> None:
    name = f"to be renamed {script}"
    run = site.loopline.tracking.start("inside", actor="ada", experiment=name)
    visitor = visit("editor", script)
    visitor.open("/runs")
    visitor.page.click("#experiments summary")
    visitor.page.get_by_label(f"New name of {name}").fill(f"renamed {script}")
    visitor.page.click(f"#experiments li:has-text('{name}') button:has-text('Rename')")
    visitor.page.wait_for_selector("h1")
    visitor.open("/runs")
    visitor.page.click("#experiments summary")
    visitor.page.click(f"button[aria-label='Put renamed {script} and its runs into the trash']")
    visitor.page.wait_for_selector("h1")
    assert site.loopline.tracking.get(run.id).state == "deleted"
    visitor.open("/runs?state=deleted")
    visitor.page.click("#experiments summary")
    visitor.page.click(f"button[aria-label='Restore renamed {script}']")
    visitor.page.wait_for_selector("h1")
    assert site.loopline.tracking.get(run.id).state == "active"
    site.loopline.tracking.delete_run(run.id, actor="ada")


def test_a_name_without_spaces_fits_on_a_telephone(site: Any, visit: Any) -> None:
    run = site.loopline.tracking.start("long_" * 40, actor="ada", experiment="names", tags={"t" * 80: "v" * 300})
    visitor = visit("editor")
    visitor.page.set_viewport_size({"width": 390, "height": 800})
    for path in (f"/runs/{run.id}", f"/remove?kind=run&name={run.id}", f"/runs/{'z' * 200}"):
        visitor.open(path)
        wide, room = visitor.page.evaluate(
            "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        )
        assert wide <= room, path
    visitor.complaints.clear()  # the last page is a 404
