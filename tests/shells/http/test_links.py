"""Addresses that MLflow's client prints lead to our pages."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.unit


def test_an_experiment_leads_to_its_runs(ask: Any, loopline: Any) -> None:
    number = loopline.tracking.create_experiment("late & loud", actor="ann")
    for path in (f"/experiments/{number}", f"/experiments/{number}/runs"):
        answer = ask("GET", path)
        assert (answer.status, answer.headers["location"]) == (303, "/runs?experiment=late+%26+loud")


@pytest.mark.parametrize("rest", ["", "/artifacts", "/model-metrics"])
def test_a_run_leads_to_its_page(ask: Any, rest: str) -> None:
    answer = ask("GET", f"/experiments/0/runs/{'a' * 32}{rest}")
    assert (answer.status, answer.headers["location"]) == (303, f"/runs/{'a' * 32}")


@pytest.mark.parametrize(("path", "status"), [("/experiments/999999", 404), (f"/experiments/{10**30}", 404)])
def test_an_unknown_experiment_is_said_to_be(ask: Any, path: str, status: int) -> None:
    assert ask("GET", path).status == status
