"""Models that the stock client logs and registers are deployed, and answer over HTTP what its own pyfunc predicts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peers
import pytest

pytestmark = pytest.mark.integration
HERE = Path(__file__).parent
TOKEN = "compat-token-0123456789"
FEW = ("lightgbm-words", "xgboost-booster")
Told = dict[str, dict[str, Any]]


@pytest.fixture(scope="module", params=[FEW, pytest.param((), marks=pytest.mark.torture)], ids=["few", "all"])
def logged(server: str, request: pytest.FixtureRequest) -> Told:
    """What was logged through MLflow's protocol, with what pyfunc predicts."""
    environment = os.environ | {"MLFLOW_TRACKING_TOKEN": TOKEN}
    command = [peers.python_of("mlflow-3"), str(HERE / "logging_models.py"), server, *request.param]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    told: Told = json.loads(done.stdout.splitlines()[-1])
    return told


@pytest.fixture(scope="module")
def loopline(server: str) -> Callable[..., Any]:
    """Our command line, towards that server."""

    def call(*words: str) -> Any:
        environment = os.environ | {"LOOPLINE_URL": server, "LOOPLINE_TOKEN": TOKEN}
        command = [sys.executable, "-m", "loopline", *words, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return call


def test_what_is_safe_is_served_and_answers_like_pyfunc(
    logged: Told, loopline: Callable[..., Any], tmp_path: Path
) -> None:
    assert set(FEW) <= set(logged)
    for name, told in logged.items():
        version = loopline("versions", name)[-1]
        assert version["servable"], (name, version["metadata"])
        loopline("deploy", name, f"{name}/{version['version']}")
        (tmp_path / "rows.json").write_text(json.dumps(told["rows"]))
        found = loopline("predict", name, "--rows", str(tmp_path / "rows.json"))["predictions"]
        assert same(found, told["predictions"]), name


def same(found: list[Any], wanted: list[Any]) -> bool:
    """Values are equal; where pyfunc gives one of two labels, ours is the probability of the second."""
    if isinstance(wanted[0], str):
        return found == wanted
    if set(wanted) <= {0, 1} and not set(found) <= {0, 1}:
        return [one > 0.5 for one in found] == [bool(one) for one in wanted]
    return found == pytest.approx(wanted, rel=1e-6, abs=1e-9)


def test_a_pickle_is_kept_and_says_why_it_is_not_served(logged: Told, loopline: Callable[..., Any]) -> None:
    version = loopline("versions", "pickled")[-1]
    assert not version["servable"]
    assert "which could run any code" in version["metadata"]["not_servable"]
