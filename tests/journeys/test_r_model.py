"""A model fitted and served by R takes over from one of scikit-learn, and back, while requests run; no caller notices."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
import psutil
import pytest

pytestmark = pytest.mark.journey

EXAMPLE = Path(__file__).parents[2] / "examples" / "r-model"
TOKEN = "journey-token-0123456789"


def has_httpuv() -> bool:
    if shutil.which("Rscript") is None:
        return False
    return subprocess.run(["Rscript", "-e", "library(httpuv); library(jsonlite)"], capture_output=True).returncode == 0


needs_r = pytest.mark.skipif(not has_httpuv(), reason="R (r-base-core, r-cran-httpuv, r-cran-jsonlite) is absent")


def flights() -> pd.DataFrame:
    draw = np.random.default_rng(5)
    hour, distance = draw.integers(5, 24, 600), draw.uniform(100, 2500, 600).round(1)
    carrier = draw.choice(["AA", "B6", "UA"], 600)
    odds = 0.15 * hour + 0.0004 * distance + 0.5 * (carrier == "B6") - 3
    late = (draw.random(600) < 1 / (1 + np.exp(-odds))).astype(int)
    return pd.DataFrame({"hour": hour, "distance": distance, "carrier": carrier, "late": late})


class Caller(threading.Thread):
    """Asks without a pause, on one connection, until told to stop; keeps every answer."""

    def __init__(self, url: str, rows: list[dict[str, Any]]) -> None:
        super().__init__()
        self.answers: list[tuple[int, Any]] = []
        self.ended = threading.Event()
        self._url, self._body = url, json.dumps({"rows": rows}).encode()

    def run(self) -> None:
        connection = http.client.HTTPConnection(urlsplit(self._url).netloc, timeout=60)
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        while not self.ended.is_set():
            connection.request("POST", "/v1/endpoints/late/predict", self._body, headers)
            answer = connection.getresponse()
            self.answers.append((answer.status, json.loads(answer.read())))
        connection.close()


def loopline(server: Any, *words: str, folder: Path) -> dict[str, Any]:
    environment = os.environ | {"LOOPLINE_URL": server.url, "LOOPLINE_TOKEN": TOKEN}
    done = subprocess.run(
        [sys.executable, "-m", "loopline", *words, "--json"], cwd=folder, env=environment, capture_output=True,
        text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def of_sklearn(frame: pd.DataFrame) -> Any:
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    shaped = make_column_transformer((OneHotEncoder(), ["carrier"]), (StandardScaler(), ["hour", "distance"]))
    return make_pipeline(shaped, LogisticRegression(C=100.0)).fit(frame[["hour", "distance", "carrier"]], frame["late"])


@needs_r
def test_r_takes_over_and_gives_back_without_a_failed_request(
    up: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = flights()
    frame.to_csv(tmp_path / "flights.csv", index=False)
    subprocess.run(["Rscript", str(EXAMPLE / "fit.R"), "flights.csv"], cwd=tmp_path, check=True, timeout=120)
    expected = json.loads((tmp_path / "expected.json").read_text())
    server = up()
    rows = frame[["hour", "distance", "carrier"]].head(5)
    import loopline as library

    monkeypatch.setenv("LOOPLINE_TOKEN", TOKEN)
    with library.run("fit", capture=False, client=server.client) as run:
        estimator = of_sklearn(frame)
        run.model("logistic", estimator, example=rows, register="late")
    loopline(server, "deploy", "late", "late/1", folder=tmp_path)
    caller = Caller(server.serving_url, rows.to_dict("records"))
    caller.start()
    try:
        made = loopline(
            server, "register", "late", "--command", "Rscript serve.R", "--file", str(EXAMPLE / "serve.R"), "--file",
            "model.rds", "--like", "late/1", folder=tmp_path,
        )  # fmt: skip
        assert (made["version"], made["format"], made["servable"]) == (2, "command", True)
        loopline(server, "deploy", "late", "late/2", folder=tmp_path)
        loopline(server, "rollback", "late", folder=tmp_path)
    finally:
        caller.ended.set()
        caller.join(60)
    assert {status for status, _ in caller.answers} == {200}
    by_version = {version: [told for _, told in caller.answers if told["version"] == version] for version in (1, 2)}
    assert len(by_version[1]) > 10
    assert len(by_version[2]) > 10
    for told in by_version[2]:
        assert told["predictions"] == pytest.approx(expected, abs=1e-12)
    theirs = estimator.predict_proba(rows)[:, 1].tolist()
    for told in by_version[1]:
        assert told["predictions"] == pytest.approx(theirs, abs=1e-12)
    assert theirs == pytest.approx(expected, abs=0.05)  # two libraries, one question
    told = [told["version"] for _, told in caller.answers]
    assert sum(one != other for one, other in itertools.pairwise(told)) == 2  # there, and back
    programs = [one for one in server.family() if any("serve.R" in word for word in one.cmdline())]
    server.stop()
    assert programs
    assert not psutil.wait_procs(programs, timeout=20)[1]
