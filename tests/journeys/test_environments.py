"""A model runs in the environment that its lock names, beside others; one that cannot be built fails alone."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

import loopline
from loopline import Column, PythonModel, Signature
from loopline.app.wiring import open_home

pytestmark = pytest.mark.journey

TOKEN = "journey-token-0123456789"
SIGNATURE = Signature((Column("x", "float"),), Column("version", "string"))
TOLD = """from importlib.metadata import version


class Told:
    def predict(self, rows: list):
        return [version("iniconfig") for _ in rows]
"""


def predicted(server: Any, **row: Any) -> Any:
    connection = http.client.HTTPConnection(urlsplit(server.serving_url).netloc, timeout=60)
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    connection.request("POST", "/v1/endpoints/told/predict", json.dumps({"rows": [row]}), headers)
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return answer["predictions"][0]


def deployed(server: Any, version: int, until: Callable[..., Any]) -> Any:
    made = server.client.call("serving.deploy", endpoint="told", version=version, model="told")

    def ended() -> Any:
        found = server.client.call("serving.revision", endpoint="told", revision=made["revision"])
        return found if found["status"] in ("live", "failed") else None

    return until(ended, 120)


def test_a_model_runs_in_the_environment_of_its_lock(
    up: Callable[..., Any], tmp_path: Path, until: Callable[..., Any]
) -> None:
    (tmp_path / "told.py").write_text(TOLD)
    (tmp_path / "pyproject.toml").write_text('[project]\ndependencies = ["loopline", "iniconfig==2.0.0"]\n')
    server = up()
    with open_home(tmp_path / "locking") as here:
        here.releases.lock(tmp_path)
    lock = tmp_path / "requirements.lock"
    spoilt = tmp_path / "spoilt.lock"
    spoilt.write_text(lock.read_text().replace("iniconfig==2.0.0", "iniconfig==2.0.99"))
    with loopline.run("register", capture=False, client=server.client) as run:
        for name, kept in (("ours", None), ("locked", lock), ("spoilt", spoilt)):
            model = PythonModel(f"{tmp_path}/told.py:Told", lock=kept)
            run.model(name, model, signature=SIGNATURE, register="told")
    assert deployed(server, 1, until)["status"] == "live"
    ours = predicted(server, x=1.0)
    assert ours != "2.0.0"
    assert deployed(server, 2, until)["status"] == "live"
    assert predicted(server, x=1.0) == "2.0.0"
    failed = deployed(server, 3, until)
    assert failed["status"] == "failed"
    assert failed["reason"].startswith(
        "The environment of told/3 is not to be had: The release's environment cannot be built: "
    )
    assert predicted(server, x=1.0) == "2.0.0"
    assert server.client.call("serving.rollback", endpoint="told")["revision"] == 1
    with open_home(server.home) as here:  # as a gate asks it
        loaded = here.registry.load("told", 2)
        assert loaded.predict({"x": np.array([1.0])}).tolist() == ["2.0.0"]
        loaded.close()
