"""Webhooks over HTTP: no token, a signature instead."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from loopline.core.verbs import Role
from loopline.shells.http.control import application, host_names
from loopline.shells.http.hooks import AT_ONCE, Rate
from loopline.usecases.automation.hooks import signature

pytestmark = pytest.mark.integration

CONFIG = """
project: flights
pipelines: {training: {}}
policies:
  push: {on: webhook, secret: {env: HOOK_SECRET}, run: training, params_from: {days: days}}
  weekly: {on: schedule, cron: "0 6 * * 1", run: training}
"""
PLACE = "/api/v1/hooks/flights/push"


def signed(body: bytes) -> dict[str, str]:
    timestamp = str(int(time.time()))
    return {
        "x-loopline-timestamp": timestamp,
        "x-loopline-signature": signature(b"hush", timestamp.encode() + b"." + body),
    }


@pytest.fixture
def hooked(loopline: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("HOOK_SECRET", "hush")
    folder = tmp_path / "flights"
    folder.mkdir()
    (folder / "loopline.yaml").write_text(CONFIG)
    (folder / "pipeline.py").write_text("")
    loopline.projects.apply(folder, "ada")
    return loopline


@pytest.fixture
def stranger(hooked: Any, ask: Any) -> Any:
    """One who has no token, at an application that nobody has asked before."""
    return type(ask)(application(hooked, host_names("127.0.0.1", 8400)))


def test_a_signed_delivery_needs_no_token(hooked: Any, stranger: Any) -> None:
    body = b'{"days": 7}'
    answer = stranger("POST", PLACE, body, headers=signed(body))
    assert (answer.status, answer.data["state"]) == (202, "requested")
    assert stranger("POST", PLACE, body, headers=signed(body)).status == 202
    assert hooked.automation.firing(answer.data["firing"]).rules.params == {"days": 7}


def test_wrong_deliveries_all_get_the_same_answer(hooked: Any, stranger: Any) -> None:
    body = b'{"days": 7}'
    places = (PLACE, "/api/v1/hooks/flights/none", "/api/v1/hooks/none/push", "/api/v1/hooks/flights/weekly")
    before = len(hooked.automation.firings())
    answers = {(answer.status, answer.body) for place in places for answer in (stranger("POST", place, body),)}
    answers |= {(answer.status, answer.body) for place in places[1:]
                for answer in (stranger("POST", place, body, headers=signed(body)),)}  # fmt: skip
    assert [status for status, _ in answers] == [401]
    assert len(hooked.automation.firings()) == before


def test_what_is_too_large_or_no_json_is_refused(hooked: Any, stranger: Any) -> None:
    large = stranger("POST", PLACE, b"x" * (256 * 1024 + 1))
    assert (large.status, large.data["message"]) == (413, "The delivery is too large.")
    assert stranger("POST", PLACE, b"no json", headers=signed(b"no json")).status == 400
    assert stranger("GET", PLACE).status == 405
    assert stranger("POST", PLACE + "/more", b"{}").status == 404


def test_too_many_deliveries_are_slowed_down(hooked: Any, stranger: Any) -> None:
    statuses = [stranger("POST", PLACE, b"{}").status for _ in range(int(AT_ONCE) + 3)]
    assert set(statuses) == {401, 429}
    assert statuses[0] == 401


def test_the_rate_recovers() -> None:
    now = 0.0
    rate = Rate(lambda: now)
    assert [rate.allows("a") for _ in range(31)] == [True] * 30 + [False]
    assert rate.allows("b")
    now = 1.0
    assert [rate.allows("a") for _ in range(6)] == [True] * 5 + [False]


def test_the_graph_and_the_policies_are_pages(hooked: Any, ask: Any) -> None:
    graph = ask("GET", "/automation/graph")
    assert graph.status == 200
    text = graph.body.decode()
    assert "<svg" in text
    assert "/hooks/flights/push" in text
    assert "next 20" in text
    page = ask("GET", "/policies").body.decode()
    assert 'action="/policies/push/fire"' in page
    assert "/automation/graph" in page
    assert ask("GET", "/api/v1/automation/graph").data["edges"]


def test_the_button_is_for_editors(hooked: Any, askers: Any) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    for role, asker in askers.items():
        before = len(hooked.automation.firings("weekly"))
        answer = asker("POST", "/policies/weekly/fire", b"project=flights", headers=form)
        allowed = role >= Role.EDITOR
        assert answer.status == (303 if allowed else 403)
        assert len(hooked.automation.firings("weekly")) == before + allowed
    editor = askers[Role.EDITOR]
    foreign = {**form, "origin": "https://elsewhere.example"}
    assert editor("POST", "/policies/weekly/fire", b"project=flights", headers=foreign).status == 403
