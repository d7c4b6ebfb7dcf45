"""The pages of traces, with and without script."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.browser
HOSTILE = "<script>alert('run')</script>"


def test_a_trace_opens_as_a_tree(site: Any, walker: tuple[Any, bool]) -> None:
    visitor, _ = walker
    visitor.open("/traces")
    visitor.page.locator("#traces table a").first.click()
    page = visitor.page
    assert page.locator("h1").inner_text() == "answer"
    assert [name.split("\n")[0].strip() for name in page.locator(".span-name").all_inner_texts()] == [
        "answer chain",
        "retrieve chain",
        f"{HOSTILE} chain error",
    ]
    widths = [float(bar.get_attribute("width")) for bar in page.locator(".span-bar .bar").all()]
    assert widths[0] == 1000
    assert widths[1] > widths[2] > 0
    assert page.locator(".span-more pre:visible").count() == 0
    page.locator(".spans summary").nth(2).click()
    assert HOSTILE in page.locator(".span-more pre:visible").inner_text()
    assert visitor.complaints == []


def test_the_filter_lives_in_the_address(visit: Any) -> None:
    visitor = visit(script=False)
    visitor.open("/traces?filter=status+%3D+%27OK%27")
    assert "No trace fits." not in visitor.texts("main")[0] or visitor.page.locator("#traces table").count() == 0
    visitor.open("/traces?filter=color+%3D+%27red%27")
    assert "color" in visitor.page.locator("#mistake").inner_text()
    visitor.open("/traces?experiment=Default&filter=status+%3D+%27IN_PROGRESS%27")
    assert "No trace fits." in visitor.texts("main")[0]
