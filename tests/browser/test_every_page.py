"""Every page of every use-case, with script and without: it draws, it complains about nothing, it is accessible."""

from __future__ import annotations

from typing import Any

import pytest

from loopline.core.pages import Page

pytestmark = pytest.mark.browser


def pages() -> list[Page]:
    """All pages that the control plane has."""
    from loopline.shells.http.pages import web_modules

    return [page for module in web_modules() for page in module.PAGES]


def place(site: Any, path: str) -> str:
    """An address of the page with something to see."""
    gates = site.call("promotion.gates")
    examples = {
        "{run_id}": site.names["strong"],
        "{trace_id}": site.names["trace"],
        "{step}": "train",
        "{model}": "small-delays",
        "{version}": "1",
        "{number}": "1",
        "{endpoint}": "late",
        "{feature:path}": "strong",
        "{digest}": site.names["snapshot"],
        "{ref}": site.names["release"],
        "{prediction}": site.names["predictions"][-1],
        "{firing}": site.call("automation.firings")[0]["id"],
    }
    examples["{id}"] = gates[0]["id"]
    examples["{name}"] = site.call("projects.projects")[0]["name"] if path.startswith("/projects/") else "flights"
    if path == "/runs/{run_id}/artifact":
        return f"/runs/{site.names['studies'][0]}/artifact?name=notes.md"
    if path == "/trace":
        return f"/trace?prediction={site.names['predictions'][-1]}"
    if path == "/impact":
        return f"/impact?snapshot={site.names['snapshot']}"
    for name, value in examples.items():
        path = path.replace(name, value)
    return path


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.path)
def test_a_page_draws_without_a_complaint(page: Page, site: Any, walker: tuple[Any, bool]) -> None:
    visitor, script = walker
    address = place(site, page.path)
    assert "{" not in address, f"tell this test where to see {page.path}"
    answer = visitor.open(address)
    assert answer.status == 200
    assert visitor.page.locator("h1").count() == 1
    assert len(visitor.texts("main")[0]) > 40
    assert unlabelled(visitor.page) == []
    assert visitor.page.locator("table:not(:has(caption))").count() == 0
    assert visitor.page.locator("[style]:not(canvas, canvas *, .chart, .chart *)").count() == 0
    assert script or visitor.page.locator("[data-plot]:visible").count() == 0
    assert visitor.complaints == []


def unlabelled(page: Any) -> list[str]:
    """Fields and drawings that a screen reader could not name."""
    fields = page.locator("main input:not([type=hidden]), main select, main textarea")
    bare = [field for field in fields.all() if field.locator("xpath=ancestor::label").count() == 0]
    drawings = page.locator("main svg:not([aria-label]):not([aria-hidden])")
    return [field.get_attribute("name") or "" for field in bare] + ["svg"] * drawings.count()


def test_every_tab_leads_to_a_page_that_marks_it(visit: Any) -> None:
    visitor = visit()
    links = visitor.page.locator("nav.tabs a")
    for address in [link.get_attribute("href") for link in links.all()]:
        assert visitor.open(address).status == 200
        assert visitor.page.locator("nav.tabs a[aria-current]").get_attribute("href") == address


def test_every_link_of_the_main_pages_leads_somewhere(visit: Any, site: Any) -> None:
    visitor = visit(script=False)
    seen: set[str] = set()
    for page in (
        "/",
        "/runs",
        "/models/small-delays",
        "/gates",
        "/endpoints/late",
        "/monitors/late",
        "/datasets/flights",
    ):
        visitor.open(page)
        seen |= {
            link.get_attribute("href").partition("#")[0] for link in visitor.page.locator("main a[href^='/']").all()
        }
    for address in sorted(seen - {""})[:60]:
        assert visitor.page.request.get(site.url + address).status == 200, address


def test_what_does_not_exist_is_said_kindly(visit: Any, script: bool) -> None:
    visitor = visit(script=script)
    for path in ("/nothing", "/runs/" + "0" * 32, "/models/none", "/gates/none", "/endpoints/none", "/monitors/none",
                 "/datasets/none", "/snapshots/none", "/firings/none"):  # fmt: skip
        assert visitor.open(path).status in (400, 404), path
        assert visitor.page.locator("main [role=alert] h1").count() == 1


def test_a_viewer_sees_no_form_that_changes_something(visit: Any, site: Any) -> None:
    visitor = visit("viewer")
    for page in pages():
        visitor.open(place(site, page.path))
        asking = "[action$='/try']"  # it asks for a prediction, as a viewer may, and changes nothing
        assert visitor.page.locator(f"main form[method=post]:not({asking})").count() == 0, page.path
