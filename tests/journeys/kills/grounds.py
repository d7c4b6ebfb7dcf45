"""The installation that is killed: the example trained on January to March, with two versions that its gate let pass."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import demo
import pandas as pd
from features import featurize
from flights import read_flights, read_weather
from installation import Installation
from story import Story

ENDPOINT = "late-arrival"
EXTRA = "datasets:\n  extra:\n    folder: data/extra\n"


class Grounds:
    """Home folder, project folder, all flights, and the rows that may be asked about."""

    def __init__(self, folder: Path, token: str) -> None:
        self.home, self.token = folder / "home", token
        self.flights = read_flights()
        self.project = demo.fresh_project(folder, self.flights)
        part = self.flights[self.flights["month"].between(3, 5)]
        frame = featurize(part, read_weather())
        self.frame = frame[frame["event_time"] >= pd.Timestamp("2013-04-01", tz="UTC")].reset_index(drop=True)
        self._extra()
        with Installation(self.home, folder / "previous", token, Story()) as installation:
            self._build(installation)
        installation._server.stdout.close()

    def _extra(self) -> None:
        """A dataset of small files, so that snapshots are many."""
        (self.project / "data" / "extra").mkdir()
        self.add_extra(0)
        config = self.project / "loopline.yaml"
        config.write_text(config.read_text().replace("datasets:\n", EXTRA, 1))

    def add_extra(self, number: int) -> None:
        """One more file, whole at once."""
        file = self.project / "data" / "extra" / f"part-{number:05d}.csv"
        hidden = file.with_name(f".{file.name}")
        hidden.write_text("n,text\n" + "".join(f"{number * 5 + i},row {i}\n" for i in range(5)))
        hidden.replace(file)

    def _build(self, installation: Any) -> None:
        installation.start(0, 0)
        installation.apply(self.project)
        installation.first_model(self.project, ENDPOINT)
        installation.loopline("run", "training", "-p", "iterations=110", folder=self.project)
        installation._until(lambda: installation.live(ENDPOINT)["version"] == 2, "the second version to go live")
