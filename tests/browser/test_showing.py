"""What pages show equals what the API answers; hostile names stay text; both themes can be read."""

from __future__ import annotations

import re
from typing import Any

import pytest

pytestmark = pytest.mark.browser
TOKENS = ("ink", "soft", "accent", "good", "warn", "bad")
WASHES = {"good": "good-wash", "warn": "warn-wash", "bad": "bad-wash", "accent": "accent-wash", "soft": "raised"}


def test_versions_stand_side_by_side_with_their_metrics(site: Any, visit: Any, script: bool) -> None:
    visitor = visit("viewer", script)
    visitor.open("/models/small-delays")
    versions = site.call("registry.versions", model="small-delays")[::-1]
    assert [text.split("\n")[0].split(" p")[0] for text in visitor.texts("thead [id^=v]")] == [
        f"Version {one['version']}" for one in versions
    ]
    row = visitor.page.locator("tr:has(th:text-is('auc'))")
    shown = [re.sub(r"[^0-9.]", "", text) for text in row.locator("td").all_inner_texts()]
    assert shown == [f"{one['metrics']['auc']:.4f}" for one in versions]
    assert row.locator("td.best").count() == 1


def test_the_monitor_shows_its_windows_and_says_which_are_provisional(site: Any, visit: Any, script: bool) -> None:
    visitor = visit("viewer", script)
    visitor.open("/monitors/late")
    windows = sorted(site.call("monitoring.windows", endpoint="late"), key=lambda one: one["start"], reverse=True)
    rows = visitor.page.locator("section:has(#performance-title) tbody tr")
    shown = [[cell.strip() for cell in row.locator("th, td").all_inner_texts()] for row in rows.all()]
    assert [(row[0], row[2], row[4]) for row in shown] == [
        (one["start"][:10], str(one["predictions"]), f"{one['metrics']['auc']:.4f}") for one in windows
    ]
    assert [row[1].split()[0] for row in shown] == ["mature" if one["mature"] else "provisional" for one in windows]
    assert shown[0][1] == "provisional in progress"


def test_plots_draw_the_numbers_of_the_table(site: Any, visit: Any) -> None:
    import json

    visitor = visit("viewer")
    visitor.open("/monitors/late")
    visitor.page.wait_for_selector("[data-plot] canvas")
    plot = json.loads(visitor.page.locator("[data-plot]").first.get_attribute("data-plot"))
    windows = {one["start"]: one for one in site.call("monitoring.windows", endpoint="late")}
    assert plot["series"][0]["points"] == [[start, windows[start]["metrics"]["auc"]] for start in sorted(windows)]
    assert [plot["series"][0]["points"][place][0] for place in plot["series"][0]["hollow"]] == [
        start for start in sorted(windows) if not windows[start]["mature"]
    ]
    assert [mark["at"] for mark in plot["marks"] if not mark.get("tone")] == ["2013-04-22"]
    begun = sorted(alert["first_window"] for alert in site.call("monitoring.alerts", endpoint="late"))
    assert sorted(mark["at"] for mark in plot["marks"] if mark.get("tone") == "bad") == begun
    assert painted(visitor.page)


def painted(page: Any) -> bool:
    """Whether the first plot's canvas has more than one colour."""
    return bool(
        page.evaluate(
            """() => { const canvas = document.querySelector("[data-plot] canvas"), context = canvas.getContext("2d");
            const seen = new Set(new Uint32Array(context.getImageData(0, 0, canvas.width, canvas.height).data.buffer));
            return seen.size > 4; }"""
        )
    )


def test_a_plots_tooltip_needs_no_inline_style(visit: Any) -> None:
    visitor = visit("viewer")
    visitor.open("/monitors/late")
    visitor.page.wait_for_selector("[data-plot] canvas")
    visitor.page.locator("[data-plot]").first.hover()
    visitor.page.wait_for_timeout(200)


def test_the_endpoint_counts_as_the_log_does(site: Any, visit: Any, script: bool) -> None:
    visitor = visit("viewer", script)
    visitor.open("/endpoints/late")
    total = sum(row["rows"] for row in site.call("serving.traffic", endpoint="late"))
    assert f"{total:,}" in visitor.texts(".figures")[0]
    recent = site.call("serving.predictions", endpoint="late", limit=20)
    assert visitor.texts("section:has(#recent-title) tbody th") == [row["id"] for row in recent]


