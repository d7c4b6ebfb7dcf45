"""What is said of weeks before their truth, in worlds whose rules are known."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from loopline.usecases.monitoring.model.config import EstimateRules
from loopline.usecases.monitoring.model.estimates.values import errors_of

pytestmark = pytest.mark.integration
DELAY = 28 * 24.0


def mix(table: Any, metric: str = "auc") -> list[Any]:
    found = [entry for _, entry in table.kept.values() if entry.metric == metric and entry.method == "mix"]
    return sorted(found, key=lambda entry: entry.start)


def test_weeks_of_an_unchanging_world_come_true_within_their_intervals(world: Any) -> None:
    """Three months of history with truth four weeks late, then a look each week."""
    here = world(weeks=25, per_week=600)
    table = here.table()
    for week in range(13, 26):
        table.look(here.at(week), DELAY)
    for metric in ("auc", "brier", "accuracy"):
        settled = [entry for entry in mix(table, metric) if entry.mature and entry.first_value is not None]
        assert len(settled) >= 16
        held = [entry.first_low <= entry.realized <= entry.first_high for entry in settled]
        assert np.mean(held) >= 0.85, metric
        width = np.mean([entry.first_high - entry.first_low for entry in settled[-8:]])
        assert width < {"auc": 0.16, "brier": 0.07, "accuracy": 0.13}[metric]
    errors = {entry.metric: entry for entry in errors_of([e for _, e in table.kept.values()]) if entry.method == "mix"}
    assert errors["auc"].mean_absolute_error < 0.025
    assert abs(errors["auc"].bias) < 0.015
    assert (errors["auc"].covered or 0) >= 0.85


def test_a_shift_of_inputs_that_lowers_auc_is_seen_before_its_truth(world: Any) -> None:
    """The wind hardly varies any more: the score tells rows apart less well, and says so itself."""
    here = world(weeks=15)
    here.wind = np.where(here.week_of >= 14, 0.25 * here.wind, here.wind)
    table = here.table(limits={"auc": 0.72}, rules={"estimates": EstimateRules(alert=True)})
    found = table.look(here.at(15), DELAY)
    before, last = mix(table)[-2:]
    assert last.share == 0.0
    assert last.realized is None
    assert before.value > 0.78 > 0.68 > last.value
    wrong = [finding for finding in found.findings if finding.state == "wrong"]
    assert [finding.window for finding in wrong] == [last.start]
    assert wrong[0].cause == "estimate"
    assert not table.look(here.at(15), DELAY).changed
    table.kept = {key: (basis, msgspec.structs.replace(e, version=2)) for key, (basis, e) in table.kept.items()}
    assert not table.look(here.at(15), DELAY).findings  # version 1 is live again: nobody is woken for version 2
    assert wrong[0].details["high"] < 0.72
    assert "below the limit 0.720; 0 % of its truth has arrived" in wrong[0].message


def test_what_inputs_mean_changes_and_is_warned_about_once_labels_arrive(world: Any) -> None:
    here = world(weeks=15, delay_days=(0, 28))
    here.slope = np.where(here.week_of >= 14, -1.0, 1.0)
    table = here.table()
    table.look(here.at(14.0), DELAY)
    calm = mix(table)
    assert not any("concept drift)" in entry.warning for entry in calm if entry.share >= 0.01)
    table.look(here.at(14.9), DELAY)
    warned = mix(table)[-1]
    assert 0.01 < warned.share < 0.25
    assert "follows the score worse than it did" in warned.warning
    table.look(here.at(17), DELAY)
    assert mix(table)[-1].value < calm[-1].value - 0.2  # and the labels that have come pull the estimate along


def test_without_a_label_the_estimate_says_that_it_cannot_see_concept_drift(world: Any) -> None:
    here = world(weeks=7)
    table = here.table()
    table.look(here.at(7), DELAY)
    assert "no truth of this window has arrived" in mix(table)[-1].warning


def test_rows_unlike_those_that_calibration_knows_are_named(world: Any) -> None:
    here = world(weeks=8)
    late = here.week_of >= 7
    here.rain = np.where(late, here.rain + 20, here.rain)
    here.carrier = np.where(late & (here.carrier == "UA"), "WN", here.carrier)
    table = here.table()
    table.look(here.at(8), DELAY)
    assert "rain (100 % of rows), carrier (3" in mix(table)[-1].warning


def test_what_was_said_is_kept_and_not_mended_by_hindsight(world: Any) -> None:
    here = world(weeks=16, delay_days=(0, 28))
    table = here.table()
    table.look(here.at(14), DELAY)
    said = {entry.start: entry for entry in mix(table)}
    table.look(here.at(15.5), DELAY)
    table.look(here.at(19.5), DELAY)
    later = {entry.start: entry for entry in mix(table)}
    ended = [start for start, entry in said.items() if entry.complete]
    assert len(ended) >= 13
    assert all(later[start].first_value == said[start].first_value for start in ended)
    settled = [start for start in ended if said[start].mature]
    assert settled
    assert all(later[start] == said[start] for start in settled)
    fresh = [entry for entry in later.values() if entry.mature and not said.get(entry.start, entry).mature]
    assert fresh
    assert all(entry.realized is not None and entry.share > entry.first_share for entry in fresh)


def test_a_look_without_news_changes_nothing_and_reads_no_row(world: Any) -> None:
    here = world(weeks=8)
    table = here.table()
    assert table.look(here.at(8), DELAY).changed
    table.reader = lambda watermark: pytest.fail
    assert not table.look(here.at(8), DELAY).changed


def test_how_often_one_looks_does_not_change_what_was_said_at_the_end_of_a_window(world: Any) -> None:
    here = world(weeks=11, per_week=400, delay_days=(0, 28))
    often, once = here.table(), here.table()
    for week in (9.5, 10, 10.5):
        often.look(here.at(week), DELAY)
    for table in (often, once):
        table.look(here.at(11), DELAY)
    one, other = ({e.start: e.first_value for e in mix(table) if e.complete} for table in (often, once))
    assert one.keys() == other.keys()
    assert [other[start] for start in one] == pytest.approx(list(one.values()), abs=1e-9)


def test_rows_of_a_new_version_rest_on_older_ones_until_it_has_truth_of_its_own(world: Any) -> None:
    here = world(weeks=8)
    table = here.table(version=np.where(here.week_of >= 7, 2, 1).astype("int32"))
    table.look(here.at(8), DELAY)
    assert "version 2 has few rows with mature truth" in mix(table)[-1].warning
    assert mix(table)[-1].version == 2


def test_where_nothing_can_be_said_it_says_why(world: Any) -> None:
    here = world(weeks=6)
    words = here.table(prediction=pa.array(["late"] * len(here.events)))
    words.look(here.at(6), DELAY)
    assert mix(words)[-1].value is None
    assert "predictions are texts" in mix(words)[-1].warning
    young = here.table()
    young.look(here.at(1.5), DELAY)
    assert "no truth has arrived yet" in mix(young)[-1].warning
    odds = here.table(prediction=here.odds())
    odds.look(here.at(6), DELAY)
    assert "no probabilities" in mix(odds)[-1].warning


def test_estimates_can_be_turned_off(world: Any) -> None:
    here = world(weeks=6)
    table = here.table(rules={"estimates": EstimateRules(off=True)})
    assert not table.look(here.at(6), DELAY).changed


def test_errors_of_numbers_are_expected_from_the_inputs(world: Any) -> None:
    """The error grows with the wind; in the last week there is a storm."""
    here = world(weeks=16, seed=3)
    here.wind = np.where(here.week_of >= 15, np.abs(here.wind) + 1.5, here.wind)
    rng = np.random.default_rng(5)
    predicted = 10 + 2 * here.wind
    truth = predicted + rng.normal(size=len(predicted)) * (1 + np.abs(here.wind))
    table = here.table(rules={"metric": "mae"}, prediction=predicted, value=truth)
    for week in (15, 16, 17.01, 20.01):
        table.look(here.at(week), DELAY)
    storm = mix(table, "mae")[-1]
    assert storm.mature
    assert storm.first_share == 0.0
    assert storm.realized > 2.0
    usual = [entry for entry in mix(table, "mae")[-4:-1] if entry.realized is not None]
    assert all(entry.first_low <= entry.realized <= entry.first_high for entry in usual)
    assert storm.first_value > max(entry.first_value for entry in usual) + 0.3
    assert {entry.metric for _, entry in table.kept.values() if entry.value is not None} == {"mae", "mse", "rmse"}


def test_days_with_truth_weeks_late_are_all_compared_with_it(world: Any) -> None:
    """Far more days wait for their truth than are estimated as of their end: each gets its realized value in time."""
    here = world(weeks=8, per_week=350, delay_days=(1, 40))
    table = here.table(rules={"window": "day"})
    for week in (8, 14):
        table.look(here.at(week), 40 * 24.0)
    days = mix(table)
    assert len(days) >= 38
    assert all(entry.mature for entry in days)
    said = [entry for entry in days if entry.value is not None]
    assert len(said) >= 26
    assert all(entry.realized is not None for entry in said)
