"""The pages of monitoring: who needs a look, what happened since when, and all of it without script and by keyboard."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

pytestmark = pytest.mark.browser
PARTS = ("", "/drift", "/segments", "/truth", "/limits")


def test_the_list_says_who_needs_a_look(site: Any, visit: Any, script: bool) -> None:
    visitor = visit("viewer", script)
    visitor.open("/monitors")
    row = site.call("monitoring.fleet")["rows"][0]
    shown = visitor.texts("#fleet tbody tr")[0]
    assert row["endpoint"] == "late"
    assert row["why"] in shown
    assert f"{row['metrics'][0]['value']:.3f}" in shown
    assert visitor.page.locator("#fleet svg.spark").count() == len(row["metrics"])
    visitor.page.click("#fleet tbody th a")
    assert visitor.path() == "/monitors/late"
    assert row["why"].lower() in visitor.texts(".head")[0].lower()


def test_filters_stand_in_the_address(visit: Any, script: bool) -> None:
    visitor = visit("viewer", script)
    visitor.open("/monitors")
    visitor.page.fill("#fleet [name=q]", "nobody has this name")
    visitor.page.press("#fleet [name=q]", "Enter")
    visitor.page.wait_for_selector("#fleet .empty")
    assert "q=nobody+has+this+name" in visitor.path()
    visitor.open("/monitors?q=LATE&state=fine")
    assert visitor.page.locator("#fleet tbody tr").count() == 0
    visitor.open("/monitors?q=LATE")
    assert visitor.page.locator("#fleet tbody tr").count() == 1
    assert visitor.page.locator("#fleet [name=q]").input_value() == "LATE"


def test_a_plot_is_drawn_with_script_or_without(site: Any, visit: Any, script: bool) -> None:
    visitor = visit("viewer", script)
    visitor.open("/monitors/late")
    figure = visitor.page.locator("section:has(#performance-title) figure.plot")
    if script:
        visitor.page.wait_for_selector("[data-plot] canvas")
    assert figure.locator(".drawn").is_visible() is not script
    windows = site.call("monitoring.windows", endpoint="late")
    titles = figure.locator("circle title").all_text_contents()
    assert len([text for text in titles if text.startswith("auc, ")]) == len(windows)
    assert figure.locator("circle.hollow").count() == sum(not one["mature"] for one in windows)
    assert figure.locator("pattern").count() == 1
    hatched = [one for one in windows if not one["mature"]]
    assert figure.locator("rect[fill^='url(#']").count() == bool(hatched)


def test_a_feature_is_one_click_from_the_window(site: Any, visit: Any, script: bool) -> None:
    visitor = visit("viewer", script)
    visitor.open("/monitors/late")
    visitor.page.locator("section:has(#performance-title) tbody th a").nth(1).click()
    assert visitor.path().startswith("/monitors/late/drift?window=")
    start = visitor.page.url.partition("window=")[2].partition("#")[0]
    visitor.page.click("#window tbody th a:text-is('strong')")
    assert visitor.path().startswith("/monitors/late/features/strong")
    assert start in visitor.page.url
    report = site.call("monitoring.drift", endpoint="late", start=start.replace("%3A", ":"))
    column = next(one for one in report["columns"] if one["name"] == "strong")
    assert column["change"] in visitor.texts("main")[0]
    assert visitor.page.locator("svg.distribution rect.now").count() == len(column["shares_now"])


def test_segments_show_each_value_with_its_interval(site: Any, visit: Any, script: bool) -> None:
    visitor = visit("viewer", script)
    windows = [one for one in site.call("monitoring.windows", endpoint="late", column="carrier") if one["mature"]]
    visitor.open(f"/monitors/late/segments?window={quote(windows[-1]['start'])}")
    shown = {row.split("\t")[0]: row for row in visitor.texts("table:has(caption:has-text('carrier')) tbody tr")}
    for one in windows:
        if one["start"] == windows[-1]["start"]:
            assert f"{one['metrics']['auc']:.4f}" in shown[one["value"]]


def test_an_alert_is_judged(site: Any, visit: Any, script: bool) -> None:
    alerts = site.call("monitoring.alerts", endpoint="late")
    alert = alerts[0 if script else -1]
    visitor = visit("editor", script)
    visitor.open("/monitors/late/limits")
    card = visitor.page.locator(f"#alert-{alert['id']}")
    if card.locator("button[value=real]").count() == 0:
        card.locator("button[value='']").click()
        visitor.open("/monitors/late/limits")
    visitor.page.locator(f"#alert-{alert['id']} button[value=real]").click()
    visitor.page.wait_for_selector(f"#alert-{alert['id']}")
    assert site.call("monitoring.alert", alert=alert["id"])["verdict"] == "real"
    visitor.open("/monitors/late/limits")
    assert "judged real" in visitor.texts(f"#alert-{alert['id']}")[0]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_narrow_screen_never_scrolls_sideways(visit: Any, theme: str) -> None:
    visitor = visit("viewer", theme=theme)
    visitor.page.set_viewport_size({"width": 360, "height": 740})
    for path in ("/monitors", *(f"/monitors/late{part}" for part in PARTS), "/monitors/late/features/strong"):
        visitor.open(path)
        wide = visitor.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, path


def test_the_keyboard_leads_through_the_parts(visit: Any) -> None:
    visitor = visit("viewer")
    visitor.open("/monitors/late")
    links = "nav.pages a"
    visitor.page.focus(f"{links} >> nth=0")
    for part in PARTS[1:]:
        visitor.page.keyboard.press("Tab")
        assert visitor.page.evaluate("document.activeElement.getAttribute('href')") == f"/monitors/late{part}"
    visitor.page.keyboard.press("Enter")
    visitor.page.wait_for_url("**/monitors/late/limits")
    assert visitor.page.locator(f"{links}[aria-current=page]").get_attribute("href") == "/monitors/late/limits"


def test_a_report_opens_as_a_file(site: Any, visit: Any, tmp_path: Any) -> None:
    from loopline.usecases.monitoring.reports import content, html

    report = content.on_endpoint(site.call, "late")
    path = tmp_path / "report.html"
    path.write_text(html.of_endpoint(report, "2026-01-01T00:00:00Z"))
    visitor = visit("viewer", script=False)
    asked: list[str] = []
    visitor.page.on("request", lambda request: asked.append(request.url))
    visitor.page.goto(path.as_uri())
    assert asked == [path.as_uri()]
    assert visitor.texts("h1")[0].startswith("late")
    assert visitor.page.locator("svg.plot").bounding_box()["height"] > 150
