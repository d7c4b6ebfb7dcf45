"""Points are kept once, in any order, loose or packed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loopline.testing.factories import installation
from loopline.usecases.tracking import points
from loopline.usecases.tracking.model import Point, order, plain

pytestmark = pytest.mark.unit

VALUES = st.one_of(st.floats(width=32), st.sampled_from([0.0, 1.0, math.nan, math.inf, -math.inf]))
POINTS = st.lists(
    st.builds(
        Point,
        st.sampled_from(["loss", "auc"]),
        VALUES.map(plain),
        st.integers(-3, 3) | st.integers(-(2**63), 2**63 - 1),
        st.integers(0, 3) | st.integers(0, 2**53),
    ),
    max_size=12,
)


@pytest.fixture(scope="module")
def tracking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder: Path = tmp_path_factory.mktemp("points")
    with installation(folder) as loopline:
        yield loopline.tracking


def same(value: float | str) -> Any:
    return {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}.get(value, value)  # type: ignore[arg-type]


def told(rows: list[Any]) -> list[Any]:
    return [(one.at_ms, one.step, str(same(one.value))) for one in rows]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(POINTS, st.booleans()), max_size=4))
def test_each_point_is_told_once_whatever_was_packed_when(tracking: Any, batches: list[Any]) -> None:
    run = tracking.start("random", actor="ann")
    sent: list[Point] = []
    for batch, packs in batches:
        tracking.log(run.id, batch)
        tracking.log(run.id, batch[::-1])
        sent += batch
        if packs:
            pack_all(tracking, run.id)
    for key in ("loss", "auc"):
        mine = [point for point in sent if point.key == key]
        expected = sorted({(p.at_ms, p.step, str(float(same(p.value)) + 0.0)) for p in mine})
        for by_step in (True, False):
            found = tracking.history(run.id, key, by_step=by_step)
            assert sorted(told(found)) == expected
            keys = [(one.step, one.at_ms) if by_step else (one.at_ms, one.step) for one in found]
            assert keys == sorted(keys)
        if mine:
            rows = [
                {"step": p.step, "at_ms": p.at_ms, "value": 0.0 if p.value == "NaN" else same(p.value)} for p in mine
            ]
            last = max(rows, key=order)
            ends = [p for p in mine if order(rows[mine.index(p)]) == order(last)]
            assert tracking.get(run.id).metrics[key] in [p.value for p in ends]


def pack_all(tracking: Any, run_id: str) -> None:
    number = tracking._database.read(
        lambda tx: tx.row("SELECT number FROM tracking_runs WHERE id = :id", {"id": run_id})
    )
    for key in tracking._database.read(lambda tx: points.long_keys(tx, number["number"], 1)):
        while tracking._database.write(lambda tx, key=key: points.pack(tx, number["number"], key)):
            pass


def test_a_long_history_is_packed_and_told_whole(tracking: Any) -> None:
    run = tracking.start("long", actor="ann")
    tracking.log(run.id, [Point("loss", n / 7, n, 1_700_000_000_000 + n) for n in range(100_000)])
    tracking.log(run.id, [Point("short", 1.0, 0, 1)])
    assert tracking.pack(run.id) == 100_000
    assert tracking.pack(run.id) == 0
    found = tracking.history(run.id, "loss")
    assert [(one.step, one.value) for one in found[::9_999]] == [(n, n / 7) for n in range(0, 100_000, 9_999)]
    assert [one.step for one in tracking.history(run.id, "loss", limit=3, offset=50_000)] == [50_000, 50_001, 50_002]
    kept = tracking._database.row(
        """SELECT COUNT(*) AS n, SUM(LENGTH(packed)) AS size FROM tracking_blocks
        WHERE run = (SELECT number FROM tracking_runs WHERE id = :id)""",
        {"id": run.id},
    )
    assert kept["n"] == 2
    assert kept["size"] < 100_000 * 10
