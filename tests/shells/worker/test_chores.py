"""Monitors are evaluated and logs sealed in a child that comes with the news and goes when there is none."""

from __future__ import annotations

import os
import time
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from loopline.app.wiring import Loopline, open_home
from loopline.core.errors import NotFound
from loopline.core.tables import Column, Signature
from loopline.shells.worker import chores
from loopline.shells.worker.chores import Chores
from loopline.usecases.serving.records.columns import kind_of, pack
from loopline.usecases.serving.records.writing import Batch, PredictionLog, prediction_header

pytestmark = pytest.mark.integration

HOUR = Column("hour", "float")
START_MS = 1_370_000_000_000


@pytest.fixture
def loopline(tmp_path: Path) -> Iterator[Loopline]:
    with open_home(tmp_path / "home") as opened:
        opened.serving.put("late", "flights", "ada")
        yield opened


@pytest.fixture
def look(loopline: Loopline, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Callable[[Any], Any]], Any]]:
    """Lets the chores look until something is true of them."""
    monkeypatch.setattr(chores, "WARM_S", 0.5)
    monkeypatch.setattr(chores, "SEAL_S", 0.2)
    watched = Chores(loopline.home)

    def until(true: Callable[[Any], Any]) -> Any:
        end = time.monotonic() + 30
        while time.monotonic() < end:
            watched.look()
            if found := true(watched):
                return found
            time.sleep(0.02)
        raise AssertionError("it did not happen in time")

    yield until
    watched.close()


def log_of(home: Path, endpoint: str = "late") -> PredictionLog:
    signature = Signature((HOUR,), Column("late", "float"))
    return PredictionLog(home, prediction_header(endpoint, 7, 1, "flights", 3, signature))


def predictions(count: int, first: int = 0) -> Batch:
    """One prediction an hour."""
    numbers = range(first, first + count)
    times = array("q", [START_MS + number * 3_600_000 for number in numbers]).tobytes()
    return Batch(
        count, times, array("q", numbers).tobytes(), array("i", [0] * count).tobytes(),
        array("i", [250] * count).tobytes(), times, [f"k{number}" for number in numbers],
        array("d", [0.25] * count).tobytes(), [pack(kind_of(HOUR), [float(number) for number in numbers])],
    )  # fmt: skip


def counted(loopline: Loopline, endpoint: str = "late") -> int:
    try:
        return int(loopline.monitoring.summary(endpoint).predictions)
    except NotFound:
        return 0


def test_new_predictions_are_evaluated_and_closed_logs_sealed(loopline: Loopline, look: Any) -> None:
    log = log_of(loopline.home)
    log.write([predictions(50)])
    assert look(lambda _: counted(loopline) == 50)
    log.write([predictions(30, 50)])
    assert look(lambda _: counted(loopline) == 80)
    log.close()
    sealed = "predictions.sealed"
    assert look(lambda _: sum(fact.body["rows"] for fact in loopline.ledger.since(0, kind=sealed)) == 80)
    assert look(lambda watched: watched._child is None)  # nothing new for long: the child goes
    log = log_of(loopline.home)
    log.write([predictions(5, 80)])
    log.close()
    assert look(lambda _: counted(loopline) == 85)


def test_a_child_that_dies_is_replaced(loopline: Loopline, look: Any) -> None:
    log = log_of(loopline.home)
    log.write([predictions(10)])
    look(lambda watched: watched._doing)
    psutil.Process(os.getpid()).children()[-1].kill()
    log.write([predictions(10, 10)])
    assert look(lambda _: counted(loopline) == 20)
    log.close()


def test_trouble_with_one_endpoint_leaves_the_others(loopline: Loopline, look: Any) -> None:
    folder = loopline.home / "predictions" / "broken"
    folder.mkdir()
    (folder / "0000001370000000-0007-1.parquet").write_bytes(b"not parquet")
    log = log_of(loopline.home)
    log.write([predictions(10)])
    assert look(lambda _: counted(loopline) == 10)
    log.close()


def test_nothing_logged_starts_no_child(loopline: Loopline) -> None:
    watched = Chores(loopline.home)
    watched.look()
    assert watched._child is None
    watched.close()