def test_a_refused_batch_comes_with_its_report(site: Any, visit: Any, script: bool) -> None:
    visitor = visit("viewer", script)
    visitor.open("/datasets/flights")
    batch = site.call("datasets.batches", name="flights", state="refused")[0]
    report = visitor.texts("section:has(#refused-title) tbody")[0]
    assert batch["report"]["broken"][0]["message"] in report
    visitor.open(f"/snapshots/{site.names['snapshot']}")
    assert f"{site.call('datasets.get', digest=site.names['snapshot'])['rows']:,}" in visitor.texts(".figures")[0]


def test_a_run_shows_its_steps_and_why_they_ran(site: Any, visit: Any, script: bool) -> None:
    visitor = visit("viewer", script)
    visitor.open(f"/runs/{site.names['strong']}")
    steps = site.call("pipelines.get", run_id=site.names["strong"])["steps"]
    table = "section:has(#steps-title) tbody tr"
    assert visitor.texts(f"{table} .status") == [step["status"] for step in steps] == ["hit", "ran"]
    visitor.page.click(f"{table} a:text-is('train')")
    why = site.call("pipelines.why", run_id=site.names["strong"], step="train")
    assert why["sentence"] in visitor.texts(".notice")[0]


def test_a_log_is_shown(site: Any, visit: Any) -> None:
    visitor = visit("viewer")
    visitor.open(f"/runs/{site.names['weak']}/steps/split")
    assert visitor.texts("pre") == ["3000 rows"]


def test_hostile_names_stay_text(site: Any, visit: Any, script: bool) -> None:
    visitor = visit("viewer", script)
    dialogs: list[str] = []
    visitor.page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    name = "<script>alert('run')</script>"
    for path in ("/", "/runs", f"/runs/{site.names['studies'][4]}", f"/runs?q={name}", f"/?actor={name}&kind={name}"):
        visitor.open(path)
        assert "<script>alert" not in visitor.page.content().replace("&lt;script&gt;", "")
    visitor.open(f"/runs/{site.names['studies'][4]}")
    assert visitor.texts("h1") == [name]
    visitor.open(f"/runs/{site.names['studies'][0]}/artifact?name=notes.md")
    assert "<b>not bold</b>" in visitor.texts("pre")[0]
    assert dialogs == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_words_stand_out_from_their_ground(visit: Any, theme: str) -> None:
    visitor = visit("viewer", theme=theme)
    visitor.open("/")
    pairs = [(name, ground) for name in TOKENS for ground in ("card", "paper")] + list(WASHES.items())
    weak = [(name, ground) for name, ground in pairs if contrast(visitor.page, name, ground) < 4.5]
    assert weak == []


def contrast(page: Any, ink: str, ground: str) -> float:
    """The ratio of luminances after WCAG 2.2."""
    lights = sorted(luminance(page.evaluate(COMPUTED, name)) for name in (ink, ground))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


COMPUTED = """name => { const probe = document.createElement("i"); probe.style.color = `var(--${name})`;
document.body.append(probe); const found = getComputedStyle(probe).color; probe.remove(); return found; }"""


def luminance(colour: str) -> float:
    parts = [int(text) / 255 for text in re.findall(r"\d+", colour)[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_the_theme_follows_the_system_until_a_person_chooses(visit: Any) -> None:
    visitor = visit("viewer", theme="dark")
    visitor.open("/models")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = visitor.page.evaluate(ground)
    visitor.page.click("[data-theme-toggle]")
    light = visitor.page.evaluate(ground)
    assert light != dark
    visitor.open("/gates")
    assert visitor.page.evaluate(ground) == light


def test_the_keyboard_reaches_the_content_first(visit: Any) -> None:
    visitor = visit("viewer")
    visitor.open("/runs")
    visitor.page.keyboard.press("Tab")
    assert visitor.page.evaluate("document.activeElement.textContent") == "Skip to the content"


def test_a_stranger_is_asked_to_sign_in(site: Any, chromium: Any, script: bool) -> None:
    context = chromium.new_context(java_script_enabled=script)
    page = context.new_page()
    page.goto(f"{site.url}/runs")
    assert page.url == f"{site.url}/sign-in"
    page.fill("[name=token]", "loop_wrong")
    page.click("main button")
    assert "not a token" in page.locator("main").inner_text()
    context.close()


def test_signing_out_ends_the_session(visit: Any, script: bool) -> None:
    visitor = visit("viewer", script)
    visitor.open("/")
    visitor.page.click("text=Sign out")
    visitor.open("/runs")
    assert visitor.path() == "/sign-in"
