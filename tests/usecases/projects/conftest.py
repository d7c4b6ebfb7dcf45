"""A project with two environments, and an installation to apply it to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from loopline.app.wiring import Loopline
from loopline.testing.factories import installation
from loopline.usecases.projects.service import Projects

TWO = """\
project: late
owner: ada
datasets:
  flights: {folder: data, contract: "contract.py:flights"}
  weather: {folder: weather}
pipelines: {training: {registers: late}, scoring: }
environments:
  dev:
    datasets:
      flights: {folder: sample}
    params: {days: 7}
  prod:
    datasets:
      flights: {url: "sqlite:///${FLIGHTS_DB}", query: SELECT carrier FROM flights}
    params: {days: 0, training: {trees: 300}}
    secrets:
      WEATHER_KEY: {env: KEY_OF_WEATHER}
      DB_PASSWORD: {file: secrets/db.txt}
    approvals: 2
    checks: [tests, contract]
endpoints:
  late: {model: late, alias: production, key: id}
"""
CONTRACT = """\
from loopline import Contract, column
flights = Contract(columns=[column("carrier", "string")])
"""


@pytest.fixture
def loopline(tmp_path: Path) -> Iterator[Loopline]:
    with installation(tmp_path) as opened:
        yield opened


@pytest.fixture
def projects(loopline: Loopline) -> Projects:
    service: Projects = loopline.projects
    return service


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """The folder of the project above; its secret file is there."""
    made = tmp_path / "two"
    for name in ("data", "sample", "weather", "secrets"):
        (made / name).mkdir(parents=True)
    (made / "data" / "a.csv").write_text("carrier\nAA\nUA\n")
    (made / "sample" / "a.csv").write_text("carrier\nAA\n")
    (made / "weather" / "a.csv").write_text("wind\n3\n")
    (made / "secrets" / "db.txt").write_text("hunter2-from-file\n")
    (made / "loopline.yaml").write_text(TWO)
    (made / "contract.py").write_text(CONTRACT)
    return made
