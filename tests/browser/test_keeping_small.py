"""The trash and the room, as people see them."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.browser


def test_a_run_goes_to_the_trash_and_comes_back(site: Any, visit: Any, script: bool) -> None:
    run = site.loopline.tracking.start("short lived", actor="ada", experiment="passing").id
    site.loopline.tracking.put_artifact(run, "notes.txt", b"x" * 2000)
    site.loopline.tracking.finish(run, actor="ada")
    visitor = visit("editor", script)
    visitor.open("/remove?kind=experiment&name=passing")
    assert "1 run" in visitor.texts(".tree")[0]
    assert "2.0 KB become free" in visitor.texts("main")[0]
    visitor.page.click("button:has-text('Put it into the trash')")
    visitor.page.wait_for_selector("caption:has-text('removed thing')")
    assert visitor.path() == "/trash"
    assert [one["name"] for one in site.call("retention.trash")] == ["passing"]
    assert visitor.page.locator("button:has-text('Purge')").count() == 0, "only an admin purges"
    visitor.page.click("button[aria-label='Restore experiment passing']")
    visitor.page.wait_for_selector("text=The trash is empty.")
    assert site.call("tracking.get", run_id=run)["name"] == "short lived"
    admin = visit("admin", script)
    admin.open("/remove?kind=experiment&name=passing")
    admin.page.click("button:has-text('Put it into the trash')")
    admin.page.click("button[aria-label='Purge experiment passing for good']")
    admin.page.wait_for_selector("text=The trash is empty.")
    assert admin.open(f"/runs/{run}").status == 404
    assert "was removed on" in admin.texts("main")[0]
    assert "with the experiment passing" in admin.texts("main")[0]


def test_what_is_in_use_says_why_and_the_way_out(visit: Any, site: Any) -> None:
    visitor = visit("editor")
    visitor.open("/remove?kind=endpoint&name=late")
    assert "it serves small-delays" in visitor.texts("table")[0]
    assert "loopline rm endpoint late --stop" in visitor.texts("table")[0]
    assert visitor.page.locator("button:has-text('trash')").count() == 0
    assert "tree" in visitor.page.content()


def test_the_room_is_told_by_what_takes_it(visit: Any, site: Any) -> None:
    visitor = visit("viewer")
    visitor.open("/room")
    found = site.call("retention.room")
    assert visitor.page.locator("tbody tr").count() == len(found["rooms"])
    assert {"database", "model", "dataset", "cache"} <= {one["kind"] for one in found["rooms"]}
    visitor.page.click("tbody a:has-text('small-delays')")
    assert visitor.page.locator("h1").count() == 1
