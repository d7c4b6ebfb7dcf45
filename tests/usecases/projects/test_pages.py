"""The pages of projects: what stands where, and what differs from the folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loopline.app.wiring import Loopline
from loopline.core.verbs import Caller, Role
from loopline.shells.http.pages import calls, templates
from loopline.usecases.projects import web

pytestmark = pytest.mark.integration
ADA = Caller("ada", Role.ADMIN)


def drawn(loopline: Loopline, path: str, **params: str) -> str:
    """A page's HTML, as a viewer gets it."""
    (page,) = [page for page in web.PAGES if page.path == path]
    viewer = Caller("vic", Role.VIEWER)
    data: Any = page.data(calls(loopline, viewer), params)
    return (
        templates().get_template(f"projects/{page.template}").render(tab=page.tab, caller=viewer, params=params, **data)
    )


def test_a_project_shows_its_environments_and_how_it_stands(loopline: Loopline, two: Path) -> None:
    assert "No project is applied yet" in drawn(loopline, "/projects")
    loopline.projects.apply(two, "ada")
    page = drawn(loopline, "/projects/{name}", name="late")
    for words in (
        "flights.prod",
        "variable KEY_OF_WEATHER",
        "tests, contract, 2 approvals",
        "Nothing differs",
        "in step",
    ):
        assert words in page, words
    assert "hunter2" not in page
    loopline.serving.put("late", "late", "bob", alias="staging")
    (two / "loopline.yaml").write_text((two / "loopline.yaml").read_text().replace("owner: ada", "owner: <b>eve</b>"))
    page = drawn(loopline, "/projects/{name}", name="late")
    for words in ("changed by hand", "bob", "differs", "&lt;b&gt;eve"):
        assert words in page, words
    assert "<b>eve" not in page


def test_what_cannot_be_compared_is_said(loopline: Loopline, two: Path) -> None:
    text = (two / "loopline.yaml").read_text()
    loopline.projects.apply(two, "ada")
    (two / "loopline.yaml").write_text("project: [")
    assert "this is no YAML" in drawn(loopline, "/projects/{name}", name="late")
    assert "unreadable" in drawn(loopline, "/projects")
    (two / "loopline.yaml").write_text(text[: text.index("endpoints:")])
    loopline.projects.apply(two, "ada")
    page = drawn(loopline, "/projects/{name}", name="late")
    assert "left over: model late" in page
    assert "leftovers" in drawn(loopline, "/projects")
