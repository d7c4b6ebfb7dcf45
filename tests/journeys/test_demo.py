"""`make demo`, word for word: the whole loop on real flights, then what it left behind is looked at."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import loopline
from loopline.app.wiring import audit, open_home
from loopline.usecases.promotion.model.decision import decide

pytestmark = pytest.mark.journey
DEMO = Path(__file__).parents[2] / "examples" / "late-arrival" / "demo.py"
ENDPOINT = "late-arrival"
TOKEN = "journey-token-0123456789"


@dataclass
class Played:
    """What a play printed and left."""

    said: str
    home: Path
    client: Any

    def figure(self, name: str) -> int:
        """A whole number of the final table."""
        found = re.search(rf"{name}\s+([\d,]+)", self.said)
        assert found, f"{name!r} is not in:\n{self.said}"
        return int(found[1].replace(",", ""))


def play(folder: Path, *more: str) -> str:
    environment = os.environ | {"COLUMNS": "200", "LOOPLINE_TOKEN": "demo-token-for-the-test"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [
        sys.executable,
        str(DEMO),
        "--exit",
        "--folder",
        str(folder),
        "--port",
        "0",
        "--serving-port",
        "0",
        *more,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    folder = tmp_path_factory.mktemp("demo")
    said = play(folder)
    client = loopline.connect(home=folder / "home")
    yield Played(said, folder / "home", client)
    client.close()


def test_no_request_failed_and_a_swap_happened(played: Played) -> None:
    assert played.figure("requests") >= 20_000
    assert played.figure("failed requests") == 0
    assert played.figure("swaps under load") >= 1


def test_sent_is_answered_is_logged_and_truth_joined(played: Played) -> None:
    flights = int(re.search(r"for ([\d,]+) flights", played.said)[1].replace(",", ""))  # type: ignore[index]
    with open_home(played.home) as opened:
        logged = opened.serving.read_predictions(ENDPOINT)
        truth = opened.serving.read_truth(ENDPOINT)
    assert logged.num_rows == len(set(logged["id"].to_pylist())) == flights
    summary = played.client.call("monitoring.summary", endpoint=ENDPOINT)
    assert summary["labelled"] == truth.num_rows
    assert (summary["orphans"], summary["duplicates"]) == (0, 0)


def test_each_verdict_agrees_with_its_stored_evidence(played: Played) -> None:
    with open_home(played.home) as opened:
        gates = [opened.promotion.verdict(gate.id) for gate in opened.promotion.gates()]
    assert len(gates) >= 3
    for gate in gates:
        decision = decide(gate.evidence, gate.config)
        assert (decision.verdict, decision.checks) == (gate.verdict, gate.checks)


def test_aliases_moved_only_by_gates_that_passed(played: Played) -> None:
    facts = played.client.call("ledger.facts", limit=1000)
    passed = {
        (fact["body"]["version"])
        for fact in facts
        if fact["kind"] == "gate.decided" and fact["body"]["verdict"] == "passed"
    }
    moved = [fact["body"]["to"] for fact in facts if fact["kind"] == "alias.moved"]
    assert moved
    assert set(moved) <= passed


def test_alerts_are_few_and_each_started_one_retraining_at_most(played: Played) -> None:
    facts = played.client.call("ledger.facts", limit=1000)
    alerts = [fact for fact in facts if fact["kind"] == "alert.opened"]
    retrained = [fact for fact in facts if fact["kind"] == "policy.fired" and fact["subject"].endswith("/retrain")]
    assert len(retrained) <= len(alerts) <= 4


def test_a_prediction_walks_back_to_its_batches_and_the_ledger_is_sound(played: Played) -> None:
    prediction = re.search(r"^prediction\s+(\S+)", played.said, re.M)[1]  # type: ignore[index]
    walk = played.client.call("lineage.trace", prediction=prediction)
    kinds = [node["kind"] for node in walk["nodes"]]
    assert {"prediction", "revision", "version", "run", "code", "snapshot", "batch"} <= set(kinds)
    snapshot = next(node["ref"] for node in walk["nodes"] if node["kind"] == "snapshot")
    back = played.client.call("lineage.impact", snapshot=snapshot["snapshot"])
    assert "version" in [node["kind"] for node in back["nodes"]]
    with open_home(played.home) as opened:
        assert audit(opened).problems == []


def test_a_second_play_takes_the_cached_steps_and_says_so(played: Played) -> None:
    said = play(played.home.parent, "--weeks", "1", "--share", "8")
    assert len(re.findall(r"^\s+(load|validate|featurize|train|evaluate)\s+hit", said, re.M)) == 6


def test_the_project_runs_wherever_it_is_copied(played: Played, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(played.home.parent / "late-arrival", tmp_path / "elsewhere")
    environment = os.environ | {"LOOPLINE_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-m", "loopline", "run", "training"]
    done = subprocess.run(command, cwd=tmp_path / "elsewhere", env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "late-arrival version 1" in done.stdout


def test_a_copied_installation_is_the_installation(played: Played, up: Any, until: Any, tmp_path: Path) -> None:
    import json
    import shutil
    from http.client import HTTPConnection
    from urllib.parse import urlsplit

    shutil.copytree(played.home, tmp_path / "moved")
    server = up(tmp_path / "moved")
    with open_home(tmp_path / "moved") as opened:
        assert audit(opened).problems == []
        row = opened.serving.recent(ENDPOINT, 1)[0]
        inputs = [column.name for column in opened.serving.revisions(ENDPOINT)[0].signature.inputs]
    body = json.dumps({"rows": [{name: row[name] for name in inputs}]})
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}

    def answered() -> Any:
        connection = HTTPConnection(urlsplit(server.serving_url).netloc, timeout=20)
        connection.request("POST", f"/v1/endpoints/{ENDPOINT}/predict", body, headers)
        answer = connection.getresponse()
        content = json.loads(answer.read())
        connection.close()
        return answer.status == 200 and content

    assert until(answered, 30)["predictions"] == [pytest.approx(row["prediction"])]
