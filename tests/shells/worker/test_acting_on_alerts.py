"""Policies that act on alerts, with the real services: an endpoint goes back, releases are held, people are told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from loopline.app.wiring import Loopline, open_home
from loopline.core.tables import Column, Signature
from loopline.shells.worker.fire import execute
from loopline.usecases.monitoring.incidents import Incidents
from loopline.usecases.monitoring.model.alerts import Finding

pytestmark = pytest.mark.integration
PROJECT = """
project: flights
models: {delays: {}}
endpoints: {late: {model: delays}}
channels: {night: {env: NIGHT}}
monitors: {late: {endpoint: late, window: day}}
policies:
  back: {on: alert, when: {endpoint: late, cause: performance}, do: roll_back}
  stop: {on: alert, when: {endpoint: late}, do: hold}
  tell: {on: alert, when: {endpoint: late}, do: notify, notify: [night]}
"""
AT = "2026-03-07T00:00:00.000Z"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Loopline]:
    """Two versions were live at an endpoint, one after the other."""
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "loopline.yaml").write_text(PROJECT)
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(50, 1))
    with open_home(tmp_path / "home") as loopline:
        for version in (1, 2):
            folder = tmp_path / f"model{version}"
            folder.mkdir()
            model = LogisticRegression(C=version).fit(rows, rows[:, 0] > 0)
            loopline.get("runtimes")["sklearn-skops"].save(model, folder)
            signature = Signature((Column("x", "float"),), Column("late", "float"))
            digest = loopline.registry.keep(folder, "sklearn-skops", signature)
            loopline.registry.register("delays", digest, f"run{version}", {}, signature, None, None, {}, "ada")
        loopline.projects.apply(tmp_path / "project", "ada")
        for version in (1, 2):
            revision = loopline.serving.deploy("late", version, "ada", "delays")
            loopline.serving.went_live("late", revision.revision, f"2026-03-0{version}T00:00:00.000Z", "data plane")
        loopline.automation.tick()
        yield loopline


def settle(home: Loopline, state: str, window: str) -> None:
    finding = Finding(
        cause="performance", state=state, first_window=window, window=window, version=2, value=0.6, limit=0.7,  # type: ignore[arg-type]
        message="auc 0.600 is below the limit 0.700",
    )  # fmt: skip
    incidents = Incidents(home.ledger)
    home.database.write(lambda tx: incidents.settle(tx, "late", "delays", [finding], {}, "monitor", AT))


def acted(home: Loopline) -> dict[str, Any]:
    """Execute what waits; the newest firing of each policy."""
    home.automation.tick()
    while firing := home.automation.next_requested():
        assert execute(home.home, firing.id) == 0
    return {firing.policy: firing for firing in reversed(home.automation.firings())}


def test_an_alert_rolls_back_holds_and_tells(home: Loopline, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NIGHT", f"lines:{tmp_path / 'told.jsonl'}")
    settle(home, "wrong", "2026-03-06")
    firings = acted(home)
    assert firings["back"].reason.startswith("late goes back to version 1")
    wanted = home.serving.endpoint("late").wanted
    assert home.serving.revision("late", wanted).version == 1
    assert "releases of delays are held" in firings["stop"].reason
    assert home.automation.held("delays").startswith("alert ")
    assert home.promotion._held("delays").startswith("releases of delays are held (alert ")
    assert home.monitoring.messages.send_due() == 1
    assert "Alert: late - performance" in (tmp_path / "told.jsonl").read_text()
    assert "late goes back" in " ".join(home.automation.why(firings["back"].id).sentences)
    assert home.automation.why(firings["stop"].id).did[0].kind == "releases.held"

    settle(home, "well", "2026-03-07")
    acted(home)
    assert home.automation.held("delays") == ""


def test_once_another_version_answers_nothing_more_goes_back(home: Loopline) -> None:
    settle(home, "wrong", "2026-03-06")
    acted(home)
    wanted = home.serving.endpoint("late").wanted
    home.serving.went_live("late", wanted, AT, "data plane")
    settle(home, "well", "2026-03-07")
    settle(home, "wrong", "2026-03-08")
    assert "not rolled back: late answers with delays:1" in acted(home)["back"].reason
