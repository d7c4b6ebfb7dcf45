"""Complete windows are judged once each, by the reference that the rules name, and say what changed since when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from loopline.core.errors import NotFound
from loopline.core.tables import Column, Signature
from loopline.core.times import from_ms
from loopline.usecases.monitoring import drifting
from loopline.usecases.monitoring.model import sketching
from loopline.usecases.monitoring.model.config import DriftRules, MonitorConfig
from loopline.usecases.monitoring.model.drifts.reports import DriftCell, history
from loopline.usecases.monitoring.model.looking import Look
from loopline.usecases.monitoring.model.profile import Profile
from loopline.usecases.monitoring.model.tallies import Classes, Tally
from loopline.usecases.monitoring.model.windows import LabelDelay, Window

pytestmark = pytest.mark.unit
DAY = 86_400_000
APRIL = 1_364_774_400_000  # a Monday
SIGNATURE = Signature(inputs=(Column("x", "float", True), Column("c", "string", True)), output=Column("y", "float"))
ROWS = 300


def day(number: int, shift: float = 0.0, score: float = 0.0, rows: int = ROWS) -> pa.Table:
    """One day; real days differ a little, Sundays a lot."""
    rng = np.random.default_rng(number + 1000)
    x = rng.normal(size=rows) + 0.3 * rng.normal() + shift + (2.0 if number % 7 == 6 else 0.0)
    c = rng.choice(["a", "b", "c"], rows, p=rng.dirichlet([60, 30, 20]))
    return pa.table({"x": x, "c": c, "prediction": 1 / (1 + np.exp(1 - rng.normal(size=rows) - score))})


def training(days: int = 56) -> Profile:
    tables = [day(-number) for number in range(days, 0, -1)]
    times = np.repeat(np.arange(-days, 0) * DAY + APRIL, ROWS)
    table = pa.concat_tables(tables).append_column("event_time", pa.array(times, pa.timestamp("ms", tz="UTC")))
    return sketching.profile(table.drop_columns(["prediction"]), SIGNATURE, event_time="event_time")


class Memory:
    """A book that keeps the rows of each day."""

    def __init__(self, days: Mapping[int, pa.Table], like: Profile | None, labels: Mapping[int, int] = {}) -> None:
        self.days = dict(days)
        self.like = like
        self.labels = labels

    def starts(self) -> Sequence[int]:
        return [APRIL + number * DAY for number in sorted(self.days)]

    def profile(self, start_ms: int, end_ms: int, version: int | None = None) -> Profile | None:
        found = [table for number, table in self.days.items() if start_ms <= APRIL + number * DAY < end_ms]
        if not found:
            return None
        made = sketching.profile(pa.concat_tables(found), SIGNATURE, like=self.like)
        self.like = self.like if self.like and self.like.column("prediction") else made
        return made

    def tallies(self, start_ms: int, end_ms: int, column: str = "", value: str = "") -> Mapping[int, Tally]:
        return {
            APRIL + number * DAY: tally(positives)
            for number, positives in self.labels.items()
            if start_ms <= APRIL + number * DAY < end_ms
        }

    def rows(self, since: str, until: str, columns: Sequence[str] | None) -> pa.Table:
        found = [table for number, table in self.days.items() if since <= from_ms(APRIL + number * DAY) < until]
        table = pa.concat_tables(found)
        ids = pa.array([f"{since} {place}" for place in range(len(table))])
        return table.append_column("id", ids).select(list(columns or ()))

    def values(self, column: str) -> Sequence[str]:
        return []


def tally(positives: int) -> Tally:
    table = {"1": {"1": positives}, "0": {"0": ROWS - positives}}
    return Tally(rows=ROWS, labelled=ROWS, classes=Classes(count=ROWS, correct=ROWS, table=table))


def looked_at(
    book: Memory, trained: Profile | None, stored: Sequence[DriftCell] = (), mature: bool = False, **rules: Any
) -> Any:
    windows = []
    for number in sorted(book.days):
        start = APRIL + number * DAY
        bounds = {"start": from_ms(start), "end": from_ms(start + DAY), "predictions": ROWS, "labelled": ROWS}
        whole = Window(column="", value="", complete=True, mature=mature, metrics={}, **bounds)
        windows += [whole, Window(column="version", value="3", complete=True, mature=mature, metrics={}, **bounds)]
    look = Look(
        endpoint="late", config=config_of(**rules), book=book, windows=windows,
        live=("late", 3), live_at={}, limits={}, delay=LabelDelay(), watermark_ms=0,
        describe=lambda model, version: (SIGNATURE, trained), rows=book.rows, read=lambda work: list(stored),
    )  # fmt: skip
    return drifting.look(look), windows


def config_of(**rules: Any) -> MonitorConfig:
    return MonitorConfig(window="day", consecutive=rules.pop("consecutive", 1), drift=DriftRules(alert=True, **rules))


@pytest.fixture(scope="module")
def trained() -> Profile:
    return training()


def alarms(found: Any) -> list[str]:
    return [cell.start[:10] for cell in found.changed if cell.column == "" and cell.alarm]


def test_normal_days_are_quiet_and_a_change_is_told_at_once(trained: Profile) -> None:
    days = {number: day(number, shift=3.0 if number >= 12 else 0.0) for number in range(14)}
    found, _ = looked_at(Memory(days, trained), trained)
    assert alarms(found) == ["2013-04-13", "2013-04-14"]
    assert [finding.state for finding in found.findings] == ["well"] * 12 + ["wrong"] * 2
    last = found.findings[-1]
    assert (last.cause, last.first_window[:10], last.version) == ("drift", "2013-04-13", 3)
    assert last.limit == 0.01
    assert last.value <= 0.01
    told = last.details["columns"][0]
    assert (told["column"], told["direction"], told["since"][:10]) == ("x", "higher", "2013-04-13")
    assert told["effect"] == pytest.approx(5, abs=1)
    assert "rows that version 3 was trained on" in last.message


def test_windows_are_judged_once_and_again_when_they_change(trained: Profile) -> None:
    days = {number: day(number) for number in range(8)}
    first, _ = looked_at(Memory(days, trained), trained)
    assert first.judged == 8
    again, _ = looked_at(Memory(days, trained), trained, first.changed)
    assert (again.judged, list(again.changed), list(again.gone)) == (0, [], [])
    more = {**days, 8: day(8, shift=3.0)}
    third, _ = looked_at(Memory(more, trained), trained, first.changed)
    assert third.judged == 1
    assert {cell.start[:10] for cell in third.changed} == {"2013-04-09"}
    other, _ = looked_at(Memory(days, trained), trained, first.changed, false_alarms=0.05)
    assert other.judged == 8
    fewer, _ = looked_at(Memory({0: days[0]}, trained), trained, first.changed)
    assert {start[:10] for start, _ in fewer.gone} == {f"2013-04-0{number}" for number in range(2, 9)}


def test_small_lasting_shifts_gather_evidence(trained: Profile) -> None:
    days = {number: day(number, shift=0.35) for number in range(40) if number % 7 != 6}
    quiet = {number: day(number) for number in range(40) if number % 7 != 6}
    sundays = {number for number in range(-56, 0) if number % 7 == 6}
    weekdays = [day(number) for number in range(-56, 0) if number not in sundays]
    times = np.repeat([APRIL + n * DAY for n in range(-56, 0) if n not in sundays], ROWS)
    table = pa.concat_tables(weekdays).append_column("event_time", pa.array(times, pa.timestamp("ms", tz="UTC")))
    then = sketching.profile(table.drop_columns(["prediction"]), SIGNATURE, event_time="event_time")
    cells = {cell.column: cell for cell in looked_at(Memory(days, then), then)[0].changed}
    assert cells["x"].e_value > 300
    assert cells["x"].alarm
    assert cells["x"].p_value > 0.001
    still = looked_at(Memory(quiet, then), then)[0].changed
    assert max(cell.e_value for cell in still if cell.column in ("x", "c")) < 50
    assert not any(cell.alarm for cell in still)


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"reference": "sliding", "periods": 8}, "the 8 days before, 2013-04-26 until 2013-05-04"),
        (
            {"reference": "fixed", "start": "2013-04-01", "end": "2013-04-15"},
            "14 days from 2013-04-01 until 2013-04-15",
        ),
        ({"reference": "same_weekday", "periods": 4}, "the same weekday in the 4 weeks before"),
    ],
)
def test_other_references(trained: Profile, rules: Any, words: str) -> None:
    days = {number: day(number) for number in range(34)} | {33: day(33, shift=40.0)}
    found, _ = looked_at(Memory(days, trained), trained, **rules)
    whole = [cell for cell in found.changed if cell.column == ""][-1]
    assert whole.reference == words
    assert whole.alarm
    assert "x higher" in whole.change
    assert "prediction" in {cell.column for cell in found.changed}


def test_predictions_and_labels_are_compared_with_windows_before(trained: Profile) -> None:
    days = {number: day(number, score=1.5 if number >= 20 else 0.0) for number in range(22)}
    labels = {number: 30 + number % 5 for number in range(21)} | {21: 120}
    found, _ = looked_at(Memory(days, trained, labels), trained, mature=True)
    cells = {(cell.column, cell.start[:10]): cell for cell in found.changed}
    assert cells["prediction", "2013-04-21"].kind == "prediction"
    assert cells["prediction", "2013-04-21"].alarm
    assert cells["prediction", "2013-04-21"].direction == "higher"
    label = cells["label", "2013-04-22"]
    assert (label.kind, label.alarm, label.direction, label.unit) == ("label", True, "more 1", "share")
    assert not cells["label", "2013-04-21"].alarm
    assert "the first 8 days" in label.reference


def test_a_version_without_periods_learns_them_from_live_windows() -> None:
    plain = sketching.profile(pa.concat_tables([day(-n) for n in range(1, 8)]).drop_columns(["prediction"]), SIGNATURE)
    days = {number: day(number) for number in range(12)} | {11: day(11, shift=60.0)}
    found, _ = looked_at(Memory(days, plain), plain)
    whole = {cell.start[:10]: cell for cell in found.changed if cell.column == ""}
    assert whole["2013-04-02"].p_value is None
    assert whole["2013-04-11"].p_value > 0.01
    assert whole["2013-04-12"].alarm


def test_tolerance_and_columns_bound_what_alarms(trained: Profile) -> None:
    days = {12: day(12, shift=3.0)}
    assert alarms(looked_at(Memory(days, trained), trained)[0]) == ["2013-04-13"]
    assert alarms(looked_at(Memory(days, trained), trained, columns=("c",))[0]) == []
    wide, _ = looked_at(Memory(days, trained), trained, tolerance={"x": 8.0}, columns=("x",))
    p_values = next(cell for cell in wide.changed if cell.column == "x").p_values
    assert p_values["rank_mean"] == p_values["ks"] == 1.0


def test_a_classifier_tells_rows_apart_and_by_which_columns() -> None:
    def related(number: int, sign: float) -> pa.Table:
        rng = np.random.default_rng(number)
        x, c = rng.normal(size=ROWS), rng.choice(["a", "b"], ROWS)
        return pa.table({"x": np.where(c == "a", np.abs(x), sign * np.abs(x)), "c": c, "prediction": rng.random(ROWS)})

    days = {number: related(number, -1.0) for number in range(10)}
    quiet, _ = looked_at(Memory(days, None), None, reference="sliding", classifier=True)
    told = [cell for cell in quiet.changed if cell.kind == "rows"]
    assert len(told) == 6
    assert not any(cell.alarm for cell in told)
    assert "AUC" in told[-1].change
    moved = {number: day(number, shift=12.0 if number == 9 else 0.0) for number in range(10)}
    loud, _ = looked_at(Memory(moved, None), None, reference="sliding", classifier=True)
    last = [cell for cell in loud.changed if cell.kind == "rows"][-1]
    assert last.effect > 0.4
    assert "by x" in last.change
    assert last.p_value < 0.1


def test_consecutive_windows_wait(trained: Profile) -> None:
    days = {number: day(number, shift=3.0) for number in (1, 2, 3)}
    found, _ = looked_at(Memory(days, trained), trained, consecutive=2)
    assert [finding.state for finding in found.findings] == ["wait", "wrong", "wrong"]


def test_the_report_carries_the_evidence_and_the_heat_map_its_columns(trained: Profile) -> None:
    days = {number: day(number, shift=3.0 if number == 3 else 0.0) for number in range(4)}
    book = Memory(days, trained)
    found, windows = looked_at(book, trained)
    kept = list(found.changed)
    told = drifting.report(
        book, config_of(), "late", windows, windows[-2], lambda *_: (SIGNATURE, trained), lambda work: kept, "late"
    )
    assert told.alarm
    assert (told.columns[0].name, told.columns[0].since[:10]) == ("x", "2013-04-04")
    assert told.reference.startswith("16,800 rows that version 3 was trained on")
    matrix = history("late", kept)
    assert matrix.alarms == [False, False, False, True]
    assert (matrix.columns[0].column, matrix.columns[0].alarms) == ("x", [False, False, False, True])
    assert len(matrix.columns[0].p_values) == 4
    with pytest.raises(NotFound, match="without a training profile"):
        drifting.report(
            book, config_of(), "late", windows, windows[0], lambda *_: (SIGNATURE, None), lambda work: [], "late"
        )


def test_what_is_kept_comes_back(watch: Any) -> None:
    watch.traffic(700, days=14)
    training_rows = watch.predicted(9000, days=60, seed=3).drop_columns(["outcome", "prediction"])
    watch.profiles[1] = watch.monitoring.profile(training_rows, watch.signature, "event_time")
    watch.monitoring.evaluate("late")
    kept = watch.monitoring.drift_history("late")
    assert kept.starts
    assert kept.starts == [window.start for window in watch.windows() if window.complete]
    assert {line.column for line in kept.columns} >= {"distance", "wind", "carrier"}
    assert watch.monitoring.drift_history("late", since="2014-01-01").starts == []
