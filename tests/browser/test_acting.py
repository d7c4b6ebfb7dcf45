"""People act on the pages, with script and without: what they see is what the API answers."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.browser


def test_runs_sort_by_a_metric(site: Any, visit: Any, script: bool) -> None:
    visitor = visit("viewer", script)
    visitor.open("/runs?experiment=studies")
    visitor.page.evaluate("window.kept = true") if script else None
    for way, order in (("descending", "desc"), ("ascending", "asc")):
        visitor.page.click("thead a:has-text('loss')")
        visitor.page.wait_for_selector(f"th[aria-sort={way}] >> text=loss")
        found = site.call("tracking.search", experiment="studies", order_by=[f"metrics.loss {order}"])["runs"]
        assert visitor.texts("tbody th a") == [run["name"] for run in found]
        assert f"sort=metrics.loss&order={order}" in visitor.path()
        assert visitor.texts("tbody td.number:nth-child(5)") == [f"{run['metrics']['loss']:.4f}" for run in found]
    if script:
        assert visitor.page.evaluate("window.kept") is True, "with script the table alone is replaced"
        visitor.page.go_back()
        visitor.page.wait_for_selector("th[aria-sort=descending] >> text=loss")


def test_runs_filter_by_status_and_name(site: Any, visit: Any, script: bool) -> None:
    visitor = visit("viewer", script)
    visitor.open("/runs?experiment=studies")
    visitor.page.select_option("select[name=status]", "failed")
    if not script:
        visitor.page.click("#runs button:has-text('Show')")
    visitor.page.wait_for_selector("caption:has-text('1 run ')")
    failed = site.call("tracking.search", filter="status = 'failed'")["runs"]
    assert visitor.texts("tbody th a") == [run["name"] for run in failed] == ["study 3"]
    visitor.page.click("text=Clear")
    visitor.page.wait_for_selector(f"caption:has-text('{len(site.call('tracking.search')['runs'])} runs')")
    visitor.page.fill("input[name=q]", "study")
    visitor.page.press("input[name=q]", "Enter")
    visitor.page.wait_for_selector("caption:has-text('4 runs')")


def test_a_search_that_is_written_wrongly_says_where(visit: Any, script: bool) -> None:
    visitor = visit("viewer", script)
    visitor.open("/runs?filter=metrics.auc+%3E")
    assert "ends too early" in visitor.texts("[role=alert]")[0]
    assert visitor.page.input_value("input[name=filter]") == "metrics.auc >"


def test_the_timeline_filters_and_turns_pages(site: Any, visit: Any, script: bool) -> None:
    visitor = visit("viewer", script)
    visitor.open("/")
    visitor.page.select_option("select[name=kind]", "gate.decided")
    if not script:
        visitor.page.click("#timeline button:has-text('Show')")
    visitor.page.wait_for_url("**/?kind=gate.decided*")
    visitor.page.wait_for_selector("#timeline a:has-text('Clear')")
    facts = site.call("ledger.facts", newest=True, kind="gate.decided", limit=40)
    assert visitor.texts(".facts .what a") == [fact["subject"] for fact in facts]
    visitor.open(f"/?before={facts[0]['seq']}")
    assert visitor.page.locator(f"#fact-{facts[0]['seq'] - 1}").count() == 1
    assert visitor.page.locator(f"#fact-{facts[0]['seq']}").count() == 0


def test_the_loop_shows_its_state_and_turns_red(site: Any, visit: Any, script: bool) -> None:
    visitor = visit("viewer", script)
    visitor.open("/")
    alerts = [one for one in site.call("monitoring.alerts") if one["state"] != "resolved"]
    assert f"{len(alerts)} open" in visitor.page.locator(".stop.bad").text_content()
    versions = sum(model["versions"] for model in site.call("registry.models"))
    assert f"{versions} versions" in visitor.page.locator(".stop:has-text('Registry')").text_content()
    visitor.page.click(".stop:has-text('Gate')")
    assert visitor.path() == "/gates"


def test_the_loop_and_the_timeline_keep_up_while_one_looks(site: Any, visit: Any) -> None:
    visitor = visit("viewer")
    visitor.open("/")
    visitor.page.evaluate("window.kept = true")
    run = site.loopline.tracking.start("while one looks", actor="ada", experiment="looking")
    site.loopline.tracking.finish(run.id, actor="ada")
    visitor.page.wait_for_selector(".facts .what a:has-text('while one looks')", timeout=15_000)
    assert visitor.page.evaluate("window.kept") is True


def test_an_approver_approves_and_promotes(site: Any, visit: Any, script: bool) -> None:
    promotion = site.loopline.promotion
    if site.call("registry.aliases", model="small-delays")["production"] == 2:
        promotion.rollback("small-delays", "production", "ada", "to try again")
    gate = promotion.gate("small-delays", 2, "production", "ada")
    visitor = visit("approver", script)
    visitor.open(f"/gates/{gate.id}")
    assert "1 approval missing" in visitor.texts(".notice")[0]
    assert visitor.page.locator("button:has-text('Promote')").count() == 0
    visitor.page.fill("input[name=note]", "looks <b>right</b>")
    visitor.page.click("button:has-text('Approve')")
    visitor.page.wait_for_selector("button:has-text('Promote to production')")
    standing = site.call("promotion.standing", model="small-delays", version=2, alias="production")
    assert [(one["given_by"], one["note"]) for one in standing["approvals"]] == [
        ("approver-person", "looks <b>right</b>")
    ]
    assert "looks <b>right</b>" in visitor.texts("tbody")[0]
    visitor.page.click("button:has-text('Promote to production')")
    visitor.page.wait_for_selector(".notice.good")
    assert site.call("registry.aliases", model="small-delays")["production"] == 2


def test_nobody_approves_their_own_candidate(site: Any, visit: Any) -> None:
    if site.call("registry.aliases", model="small-delays")["production"] == 2:
        site.loopline.promotion.rollback("small-delays", "production", "ada", "to try again")
    gate = site.loopline.promotion.gate("small-delays", 2, "production", "ada")
    if all(token["name"] != "ada" for token in site.call("access.tokens")):
        site.tokens["ada"] = site.loopline.access.new("ada", "approver", "ada").secret
    visitor = visit("ada")
    visitor.open(f"/gates/{gate.id}")
    assert "someone else approves it" in visitor.texts("main")[0]
    assert visitor.page.locator("button:has-text('Approve')").count() == 0
    form = {"model": "small-delays", "version": "2", "alias": "production"}
    answer = visitor.page.request.post(f"{site.url}/gates/{gate.id}/approve", form=form)
    assert answer.status == 403
    assert "cannot approve it" in answer.text()


def test_an_editor_acknowledges_an_alert(site: Any, visit: Any, script: bool) -> None:
    cause = "performance" if script else "latency"
    alert = next(one for one in site.call("monitoring.alerts", endpoint="late") if one["cause"] == cause)
    assert alert["state"] == "open"
    visitor = visit("editor", script)
    visitor.open("/monitors/late")
    card = visitor.page.locator(f"#alert-{alert['id']}")
    card.locator("input[name=note]").fill("on it")
    card.locator("button:has-text('Acknowledge')").click()
    visitor.page.wait_for_selector(f"#alert-{alert['id']} .status:has-text('acknowledged')")
    now = next(one for one in site.call("monitoring.alerts", endpoint="late") if one["id"] == alert["id"])
    assert (now["state"], now["note"], now["changed_by"]) == ("acknowledged", "on it", "editor-person")
    assert visitor.path() == "/monitors/late"


def test_an_approver_rolls_an_endpoint_back(site: Any, visit: Any, script: bool) -> None:
    serving = site.loopline.serving
    visitor = visit("approver", script)
    visitor.open("/endpoints/late")
    live = site.call("serving.endpoint", endpoint="late")["live"]["revision"]
    visitor.page.click("button:has-text('Roll back')")
    visitor.page.wait_for_selector(".notice:has-text('is being loaded')")
    wanted = site.call("serving.endpoint", endpoint="late")["wanted"]["revision"]
    assert wanted != live
    assert f"Revision {wanted}" in visitor.texts(".notice")[0]
    visitor.page.click("button:has-text('Roll back')")  # a deployment under way is called off
    visitor.page.wait_for_selector("h1")
    assert site.call("serving.endpoint", endpoint="late")["wanted"]["revision"] == live
    assert serving.endpoint("late").live == live
