"""Pages of models in a real browser: the list, aliases over time, cards, versions side by side, downloads."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.browser

MODEL = "small-delays"
VERSION = f"/models/{MODEL}/versions/1"
HOSTILE = "**Bold** <script>window.pwned = 1</script> [x](javascript:alert(1)) ![i](https://example.org/i.png)"


def test_the_list_finds_models_by_words_and_tags(visit: Any, site: Any, script: bool) -> None:
    visitor = visit(script=script)
    visitor.open("/models")
    visitor.page.get_by_label("Find").fill("production small")
    visitor.page.get_by_role("button", name="Show", exact=True).click()
    assert visitor.texts("tbody th a") == [MODEL]
    visitor.page.get_by_label("Find").fill("nothing like that")
    visitor.page.get_by_role("button", name="Show", exact=True).click()
    assert "No model is like that." in visitor.texts("main")[0]


def test_a_card_is_written_shown_safely_and_kept_in_revisions(visit: Any, site: Any, script: bool) -> None:
    before = site.call("registry.card", model=MODEL, version=2)["revision"]
    visitor = visit("editor", script=script)
    visitor.open(f"/models/{MODEL}/versions/2")
    visitor.page.locator("details:has(form.edit) > summary").click()
    visitor.page.get_by_label("Intended use").fill(f"{HOSTILE} {script}")
    visitor.page.get_by_label("Owner").fill("Delays team")
    visitor.page.get_by_role("button", name=f"Save as revision {before + 1}").click()
    visitor.page.wait_for_url("**/versions/2#card")
    use = visitor.page.locator("#intended_use")
    assert use.locator("strong").inner_text() == "Bold"
    assert use.locator("script, img").count() == 0
    assert use.locator("a").get_attribute("href") == "https://example.org/i.png"  # an image is but a link
    assert "<script>window.pwned = 1</script>" in use.inner_text()
    card = site.call("registry.card", model=MODEL, version=2)
    assert (card["revision"], card["texts"]["owner"]) == (before + 1, "Delays team")
    assert visitor.open(f"/models/{MODEL}/versions/2?revision={card['revision']}").status == 200
    assert "editor-person wrote it in revision" in visitor.texts("main")[0]
    visitor.open("/models")
    assert "Delays team" in visitor.texts("tbody tr")[0]


def test_the_card_that_stood_when_an_alias_moved_is_pinned(visit: Any, site: Any) -> None:
    card = site.call("registry.card", model=MODEL, version=1)
    assert card["pins"][0]["alias"] == "production"
    visitor = visit(script=False)
    visitor.open(VERSION)
    assert "production" in visitor.page.locator("section:has(#history-title) tbody").inner_text()
    assert "passed" in visitor.page.locator("section:has(#gates-title)").inner_text()
    assert "endpoint" in visitor.page.locator("section:has(#users-title)").inner_text()


def test_versions_are_measured_on_the_same_rows_in_a_process_of_their_own(visit: Any, site: Any) -> None:
    """The page asks; whoever does the work answers; then everybody sees it."""
    visitor = visit("editor")
    visitor.open(f"/models/{MODEL}")
    visitor.page.get_by_role("button", name="Compare on the same rows").click()
    visitor.page.get_by_role("button", name="Measure them").click()
    visitor.page.get_by_role("status").wait_for()
    from loopline.shells.http.loading import answer_once

    answer_once(site.loopline.home, 60)
    visitor.page.get_by_text("Measured 20").wait_for()  # without a reload
    assert visitor.page.locator("#measured svg polyline").count() == 2
    table = visitor.page.locator("#measured table").first.inner_text()
    assert "calibration error" in table
    assert "one row, p50 / p99" in table
    assert "carrier UA" in visitor.page.locator("#measured").inner_text()
    without = visit("viewer", script=False)
    without.open(visitor.path().partition("#")[0])
    assert without.page.locator("#measured svg polyline").count() == 2
    without.open(VERSION)
    assert without.page.locator(".reliability polyline").count() == 1


def test_a_person_asks_where_an_alias_pointed(visit: Any, site: Any, script: bool) -> None:
    visitor = visit(script=script)
    visitor.open(f"/models/{MODEL}")
    visitor.page.get_by_label("On (UTC)").fill("2013-05-03T14:00")
    visitor.page.locator("form:has([name=at]) button").click()
    assert "production pointed to nothing" in visitor.page.get_by_role("status").inner_text()
    assert visitor.open(f"/models/{MODEL}?at=2999-01-01T00:00").status == 200
    assert "production pointed to version" in visitor.page.get_by_role("status").inner_text()
    assert visitor.open(f"/models/{MODEL}?at=yesterday").status == 400


def test_a_version_is_downloaded_and_who_did_is_remembered(visit: Any, site: Any, tmp_path: Path) -> None:
    visitor = visit("viewer", script=False)
    visitor.open(VERSION)
    with visitor.page.expect_download() as waited:
        visitor.page.get_by_role("link", name="Download").click()
    waited.value.save_as(tmp_path / "version.tar")
    with tarfile.open(fileobj=io.BytesIO((tmp_path / "version.tar").read_bytes())) as archive:
        names = {member.name.partition("/")[2] for member in archive}
    assert {"model.json", "card.md"} < names
    found = site.call("registry.consumers", model=MODEL, version=1)
    assert ("download", "viewer-person") in {(one["kind"], one["name"]) for one in found}
