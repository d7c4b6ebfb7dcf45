"""The walk from a prediction back, and from a snapshot on, drawn and told."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.browser


def test_a_prediction_is_traced_to_its_batch(site: Any, visit: Any, script: bool) -> None:
    name = site.names["predictions"][-1]
    visitor = visit("viewer", script)
    visitor.open("/trace")
    visitor.page.fill("input[name=prediction]", name)
    visitor.page.click("text=Trace it")
    visitor.page.wait_for_selector(".walk svg")
    walk = site.call("lineage.trace", prediction=name)
    told = visitor.texts(".walk-list strong") + visitor.texts("details tbody th")
    assert told == [node["title"] for node in walk["nodes"]]
    assert visitor.page.locator(".walk svg .box").count() == len(walk["nodes"])
    assert visitor.page.locator(".walk svg path.arrow").count() == len(walk["edges"])
    visitor.page.click(".walk svg a.snapshot")
    assert visitor.path() == f"/snapshots/{site.names['snapshot']}"


def test_a_snapshot_shows_what_it_touched(site: Any, visit: Any, script: bool) -> None:
    visitor = visit("viewer", script)
    visitor.open(f"/snapshots/{site.names['snapshot']}")
    visitor.page.click("text=What it touched")
    walk = site.call("lineage.impact", snapshot=site.names["snapshot"])
    assert visitor.texts(".walk-list strong") == [node["title"] for node in walk["nodes"]]
    assert {node["kind"] for node in walk["nodes"]} >= {"snapshot", "run", "version", "revision"}


def test_a_wrong_id_is_answered_where_it_was_typed(visit: Any, script: bool) -> None:
    visitor = visit("viewer", script)
    visitor.open("/trace?prediction=<script>alert(1)</script>")
    assert "is not a prediction id" in visitor.texts("[role=alert]")[0]
    assert visitor.page.input_value("input[name=prediction]") == "<script>alert(1)</script>"


@pytest.mark.unit
def test_many_batches_become_a_few_boxes() -> None:
    from loopline.usecases.lineage.web import drawing

    def node(name: str, kind: str) -> dict[str, Any]:
        return {"id": name, "kind": kind, "title": name, "address": ""}

    batches = [node(f"b{place}", "batch") for place in range(40)]
    edges = [{"source": "s", "target": one["id"], "what": "holds"} for one in batches]
    drawn = drawing([node("s", "snapshot"), *batches], edges)
    assert len(drawn["boxes"]) == 5
    assert drawn["boxes"][-1]["title"] == "and 37 more"
    assert len(drawn["curves"]) == 4
