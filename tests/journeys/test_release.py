"""A team seals a pipeline, puts it into production, and production no longer needs the folder that it came from."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.journey

FILES = {
    "loopline.yaml": """project: parcels
owner: ada
datasets:
  weights:
    folder: DATA
    contract: contract.py:weights
pipelines:
  totals:
    file: flows/totals.py
environments:
  dev: {}
  prod:
    approvals: 1
""",
    "pyproject.toml": '[project]\nname = "parcels"\nversion = "1.0.0"\ndependencies = ["loopline", "pyarrow>=17"]\n',
    "contract.py": """from loopline import Contract, column

weights = Contract(columns=[column("grams", "integer", minimum=0), column("zone", "string")])
""",
    "scale.py": """TARIFF = {"near": 2, "far": 5}


def price(grams, zone):
    return grams * TARIFF[zone]


def unused(grams):
    return grams
""",
    "flows/totals.py": """import pyarrow as pa

from loopline import Dataset, pipeline, step
from scale import price


@step
def priced(table: Dataset) -> pa.Table:
    rows = [price(row["grams"], row["zone"]) for row in table.to_pylist()]
    return table.append_column("price", pa.array(rows))


@step
def total(table: pa.Table, factor: int = 1) -> dict[str, int]:
    return {"price": factor * sum(table["price"].to_pylist())}


@pipeline
def totals(weights: Dataset = "weights", factor: int = 1):
    return total(priced(weights), factor)
""",
    "tests/test_scale.py": """from scale import price


def test_far_is_dearer():
    assert price(10, "far") > price(10, "near")
""",
}


class Team:
    """The command line, spoken by several people."""

    def __init__(self, place: Path) -> None:
        self.project, self.data = place / "parcels", place / "data"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("LOOPLINE_")}
        self._environment = environment | {"LOOPLINE_HOME": str(place / "home")}
        self.data.mkdir()
        (self.data / "monday.csv").write_text("grams,zone\n100,near\n250,far\n")
        for name, text in FILES.items():
            (self.project / name).parent.mkdir(parents=True, exist_ok=True)
            (self.project / name).write_text(text.replace("DATA", str(self.data)))
        self._elsewhere = place

    def ask(self, actor: str, *words: str, code: int = 0) -> Any:
        folder = self.project if self.project.is_dir() else self._elsewhere
        done = subprocess.run(
            [sys.executable, "-m", "loopline", *words, "--json"],
            cwd=folder,
            env=self._environment | {"LOOPLINE_ACTOR": actor},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, (words, done.stdout, done.stderr)
        return json.loads(done.stdout) if done.stdout.strip() else done.stderr


def statuses(run: Any) -> list[str]:
    return [step["status"] for step in run["steps"]]


def test_a_pipeline_goes_from_a_folder_to_production(tmp_path):
    team = Team(tmp_path)

    # nothing is sealed without a lock, and a lock is made once
    assert "loopline lock" in team.ask("ada", "release", "totals", code=3)
    assert team.ask("ada", "lock")["changed"]
    assert not team.ask("ada", "lock", "--check")["changed"]
    text = (team.project / "requirements.lock").read_text()
    assert "pyarrow==" in text
    assert "://" not in text

    worked = team.ask("ada", "run", "totals")
    assert statuses(worked) == ["ran", "ran"]
    release = team.ask("ada", "release", "totals")["digest"]
    assert team.ask("ada", "release", "totals")["digest"] == release

    # nothing reaches prod by being new
    team.ask("ada", "apply")
    assert "approval" in team.ask("ada", "promote", release[:12], "--env", "prod", code=1)
    team.ask("ada", "approve", release[:12], "--env", "prod", code=4)
    team.ask("bob", "approve", release[:12], "--env", "prod", "--note", "read it")
    gate = team.ask("ada", "promote", release[:12], "--env", "prod")["gate"]
    assert {check["name"]: check["verdict"] for check in gate["checks"]} == {
        "tests": "passed",
        "verify": "passed",
        "contract": "passed",
        "approvals": "passed",
    }

    # production needs no working copy, and the same inputs give the same digests
    shutil.move(team.project, tmp_path / "away")
    run = team.ask("worker", "run", "totals@prod")
    assert (run["release"], run["environment"]) == (release, "prod")
    assert (run["outputs"], statuses(run)) == (worked["outputs"], ["hit", "hit"])
    assert statuses(team.ask("worker", "run", release[:12], "-p", "factor=2")) == ["hit", "ran"]
    (team.data / "tuesday.csv").write_text("grams,zone\n1,far\n")
    assert statuses(team.ask("worker", "run", "totals@prod")) == ["ran", "ran"]

    # an edit is another release; what differs is named down to the function
    shutil.move(tmp_path / "away", team.project)
    path = team.project / "scale.py"
    path.write_text(path.read_text().replace("grams * TARIFF[zone]", "grams * TARIFF[zone] + 1"))
    edited = team.ask("ada", "release", "totals")["digest"]
    assert edited != release
    changes = team.ask("ada", "release", "diff", release, edited)["changes"]
    assert ("function", "scale.py: price") in {(one["what"], one["name"]) for one in changes}
    assert ("file", "scale.py") in {(one["what"], one["name"]) for one in changes}
    assert not {one["name"] for one in changes} & {"scale.py: unused", "flows/totals.py"}

    # and back again
    team.ask("bob", "approve", edited[:12], "--env", "prod")
    team.ask("bob", "promote", edited[:12], "--env", "prod")
    assert team.ask("bob", "rollback", "totals", "--env", "prod", "--reason", "too dear")["release"] == release
    assert team.ask("ada", "release", "show", "totals@prod")["digest"] == release
    assert team.ask("ada", "audit", "verify")["problems"] == []
    assert team.ask("ada", "release", "verify", edited, "--run")["tests"]["passed"] == 1
