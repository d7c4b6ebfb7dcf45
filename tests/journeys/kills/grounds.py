"""The installation that is killed: the example trained on January to March, with two versions that its gate let pass."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from batches import write_batches, write_weather
from features import featurize
from flights import read_flights, read_weather

EXAMPLE = Path(__file__).parents[3] / "examples" / "late-arrival"
ENDPOINT = "late-arrival"
EXTRA = "datasets:\n  extra:\n    folder: data/extra\n"
FIRST_DAY = pd.Timestamp("2013-04-01", tz="UTC")
PATIENCE_S = 180.0


class Grounds:
    """Home folder, a copy of the example with its data, all flights, and the rows that may be asked about."""

    def __init__(self, folder: Path, token: str) -> None:
        self.home, self.project, self.token = folder / "home", folder / "late-arrival", token
        shutil.copytree(EXAMPLE, self.project, ignore=shutil.ignore_patterns("__pycache__", ".*", "data"))
        flights = read_flights()
        self.flights = flights[flights["month"] <= 6]
        write_batches(self.project / "data" / "flights", end=FIRST_DAY, flights=self.flights)
        write_weather(self.project / "data" / "weather", end=FIRST_DAY)
        frame = featurize(self.flights[self.flights["month"].between(3, 5)], read_weather())
        self.frame = frame[frame["event_time"] >= FIRST_DAY].reset_index(drop=True)
        (self.project / "data" / "extra").mkdir()
        self.add_extra(0)
        config = self.project / "loopline.yaml"
        config.write_text(config.read_text().replace("datasets:\n", EXTRA, 1))

    def add_extra(self, number: int) -> None:
        """One more file for a dataset of small files, so that snapshots are many; it is whole at once."""
        file = self.project / "data" / "extra" / f"part-{number:05d}.csv"
        hidden = file.with_name(f".{file.name}")
        hidden.write_text("n,text\n" + "".join(f"{number * 5 + i},row {i}\n" for i in range(5)))
        hidden.replace(file)

    def build(self, client: Any, until: Callable[..., Any]) -> None:
        """Apply the project and train twice; each version passes the gate and goes live by itself."""
        self._loopline("apply")
        for version, words in ((1, ()), (2, ("-p", "iterations=110"))):
            self._loopline("run", "training", *words)

            def is_live(version: int = version) -> bool:
                live = client.call("serving.endpoint", endpoint=ENDPOINT)["live"]
                return bool(live and live["version"] == version)

            until(is_live, PATIENCE_S)

    def _loopline(self, *words: str) -> Any:
        command = [sys.executable, "-m", "loopline", *words, "--json", "--home", str(self.home)]
        done = subprocess.run(command, cwd=self.project, capture_output=True, text=True, timeout=PATIENCE_S)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout or "null")
