"""A planted bad day: one alert, by mail with a plot and by webhook; looked after, judged, and over when the days are good
again."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import loopline
from loopline.app.wiring import open_home
from loopline.core.tables import Column, Signature
from loopline.testing.receivers import mail_server, webhook_sink

pytestmark = pytest.mark.journey
TOKEN = "journey-token-0123456789"
SIGNATURE = Signature((Column("x", "float"), Column("site", "string")), Column("late", "float"))
PROJECT = """
project: flights
models: {delays: {}}
endpoints: {late: {model: delays, key: id, event_time: at}}
channels:
  night: {env: NIGHT_ADDRESS, description: whoever is on call}
  hook: {env: HOOK_ADDRESS}
monitors:
  late:
    endpoint: late
    window: day
    metric: auc
    lower_limit: 0.75
    minimum_labels: 50
    minimum_rows: 50
    label_delay_hours: 1
    slices: [site]
    threshold: 0.5
    costs: {false_negative: 5, false_positive: 1}
    notify: [night, hook]
"""


class Days:
    """Traffic of whole days with its truth, seed by day; on a bad day truth has nothing to do with the predictions of
    one site."""

    def __init__(self, endpoint: Any) -> None:
        self._endpoint = endpoint

    def send(self, day: int, bad: bool = False, hours: int = 24, rows: int = 240) -> None:
        rng = np.random.default_rng(day * 100 + hours)
        x, site = rng.normal(size=rows), np.where(rng.random(rows) < 0.5, "north", "south")
        late = rng.random(rows) < 1 / (1 + np.exp(-3 * x))
        if bad:
            late = np.where(site == "north", rng.random(rows) < 0.5, late)
        start = datetime(2026, 3, 2, tzinfo=UTC) + timedelta(days=day)
        at = [(start + timedelta(hours=hours * place / rows)).isoformat() for place in range(rows)]
        asked = [
            {"x": float(x[place]), "site": str(site[place]), "id": f"{day}-{hours}-{place}", "at": at[place]}
            for place in range(rows)
        ]
        answered = self._endpoint.predict(asked)
        self._endpoint.truth(
            [{"prediction_id": one, "value": float(value), "observed_at": when}
             for one, value, when in zip(answered.ids, late, at, strict=True)]
        )  # fmt: skip


def prepared(folder: Path) -> Path:
    """A home in which a model answers at an endpoint that is watched."""
    import pandas as pd
    from sklearn.compose import make_column_transformer
    from sklearn.pipeline import make_pipeline

    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"x": rng.normal(size=500), "site": np.where(rng.random(500) < 0.5, "north", "south")})
    chosen = make_column_transformer(("passthrough", ["x"]))
    model = make_pipeline(chosen, LogisticRegression()).fit(frame, rng.random(500) < 1 / (1 + np.exp(-3 * frame["x"])))
    (folder / "model").mkdir()
    (folder / "project").mkdir()
    (folder / "project" / "loopline.yaml").write_text(PROJECT)
    with open_home(folder / "home") as home:
        home.get("runtimes")["sklearn-skops"].save(model, folder / "model")
        digest = home.registry.keep(folder / "model", "sklearn-skops", SIGNATURE)
        home.registry.register("delays", digest, "run", {}, SIGNATURE, None, None, {}, "ada")
        home.projects.apply(folder / "project", "ada")
        home.serving.deploy("late", 1, "ada", "delays")
    return folder / "home"


def command(home: Path, *words: str) -> Any:
    words = (sys.executable, "-m", "loopline", *words, "--json", "--home", str(home))
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_bad_day_is_told_looked_after_judged_and_over(
    up: Callable[..., Any], until: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = prepared(tmp_path)
    with mail_server() as mail, webhook_sink() as hook, ExitStack() as opened:
        monkeypatch.setenv("NIGHT_ADDRESS", f"mailto://127.0.0.1:{mail.port}?from=l@example.org&to=night@example.org")
        monkeypatch.setenv("HOOK_ADDRESS", f"json://127.0.0.1:{hook.port}/alerts")
        server = up(home)
        endpoint = opened.enter_context(loopline.endpoint("late", url=server.serving_url, token=TOKEN))
        until(endpoint.ready, 120)
        assert command(home, "channels", "--test", "night")["name"] == "night"
        assert mail.wait(1)[0]["Subject"] == "Test of the channel night"

        days = Days(endpoint)
        for day in range(5):
            days.send(day, bad=day == 4)
        days.send(5, hours=3, rows=60)
        _, told = mail.wait(2, 120)
        (called,) = hook.wait(1, 60)
        (alert,) = server.client.call("monitoring.alerts", state="open")
        see_that_it_says_it_all(alert, told, called)

        server.client.call("monitoring.acknowledge", alert=alert["id"], note="I look at it")
        command(home, "judge", alert["id"], "real")
        days.send(5)
        days.send(6, hours=3, rows=60)
        until(lambda: not server.client.call("monitoring.alerts", state="open"), 120)
        assert mail.wait(3, 60)[2]["Subject"] == "Resolved: late - performance"
        assert len(hook.wait(2, 60)) == 2

        (judged,) = server.client.call("monitoring.alerts", state="resolved")
        assert (judged["id"], judged["verdict"]) == (alert["id"], "real")
        (precision,) = server.client.call("monitoring.precision")
        assert (precision["judged"], precision["real"], precision["share"]) == (1, 1, 1.0)
        until(lambda: {one["state"] for one in server.client.call("monitoring.deliveries")} == {"sent"})
        assert len(mail.all()) == 3


def see_that_it_says_it_all(alert: Any, told: Any, called: Any) -> None:
    assert (alert["cause"], alert["endpoint"], alert["version"]) == ("performance", "late", 1)
    assert alert["first_window"] == "2026-03-06T00:00:00.000Z"
    assert told["Subject"] == "Alert: late - performance"
    text = told.get_body(("plain",)).get_content()
    for part in ("What changed: auc fell by", "Direction: worse", "Since: 2026-03-06", "Worst in: site = north",
                 "Truth arrived: 100 %", "Likely cost: about", f"loopline blame {alert['id']}"):  # fmt: skip
        assert part in text, text
    (picture,) = [part.get_content() for part in told.walk() if part.get_content_type() == "image/png"]
    assert picture.startswith(b"\x89PNG")
    assert called["body"]["title"] == told["Subject"]
    assert base64.b64decode(called["body"]["attachments"][0]["base64"]).startswith(b"\x89PNG")
    assert called["headers"]["x-loopline-message"].startswith(alert["id"])
