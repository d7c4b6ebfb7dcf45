"""A model's whole life on real flights: trained, gated, deployed, asked, told the truth late, caught when it goes
stale, trained again, swapped under load. Everything printed comes out of this run.

python demo.py [--exit] [--folder DIR] [--weeks N] [--share S]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import shutil
import sys
import time
from pathlib import Path

import pandas as pd
from batches import write_batches, write_weather
from desk import FLIGHTS_A_REQUEST, Desk
from features import featurize
from flights import read_flights, read_weather
from installation import Installation
from story import Story
from traffic import traffic

HERE = Path(__file__).parent
ENDPOINT = MODEL = "late-arrival"
FIRST_DAY = pd.Timestamp("2013-04-01", tz="UTC")
WEAK_DAY = pd.Timestamp("2013-05-13", tz="UTC")  # a candidate trained on one week, submitted to see the gate refuse it
SECOND_DAY = pd.Timestamp("2013-07-15", tz="UTC")  # the quarter's candidate, trained on all data so far
FULL_PACE, TRAINING_PACE = 1000.0, 60.0  # requests a second
PROJECT_FILES = ("*.py", "*.yaml", "*.toml", "*.lock", "README.md", "tests/*.py")


def main() -> int:
    """Play the demo; 0 when no request failed."""
    asked = parsed()
    folder = asked.folder.absolute()
    story = Story()
    begun = time.perf_counter()
    with story.doing("reading a year of flights and what was known before each"):
        flights, weather = read_flights(), read_weather()
        frame = featurize(flights, weather)
        project = fresh_project(folder)
        feed = Feed(folder / "feed", project, flights)
        feed.deliver(FIRST_DAY)
    with Installation(folder / "home", previous=folder / "previous", token=token(), story=story) as installation:
        installation.start(asked.port, asked.serving_port)
        installation.apply(project)
        installation.release(project)
        installation.first_model(ENDPOINT)
        last_day = FIRST_DAY + pd.Timedelta(weeks=asked.weeks)
        desk = Desk(installation.serving_url, ENDPOINT, installation.token)
        play(desk, traffic(frame, FIRST_DAY, last_day, asked.share), installation, feed, story)
        installation.settle(ENDPOINT)
        story.report(installation, ENDPOINT, desk.tally, time.perf_counter() - begun)
        if not asked.exit:
            story.stay(installation)
    return 1 if desk.tally.failed else 0


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="The whole loop on real flights.")
    parser.add_argument("--exit", action="store_true", help="end after the report instead of keeping the pages up")
    parser.add_argument("--folder", type=Path, default=HERE.parents[1] / ".demo", help="where the demo keeps its files")
    parser.add_argument("--weeks", type=int, default=18, help="weeks of traffic from 1 April (default 18)")
    parser.add_argument("--share", type=int, default=1, help="ask about one flight in SHARE (default 1)")
    parser.add_argument("--port", type=int, default=8400)
    parser.add_argument("--serving-port", type=int, default=8401)
    return parser.parse_args()


def token() -> str:
    """The token given by LOOPLINE_TOKEN, or a new one for this play."""
    return os.environ.get("LOOPLINE_TOKEN") or secrets.token_urlsafe(24)


def fresh_project(folder: Path) -> Path:
    """A copy of the project without data."""
    project = folder / "late-arrival"
    shutil.rmtree(project, ignore_errors=True)
    for pattern in PROJECT_FILES:
        for file in HERE.glob(pattern):
            target = project / file.relative_to(HERE)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, target)
    return project


class Feed:
    """The airline's and the weather office's weekly files, delivered when their week is over."""

    def __init__(self, folder: Path, project: Path, flights: pd.DataFrame) -> None:
        self._folder, self._data = folder, project / "data"
        if not (folder / "complete").exists():
            write_batches(folder / "flights", flights=flights)
            write_weather(folder / "weather")
            (folder / "complete").touch()

    def deliver(self, until: pd.Timestamp) -> None:
        """Put every file of a week that began before `until` into the project's data, each whole or not at all."""
        for file in sorted(self._folder.glob("*/*.parquet")):
            target = self._data / file.parent.name / file.name
            if file.stem[-10:] < f"{until:%Y-%m-%d}" and not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                unfinished = target.with_name(f".{target.name}.unfinished")
                shutil.copyfile(file, unfinished)
                unfinished.replace(target)


def play(desk: Desk, frame: pd.DataFrame, installation: Installation, feed: Feed, story: Story) -> None:
    """Let the desk ask, while each Monday the last week's flights and weather arrive as batches."""

    def at_week(monday: pd.Timestamp) -> None:
        feed.deliver(monday)
        installation.snapshot("flights", "weather")
        installation.caught_up(ENDPOINT, monday - pd.Timedelta(days=7))
        if monday in (WEAK_DAY, SECOND_DAY):
            installation.submit(days=7 if monday == WEAK_DAY else 0)

    def pace() -> None:
        desk.pace = TRAINING_PACE if installation.training() else FULL_PACE

    with story.watching(desk.tally, -(-len(frame) // FLIGHTS_A_REQUEST), installation, pace):
        asyncio.run(desk.play(frame, at_week))
        installation.swap_if_none_happened(ENDPOINT)


if __name__ == "__main__":
    sys.exit(main())
