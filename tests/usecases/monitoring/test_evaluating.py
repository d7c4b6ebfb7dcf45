from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from loopline.core.errors import Invalid, NotFound

pytestmark = [pytest.mark.unit, pytest.mark.usefixtures("windows_alone")]


def test_an_endpoint_without_predictions_has_nothing_to_say(watch: Any) -> None:
    assert watch.monitoring.evaluate("late") is None
    with pytest.raises(NotFound, match="'late' has not been evaluated yet"):
        watch.monitoring.summary("late")


def test_windows_are_iso_weeks_by_event_time_and_agree_with_scikit_learn(watch: Any) -> None:
    table = watch.traffic(3000, days=21)
    watch.monitoring.evaluate("late")
    windows = watch.windows()
    assert [window.start for window in windows] == [
        "2013-04-01T00:00:00.000Z",
        "2013-04-08T00:00:00.000Z",
        "2013-04-15T00:00:00.000Z",
    ]
    assert windows[0].end == windows[1].start
    events = np.asarray(table["event_time"].cast("int64"))
    for n, window in enumerate(windows):
        rows = (events - watch.april) // (7 * watch.day) == n
        truth, scores = table["outcome"].to_numpy()[rows], table["prediction"].to_numpy()[rows]
        assert window.predictions == window.labelled == rows.sum()
        assert window.metrics["auc"] == pytest.approx(roc_auc_score(truth, scores))
        assert window.metrics["log_loss"] == pytest.approx(log_loss(truth, scores))
        assert window.metrics["auc_low"] < window.metrics["auc"] < window.metrics["auc_high"]
        assert window.metrics["label_mean"] == pytest.approx(truth.mean())


def test_a_window_matures_when_its_label_delay_has_passed(watch: Any) -> None:
    watch.traffic(2000, days=14, delay_hours=30)
    summary = watch.monitoring.evaluate("late")
    assert summary.label_delay.settled
    assert summary.label_delay.p99_hours == pytest.approx(29.7, abs=0.5)
    assert summary.label_delay.expected_share == 1.0
    states = [(window.complete, window.mature) for window in watch.windows()]
    assert states == [(True, True), (True, False)]
    assert (summary.mature_windows, summary.provisional_windows) == (1, 1)
    assert summary.mature_until == "2013-04-08T00:00:00.000Z"


def test_predictions_whose_truth_never_comes_do_not_hold_up_maturity(watch: Any) -> None:
    watch.traffic(3000, days=21, told=0.9)
    summary = watch.monitoring.evaluate("late")
    assert summary.label_delay.expected_share == pytest.approx(0.9, abs=0.02)
    assert summary.mature_windows == 2
    assert watch.windows()[0].truth_share == pytest.approx(0.9, abs=0.03)


def test_without_truth_everything_is_provisional(watch: Any) -> None:
    watch.traffic(500, told=0.0, days=14)
    assert watch.monitoring.evaluate("late").mature_windows == 0
    assert "auc" not in watch.windows()[0].metrics
    assert watch.windows()[0].metrics["predicted_mean"] > 0


def test_a_written_label_delay_replaces_the_learned_one(watch: Any) -> None:
    watch.rules["late"] = {"label_delay_hours": 1000}
    watch.traffic(3000, days=21)
    assert watch.monitoring.evaluate("late").mature_windows == 0


def test_slices_and_versions_have_windows_of_their_own(watch: Any) -> None:
    watch.rules["late"] = {"slices": ["carrier"], "window": "day"}
    watch.traffic(700, days=3)
    watch.traffic(700, days=3, version=2, seed=5)
    watch.monitoring.evaluate("late")
    carriers, versions = watch.windows("carrier"), watch.windows("version")
    assert [(w.start[:10], w.value) for w in carriers[:4]] == [
        ("2013-04-01", "AA"),
        ("2013-04-01", "B6"),
        ("2013-04-01", "UA"),
        ("2013-04-02", "AA"),
    ]
    for parts in (carriers, versions):
        assert sum(w.predictions for w in parts) == sum(w.predictions for w in watch.windows()) == 1400
    assert {w.value for w in versions} == {"1", "2"}


def test_repeating_an_evaluation_reads_and_changes_nothing(watch: Any) -> None:
    watch.traffic(1000)
    first = watch.monitoring.evaluate("late")
    reads, before = watch.logs.reads, watch.windows()
    assert watch.monitoring.evaluate("late") == first
    assert watch.logs.reads == reads
    watch.logs.log_mark = lambda endpoint: "the same rows, sealed"
    assert watch.monitoring.evaluate("late") == first
    assert watch.windows() == before


def test_a_late_correction_recomputes_what_it_touches_and_nothing_else(watch: Any) -> None:
    table = watch.traffic(3000, days=21)
    watch.monitoring.evaluate("late")
    stamps = stored(watch)
    watch.database.write(lambda tx: tx.run("UPDATE monitoring_windows SET changed_at = 'before'"))
    name, outcome = table["id"][5].as_py(), table["outcome"][5].as_py()
    watch.logs.tell([name], [1 - outcome], [watch.april + 30 * watch.hour])
    summary = watch.monitoring.evaluate("late")
    assert summary.corrections == 1
    touched = [row for row in stored(watch) if row["changed_at"] != "before"]
    assert {row["start_at"] for row in touched} == {"2013-04-01T00:00:00.000Z"}
    assert len(stored(watch)) == len(stamps)
    truth = table["outcome"].to_numpy().copy()
    truth[5] = 1 - outcome
    first = np.asarray(table["event_time"].cast("int64")) < watch.april + 7 * watch.day
    expected = roc_auc_score(truth[first], table["prediction"].to_numpy()[first])
    assert watch.windows()[0].metrics["auc"] == pytest.approx(expected)


