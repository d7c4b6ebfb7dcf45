"""What is kept of an endpoint's rows goes where its logs go: into the trash, back from it, and away for good."""

from __future__ import annotations

import time
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loopline.app.wiring import Loopline, audit
from loopline.core.errors import Conflict, NotFound
from loopline.core.tables import Column, Signature
from loopline.testing.factories import installation
from loopline.usecases.monitoring import beating
from loopline.usecases.serving.records.writing import Batch, PredictionLog, Truth, TruthLog, prediction_header

pytestmark = pytest.mark.integration
SIGNATURE = Signature(inputs=(Column("wind", "float", True),), output=Column("p", "float"))
DAY, HOUR = 86_400_000, 3_600_000
TODAY = int(time.time() * 1000) // DAY * DAY
ROWS, ODD = 120, ("monitoring_windows", "monitoring_drift", "monitoring_estimates", "monitoring_endpoints")


def served(home: Path, days_ago: int, writer: int, rows: int = ROWS, name: str = "late") -> None:
    """Predictions of one day, and their truth."""
    rng = np.random.default_rng(writer)
    made = np.sort(TODAY - days_ago * DAY + (rng.random(rows) * 20 * HOUR).astype("int64"))
    keys = [f"{writer} {i}" for i in range(rows)]
    batch = Batch(
        rows=rows, ms=array("q", made).tobytes(), counter=array("q", range(0, 2 * rows, 2)).tobytes(),
        row=array("i", [-1] * rows).tobytes(), latency=array("i", [150] * rows).tobytes(),
        event=array("q", made).tobytes(), key=list(keys), prediction=rng.random(rows).tobytes(),
        columns=[rng.normal(10, 3, rows).tobytes()],
    )  # fmt: skip
    log = PredictionLog(home, prediction_header(name, writer, 1, "late", 1, SIGNATURE))
    log.write([batch])
    log.close()
    told = TruthLog(home, name, writer)
    told.write(
        [
            Truth(None, key, event, float(rng.random() < 0.4), event + HOUR)
            for key, event in zip(keys, made.tolist(), strict=True)
        ]
    )
    told.close()


@pytest.fixture
def loopline(tmp_path: Path) -> Iterator[Loopline]:
    with installation(tmp_path) as opened:
        model = tmp_path / "model"
        model.mkdir()
        (model / "weights").write_bytes(b"none")
        kept = opened.registry.keep(model, "elsewhere", SIGNATURE)
        opened.registry.register("late", kept, "a" * 32, {}, SIGNATURE, None, None, None, "ada")
        opened.serving.put("late", "late", "ada", key="flight", event_time="event_time")
        for writer, days_ago in enumerate((40, 33, 3), 1):
            served(opened.home, days_ago, writer)
        yield opened


def book(loopline: Loopline) -> Path:
    return loopline.home / "monitoring" / "late"


def units(loopline: Loopline) -> int:
    return len(list((book(loopline) / "units").glob("*.tallies")))


def stored(loopline: Loopline, tables: tuple[str, ...] = ODD) -> int:
    """Rows that monitoring keeps of the endpoint."""
    asked = [f"SELECT COUNT(*) AS rows FROM {table} WHERE endpoint = 'late'" for table in tables]
    return sum(int(row["rows"]) for sql in asked if (row := loopline.database.row(sql)) is not None)


def test_into_the_trash_and_back(loopline: Loopline) -> None:
    before = loopline.monitoring.evaluate("late")
    assert before is not None
    windows, rows = loopline.monitoring.windows("late"), stored(loopline)
    loopline.retention.remove("endpoint", "late", "ann", stop=True)
    assert not book(loopline).exists()
    assert stored(loopline) == 0
    assert loopline.monitoring.evaluate("late") is None, "there is nothing of that name"
    assert not book(loopline).exists(), "nothing stands in the way of what comes back"
    with pytest.raises(NotFound):
        loopline.monitoring.summary("late")
    loopline.retention.restore("endpoint", "late", "ann")
    assert (units(loopline), stored(loopline)) == (3, rows)
    assert loopline.monitoring.evaluate("late") == before
    assert loopline.monitoring.windows("late") == windows
    served(loopline.home, 2, 9)
    after = loopline.monitoring.evaluate("late")
    assert after is not None
    assert (after.predictions, units(loopline)) == (4 * ROWS, 4)
    assert audit(loopline).problems == []


def test_away_for_good(loopline: Loopline) -> None:
    loopline.monitoring.evaluate("late")
    loopline.retention.remove("endpoint", "late", "ann", stop=True)
    loopline.retention.purge_and_free("endpoint", "late", "ann")
    assert stored(loopline, (*ODD, "monitoring_alerts", "monitoring_beats")) == 0
    left = [
        path for path in loopline.home.rglob("*") if path.is_file() and "late" in path.relative_to(loopline.home).parts
    ]
    assert left == []
    loopline.serving.put("late", "late", "ada", key="flight", event_time="event_time")
    served(loopline.home, 1, 4)
    found = loopline.monitoring.evaluate("late")
    assert found is not None
    assert (found.predictions, found.orphans, units(loopline)) == (ROWS, 0, 1), "one of that name begins anew"


@pytest.mark.parametrize("known", [True, False])
def test_who_is_removed_while_it_is_evaluated_can_come_back(
    loopline: Loopline, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    if known:
        loopline.monitoring.evaluate("late")
        served(loopline.home, 2, 9)
    look = beating.look

    def meanwhile(found: Any) -> Any:
        loopline.retention.remove("endpoint", "late", "ann", stop=True)
        return look(found)

    monkeypatch.setattr(beating, "look", meanwhile)
    with pytest.raises(Conflict, match="'late' was removed while it was evaluated"):
        loopline.monitoring.evaluate("late")
    monkeypatch.undo()
    assert stored(loopline, (*ODD, "monitoring_alerts", "monitoring_beats")) == 0
    loopline.retention.restore("endpoint", "late", "ann")
    found = loopline.monitoring.evaluate("late")
    assert found is not None
    assert found.predictions == (4 if known else 3) * ROWS
    assert loopline.retention.trash() == []


def test_what_is_not_kept_any_longer_leaves_the_book_too(loopline: Loopline) -> None:
    loopline.monitoring.evaluate("late")
    assert len(loopline.monitoring.windows("late")) == 3
    loopline.serving.configure("late", {"retention_days": 10}, "ada")
    loopline.serving.tidy()
    found = loopline.monitoring.evaluate("late")
    assert found is not None
    assert (found.predictions, units(loopline), len(loopline.monitoring.windows("late"))) == (ROWS, 1, 1)
    assert {path.suffix for path in (book(loopline) / "units").iterdir()} == {".tallies", ".profiles"}


def test_an_endpoint_of_which_nothing_is_kept_any_longer_has_no_windows(loopline: Loopline) -> None:
    loopline.monitoring.evaluate("late")
    loopline.serving.configure("late", {"retention_days": 1}, "ada")
    loopline.serving.tidy()
    assert loopline.monitoring.evaluate("late") is None
    assert (units(loopline), stored(loopline)) == (0, 0)
    served(loopline.home, 0, 12)
    found = loopline.monitoring.evaluate("late")
    assert found is not None
    assert found.predictions == ROWS
