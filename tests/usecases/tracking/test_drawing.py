"""Curves, comparison, notes and previews on a real installation."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loopline.core.errors import Conflict, Invalid, NotFound
from loopline.testing.factories import installation
from loopline.usecases.tracking import points
from loopline.usecases.tracking.drawing import Asked
from loopline.usecases.tracking.model import Link, Point

pytestmark = pytest.mark.integration
LONG = 70_000


@pytest.fixture(scope="module")
def tracking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with installation(tmp_path_factory.mktemp("drawing")) as opened:
        yield opened.tracking


@pytest.fixture(scope="module")
def long_run(tracking: Any) -> str:
    """A run that goes on, with more points of a metric than lie loose together."""
    run = tracking.start("long", actor="ann", started_at="2026-01-01T00:00:00Z")
    begin = 1_767_225_600_000  # the same moment in milliseconds
    rows = [Point("loss", -5.0 if at == 777 else 1 / (1 + at), at, begin + at * 10) for at in range(LONG)]
    tracking.log(run.id, rows)
    tracking.log(run.id, [Point("odd", "NaN", 1), Point("odd", 2.0, 0), Point("odd", "Infinity", 2), Point("one", 1.0)])
    return str(run.id)


def test_a_long_curve_keeps_ends_and_extremes_and_is_packed_while_it_goes_on(tracking: Any, long_run: str) -> None:
    curve = tracking.curve(long_run, "loss")
    assert curve.count == LONG
    assert len(curve.points) <= 1000
    assert (curve.points[0], curve.points[-1]) == ((0.0, 1.0), (LONG - 1.0, 1 / LONG))
    assert (777.0, -5.0) in curve.points
    assert (curve.first, curve.last) == (0.0, LONG - 1.0)
    assert len(tracking._series(long_run, "loss").values) == LONG
    tracking.log(long_run, [Point("loss", 9.0, LONG)])
    assert tracking.curve(long_run, "loss").points[-1] == (float(LONG), 9.0)
    tracking.log(long_run, [Point("loss", 1.0, 0, 1_767_225_600_000)])  # came before it was packed
    assert tracking.curve(long_run, "loss").count == LONG + 1


def test_a_stretch_is_read_in_full(tracking: Any, long_run: str) -> None:
    curve = tracking.curve(long_run, "loss", first=770, last=780)
    assert [x for x, _ in curve.points] == list(range(769, 782))


def test_axes(tracking: Any, long_run: str) -> None:
    assert tracking.curve(long_run, "loss", x="relative", first=0, last=0.05).points[:3] == [
        (0.0, 1.0),
        (0.01, 0.5),
        (0.02, 1 / 3),
    ]
    assert tracking.curve(long_run, "loss", x="time").first == 1_767_225_600_000


def test_what_is_no_number_leaves_a_gap(tracking: Any, long_run: str) -> None:
    assert tracking.curve(long_run, "odd").points == [(0.0, 2.0), (1.0, None), (2.0, None)]


def test_an_average_and_the_best_so_far(tracking: Any, long_run: str) -> None:
    curve = tracking.curve(long_run, "loss", smooth=0.5, first=0, last=1)
    assert curve.smoothed[:2] == [(0.0, 1.0), (1.0, pytest.approx((0.5 * 0.5 + 0.5 * 0.5) / 0.75))]
    lowest = tracking.curve(long_run, "loss", best="lowest")
    assert lowest.points[-1][1] == -5.0


def test_only_metrics_of_several_points_make_a_curve(tracking: Any, long_run: str) -> None:
    assert tracking.drawable(long_run) == ["loss", "odd"]


@pytest.mark.parametrize(
    "asked", [{"points": 3}, {"points": 10**6}, {"smooth": 1.0}, {"smooth": -0.1}, {"smooth": math.nan}]
)
def test_what_cannot_be_drawn_is_refused(tracking: Any, long_run: str, asked: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        tracking.curve(long_run, "loss", **asked)


def test_an_unknown_metric_is_not_found(tracking: Any, long_run: str) -> None:
    with pytest.raises(NotFound, match="has no metric 'nothing'"):
        tracking.curve(long_run, "nothing")
    assert tracking.curves([long_run], ["nothing"], Asked()) == []
    with pytest.raises(Invalid, match="too many"):
        tracking.curves([long_run] * 40, [str(n) for n in range(40)], Asked())


def test_loose_points_are_counted_no_further_than_a_block(tracking: Any, long_run: str) -> None:
    def count(tx: Any) -> int:
        from loopline.usecases.tracking import store

        return points.loose_points(tx, store.number_of(tx, long_run), points.known_key(tx, "odd"))

    assert tracking._database.read(count) == 3


def test_runs_stand_side_by_side(tracking: Any) -> None:
    ids = []
    for place in range(5):
        around = {"git": {"commit": "a" * 40, "diff": f"+x = {place % 2}\n"}, "distributions": f"numpy==2.{place}"}
        run = tracking.start(f"r{place}", actor="ann", params={"rate": str(place), "same": "1"}, surroundings=around)
        link = Link(direction="input", name="flights", digest=f"{place % 2}" * 64, kind="dataset")
        tracking.log(run.id, [Point("score", float(place))], links=[link])
        ids.append(run.id)
    found = tracking.comparison([ids[0][:10], *ids[1:]])
    assert [run.id for run in found.runs] == ids
    assert {row.name: row.differs for row in found.params} == {"rate": True, "same": False}
    assert (found.target, [one.name for one in found.importance]) == ("score", ["rate"])
    assert found.environment[0].values == [f"2.{place}" for place in range(5)]
    assert [row.differs for row in found.data] == [True]
    assert {row.name: row.differs for row in found.code} == {"changes": True, "commit": False}
    assert found.difference.splitlines()[-2:] == ["-+x = 0", "++x = 1"]
    assert tracking.comparison(ids, base=ids[1], against=ids[2]).difference.splitlines()[-1] == "++x = 0"
    assert tracking.code(ids[1]).packages == {"numpy": "2.1"}
    for wrong in ([], ["0" * 32]):
        with pytest.raises((Invalid, NotFound)):
            tracking.comparison(wrong)


def test_a_run_is_named_and_described(tracking: Any) -> None:
    run = tracking.start("before", actor="ann")
    tracking.edit(run.id[:12], actor="ann", name=" after ", note="a\r\nb")
    found = tracking.get(run.id)
    assert (found.name, found.tags["mlflow.note.content"]) == ("after", "a\nb")
    tracking.edit(run.id, actor="ann", note="")
    tracking.edit(run.id, actor="ann", note="")
    assert "mlflow.note.content" not in tracking.get(run.id).tags
    with pytest.raises(Invalid, match="needs a name"):
        tracking.edit(run.id, actor="ann", name="  ")
    tracking.delete_run(run.id, actor="ann")
    with pytest.raises(Conflict):
        tracking.edit(run.id, actor="ann", name="again")


def test_the_end_of_a_log_is_read(tracking: Any) -> None:
    run = tracking.start("prints", actor="ann")
    text = "".join(f"line {place}\n" for place in range(20_000))
    tracking.put_artifact(run.id, "stdout.txt", text.encode())
    found = tracking.preview(run.id, "stdout.txt", tail=True)
    assert (found.kind, found.cut) == ("text", True)
    assert found.text.startswith("line ")
    assert found.text.endswith("line 19999\n")
    with pytest.raises(NotFound, match="no artifact 'other'"):
        tracking.preview(run.id, "other")


def test_only_what_a_browser_may_show_keeps_its_type(tracking: Any, tmp_path: Path) -> None:
    run = tracking.start("types", actor="ann")
    for name, kind, told in (
        ("a.png", "", "image/png"),
        ("a.js", "text/javascript", "text/plain"),
        ("a.html", "text/html; charset=utf-7", "text/html"),
        ("a.xml", "application/xml", "text/plain"),
        ("a.pdf", "application/pdf", "text/plain"),
    ):
        tracking.put_artifact(run.id, name, b"x", kind)
        assert tracking.shown(run.id, name)[1] == told


def test_looking_again_sees_what_was_packed_meanwhile(tracking: Any) -> None:
    run = tracking.start("again", actor="ann")
    for part in range(3):
        tracking.log(run.id, [Point("loss", float(at), at) for at in range(part * 2000, part * 2000 + 2000)])
        assert tracking.curve(run.id, "loss").count == part * 2000 + 2000
        tracking.pack(run.id)
        assert tracking.curve(run.id, "loss").last == part * 2000 + 1999
    tracking.log(run.id, [Point("loss", -1.0, -5)])
    assert tracking.curve(run.id, "loss").points[0] == (-5.0, -1.0)


def test_of_series_read_lately_those_not_asked_for_longest_go() -> None:
    import numpy as np

    from loopline.usecases.tracking.recent import Recent

    recent = Recent(most=25)
    series = points.Series(*(np.zeros(10, kind) for kind in ("int64", "int64", "float64")))
    for run in (1, 2):
        recent.put((run, 1), (1, 10), series)
    assert recent.get((1, 1), (1, 10)) is series
    assert recent.get((1, 1), (2, 10)) is None
    recent.put((3, 1), (1, 10), series)
    assert [recent.get((run, 1), (1, 10)) is not None for run in (1, 2, 3)] == [True, False, True]