def stored(watch: Any) -> list[Any]:
    return list(watch.database.read(lambda tx: tx.rows("SELECT * FROM monitoring_windows")))


def test_evaluating_bit_by_bit_gives_what_evaluating_at_once_gives(watch: Any) -> None:
    for week in range(3):
        watch.traffic(800, start=watch.april + week * 7 * watch.day, seed=week)
        watch.monitoring.evaluate("late")
    bit_by_bit = watch.windows(), watch.windows("version")
    watch.database.write(lambda tx: tx.run("DELETE FROM monitoring_windows"))
    watch.logs.log_mark = lambda endpoint: "other"
    watch.monitoring.evaluate("late")
    assert (watch.windows(), watch.windows("version")) == bit_by_bit


def test_other_windows_replace_the_old_ones(watch: Any) -> None:
    watch.traffic(1000)
    watch.monitoring.evaluate("late")
    watch.rules["late"] = {"window": "day"}
    watch.monitoring.evaluate("late")
    assert len(watch.windows()) == 7


def test_orphans_and_repetitions_are_counted(watch: Any) -> None:
    table = watch.traffic(1000)
    name = table["id"][0].as_py()
    watch.logs.tell([name, "unknown", ("nobody", 5)], [table["outcome"][0].as_py(), 1.0, 1.0], [watch.april] * 3)
    summary = watch.monitoring.evaluate("late")
    assert (summary.truth_records, summary.duplicates, summary.corrections, summary.orphans) == (1003, 1, 0, 2)


def test_data_quality_is_measured_against_the_contract_of_the_signature(watch: Any) -> None:
    shape = watch.predicted(1000)
    distance, wind = shape["distance"].to_numpy().copy(), shape["wind"].to_numpy().copy()
    distance[:20], distance[20:30], wind[:100] = np.nan, np.inf, np.nan
    watch.profiles[1] = watch.monitoring.profile(watch.predicted(5000, seed=1), watch.signature)
    carrier = ["ZZ"] * 50 + shape["carrier"].to_pylist()[50:]
    watch.traffic(1000, distance=distance, wind=wind, carrier=carrier)
    watch.monitoring.evaluate("late")
    assert watch.windows()[0].quality == {
        "missing": {"distance": 0.02, "wind": 0.1, "carrier": 0.0},
        "out_of_contract": {"distance": 0.03, "wind": 0.0, "carrier": 0.0},
        "unknown": {"carrier": 0.05},
    }


def test_latency_and_errors_are_measured(watch: Any) -> None:
    prediction = watch.predicted(1000)["prediction"].to_numpy().copy()
    prediction[:10] = np.nan
    watch.traffic(1000, prediction=prediction, latency_us=np.arange(1000, dtype="int32"))
    watch.monitoring.evaluate("late")
    metrics = watch.windows()[0].metrics
    assert (metrics["error_share"], metrics["latency_p99_ms"]) == (0.01, pytest.approx(0.989, abs=0.001))


def test_numbers_are_judged_as_numbers(watch: Any) -> None:
    watch.rules["late"] = {"metric": "mae"}
    table = watch.traffic(500, outcome=np.linspace(0, 50, 500))
    watch.monitoring.evaluate("late")
    found = watch.windows()[0].metrics
    assert found["mae"] == pytest.approx(np.abs(table["prediction"].to_numpy() - np.linspace(0, 50, 500)).mean())
    assert "auc" not in found


def test_rules_that_are_written_wrongly_are_refused(watch: Any) -> None:
    watch.rules["late"] = {"window": "year"}
    with pytest.raises(Invalid, match=r"monitor of endpoint 'late' is written wrongly.*year"):
        watch.monitoring.evaluate("late")


def test_rows_without_an_event_time_are_placed_by_the_time_of_prediction(watch: Any) -> None:
    nowhere = pa.nulls(300, pa.timestamp("ms", tz="UTC"))
    empty = watch.predicted(300, days=0.1, event_time=nowhere).drop_columns(["outcome"])
    watch.logs.predictions.append(empty)
    watch.monitoring.evaluate("late")
    assert watch.windows()[0].start == "2013-03-25T00:00:00.000Z"  # 3 hours before the first of April


def test_predictions_that_are_words_are_counted_and_not_judged(watch: Any) -> None:
    watch.traffic(300, prediction=["late"] * 290 + [None] * 10)
    watch.monitoring.evaluate("late")
    metrics = watch.windows()[0].metrics
    assert "auc" not in metrics
    assert metrics["error_share"] == pytest.approx(10 / 300)


def test_an_impossible_time_does_not_set_the_clock(watch: Any) -> None:
    table = watch.traffic(2000, days=14, delay_hours=30)
    before = watch.monitoring.evaluate("late")
    ends = [
        watch.april + 300 * 365 * watch.day,
        watch.april + 30 * 365 * watch.day,
        -70_000 * watch.day,
        253402300799000,
    ]
    odd = watch.predicted(4, event_time=pa.array(ends, pa.timestamp("ms", tz="UTC")), version=2).drop_columns(
        ["outcome"]
    )
    moment = pa.array([watch.april + watch.day] * 4, pa.timestamp("ms", tz="UTC"))
    watch.logs.predictions.append(odd.set_column(odd.column_names.index("at"), "at", moment))
    watch.logs.tell([table["id"][0].as_py()], [1.0], [watch.april + 2 * watch.day])
    watch.logs.truth[-1]["observed_at"] = 253402300799000
    after = watch.monitoring.evaluate("late")
    assert after.watermark == before.watermark
    assert after.predictions == before.predictions + 4
    assert [window.mature for window in watch.windows()] == [True, False]
