from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from loopline.core.errors import Conflict, Invalid, NotFound

pytestmark = pytest.mark.unit
GOOD, BAD = 3.0, 0.3


@pytest.fixture
def looks() -> None:
    """A test with this one is about everything that looks at windows."""


@pytest.fixture(autouse=True)
def quick(request: pytest.FixtureRequest) -> None:
    if "looks" not in request.fixturenames:
        request.getfixturevalue("windows_alone")


def week(watch: Any, number: int, quality: float, **shape: Any) -> None:
    watch.traffic(700, start=watch.april + number * 7 * watch.day, seed=number, quality=quality, **shape)


def evaluated(watch: Any) -> list[Any]:
    watch.monitoring.evaluate("late")
    return list(watch.monitoring.alerts())


def test_good_weeks_are_quiet(looks: None, watch: Any) -> None:
    for number in range(5):
        week(watch, number, GOOD)
    assert evaluated(watch) == []
    assert watch.facts.kept == []


def test_a_bad_week_opens_one_alert_once_it_is_mature(watch: Any) -> None:
    week(watch, 0, GOOD)
    week(watch, 1, BAD)
    assert evaluated(watch) == []
    week(watch, 2, BAD)
    (alert,) = evaluated(watch)
    assert (alert.cause, alert.state, alert.first_window) == ("performance", "open", "2013-04-08T00:00:00.000Z")
    assert alert.value < alert.limit == 0.8
    assert "of version 1 in the week of 2013-04-08 is below the limit 0.800" in alert.message
    fact = watch.facts.kept[0]
    assert (fact.kind, fact.subject, fact.actor) == ("alert.opened", "endpoint:late", "monitor")
    assert fact.body["alert"] == alert.id


def test_more_bad_weeks_are_the_same_incident_and_a_good_one_resolves_it(watch: Any) -> None:
    for number, quality in enumerate([BAD, BAD, BAD]):
        week(watch, number, quality)
        watch.monitoring.evaluate("late")
    assert watch.facts.kinds() == ["alert.opened"]
    assert watch.monitoring.alerts()[0].last_window == "2013-04-08T00:00:00.000Z"
    for number in (3, 4):
        week(watch, number, GOOD)
        watch.monitoring.evaluate("late")
    assert watch.facts.kinds() == ["alert.opened", "alert.resolved"]
    assert watch.monitoring.alerts(state="open") == []


def test_repeating_an_evaluation_opens_nothing_new(looks: None, watch: Any) -> None:
    for number in range(3):
        week(watch, number, BAD)
    before = evaluated(watch)
    watch.logs.log_mark = lambda endpoint: "other"
    assert evaluated(watch) == before
    assert len(watch.facts.kept) == 1


def test_a_correction_that_heals_the_week_resolves_the_alert(watch: Any) -> None:
    week(watch, 0, BAD)
    week(watch, 1, BAD)
    assert len(evaluated(watch)) == 1
    first = watch.logs.predictions[0]
    better = (first["prediction"].to_numpy() > np.quantile(first["prediction"].to_numpy(), 0.7)).astype(float)
    watch.logs.tell(first["id"].to_pylist(), better, [watch.april + 8 * watch.day] * 700)
    assert evaluated(watch)[0].state == "resolved"


def test_enough_windows_in_a_row_must_agree(watch: Any) -> None:
    watch.rules["late"] = {"consecutive": 2}
    for number, quality in enumerate([BAD, GOOD, BAD, BAD, GOOD]):
        week(watch, number, quality)
        if number == 3:
            assert evaluated(watch) == []
    (alert,) = evaluated(watch)
    assert (alert.first_window[:10], alert.last_window[:10]) == ("2013-04-15", "2013-04-22")


@pytest.mark.parametrize("seed", range(4))
def test_how_often_one_evaluates_changes_nothing(looks: None, watch: Any, seed: int) -> None:
    watch.rules["late"] = {
        "estimates": {"off": True},
        "label_delay_hours": 12,
        "consecutive": 1 + seed % 2,
        "data_quality": {"missing_share": 0.1},
    }
    rng = np.random.default_rng(seed)
    for number in range(10):
        quality, version = (BAD if rng.random() < 0.4 else GOOD), 1 + (number >= 5)
        wind = np.where(rng.random(700) < rng.choice([0.0, 0.3]), np.nan, 10.0)
        week(watch, number, quality, version=version, wind=wind)
        watch.monitoring.evaluate("late")
    one_by_one = told(watch)
    for table in ("monitoring_windows", "monitoring_alerts", "monitoring_endpoints"):
        watch.database.write(lambda tx, table=table: tx.run(f"DELETE FROM {table}"))
    watch.facts.kept.clear()
    watch.monitoring.evaluate("late")
    assert told(watch) == one_by_one
    assert len(one_by_one) >= 2


def told(watch: Any) -> list[Any]:
    """The facts, in the order of each cause."""
    kept = [
        (fact.kind, fact.body["cause"], fact.body["version"], fact.body["last_window"]) for fact in watch.facts.kept
    ]
    return sorted(kept, key=lambda fact: fact[1])


def test_a_bad_week_is_told_even_if_one_looks_only_weeks_later(watch: Any) -> None:
    for number, quality in enumerate([GOOD, BAD, GOOD, GOOD]):
        week(watch, number, quality)
    (alert,) = evaluated(watch)
    assert (alert.state, alert.first_window[:10]) == ("resolved", "2013-04-08")
    assert watch.facts.kinds() == ["alert.opened", "alert.resolved"]


def test_too_few_labels_are_no_reason_to_wake_anyone(watch: Any) -> None:
    watch.rules["late"] = {"minimum_labels": 701}
    for number in range(3):
        week(watch, number, BAD)
    assert evaluated(watch) == []


def test_without_a_limit_nothing_is_judged_and_a_written_one_counts(watch: Any) -> None:
    watch.versions[1].metrics.clear()
    for number in range(2):
        week(watch, number, BAD)
    assert evaluated(watch) == []
    assert watch.monitoring.summary("late").limit is None
    watch.rules["late"] = {"lower_limit": 0.75}
    assert len(evaluated(watch)) == 1


def test_for_a_loss_more_is_worse(watch: Any) -> None:
    watch.rules["late"] = {"metric": "log_loss"}
    watch.versions[1].metrics["weekly_log_loss_high"] = 0.6
    for number in range(2):
        week(watch, number, BAD)
    (alert,) = evaluated(watch)
    assert "is above the limit 0.600" in alert.message


def test_a_new_version_is_not_blamed_for_the_old_one(watch: Any) -> None:
    week(watch, 0, BAD)
    week(watch, 1, BAD)
    assert len(evaluated(watch)) == 1
    week(watch, 2, GOOD, version=2)
    assert evaluated(watch)[0].state == "open"
    week(watch, 3, GOOD, version=2)
    assert evaluated(watch)[0].state == "resolved"


def test_a_new_version_that_is_bad_too_is_an_incident_of_its_own(watch: Any) -> None:
    for number, version in enumerate([1, 1, 2, 2]):
        week(watch, number, BAD, version=version)
        watch.monitoring.evaluate("late")
    newest, oldest = watch.monitoring.alerts()
    assert (newest.version, newest.state, oldest.version, oldest.state) == (2, "open", 1, "resolved")
    assert watch.facts.kinds() == ["alert.opened", "alert.resolved", "alert.opened"]


def test_data_quality_names_the_columns(watch: Any) -> None:
    watch.rules["late"] = {"data_quality": {"missing_share": 0.05}, "lower_limit": 0.0}
    watch.profiles[1] = watch.monitoring.profile(watch.predicted(5000, seed=1), watch.signature)
    wind = watch.predicted(700)["wind"].to_numpy().copy()
    wind[::5] = np.nan
    week(watch, 0, GOOD, wind=wind)
    week(watch, 1, GOOD, days=3)
    (alert,) = evaluated(watch)
    assert (alert.cause, alert.state) == ("data_quality", "open")
    assert "20 % of wind is missing (at most 5 %)" in alert.message
    week(watch, 2, GOOD)
    assert evaluated(watch)[0].state == "resolved"


def test_slow_and_failing_answers_are_causes_of_their_own(watch: Any) -> None:
    watch.rules["late"] = {"latency_ms": 1, "error_share": 0.1}
    prediction = np.full(700, np.nan)
    week(watch, 0, GOOD, latency_us=np.full(700, 2000, dtype="int32"), prediction=prediction)
    week(watch, 1, GOOD, days=3)
    alerts = evaluated(watch)
    assert {alert.cause: alert.value for alert in alerts} == {
        "latency": pytest.approx(2.0, rel=0.004),  # counted in steps of so much
        "errors": 1.0,
    }


def test_an_alert_is_acknowledged_and_resolved_by_people(watch: Any) -> None:
    for number in range(2):
        week(watch, number, BAD)
    (alert,) = evaluated(watch)
    assert watch.monitoring.acknowledge(alert.id, "bob", "looking").state == "acknowledged"
    watch.monitoring.acknowledge(alert.id, "bob")
    assert [found.id for found in watch.monitoring.alerts(state="open")] == [alert.id]
    assert watch.monitoring.resolve(alert.id, "bob", "storm").note == "storm"
    assert watch.monitoring.resolve(alert.id, "bob").state == "resolved"
    assert watch.facts.kinds() == ["alert.opened", "alert.acknowledged", "alert.resolved"]
    with pytest.raises(Conflict, match="resolved already"):
        watch.monitoring.acknowledge(alert.id, "bob")


def test_what_a_person_closed_opens_again_only_with_a_later_bad_week(watch: Any) -> None:
    for number in range(2):
        week(watch, number, BAD)
    (alert,) = evaluated(watch)
    watch.monitoring.resolve(alert.id, "bob")
    watch.logs.log_mark = lambda endpoint: "other"
    assert len(evaluated(watch)) == 1
    week(watch, 2, BAD)
    watch.logs.log_mark = lambda endpoint: "third"
    assert len(evaluated(watch)) == 2


def test_unknown_alerts_and_states_are_said_to_be_so(watch: Any) -> None:
    with pytest.raises(NotFound, match="no alert 'x'"):
        watch.monitoring.acknowledge("x", "bob")
    with pytest.raises(Invalid, match="'shut' is no state"):
        watch.monitoring.alerts(state="shut")


def test_a_model_that_no_longer_leads_a_naive_forecast_opens_an_alert(watch: Any) -> None:
    lead = {"metric": "lead", "over": "wind", "lower_limit": -0.01}
    watch.rules["late"] = {"quality": [lead, {"metric": "auc", "lower_limit": 0.1}]}
    week(watch, 0, GOOD)
    week(watch, 1, GOOD, days=3)
    assert evaluated(watch) == []
    summary = watch.monitoring.summary("late")
    assert (summary.metric, summary.limits) == ("lead", {"lead": -0.01, "auc": 0.1})
    knowing = watch.predicted(700, seed=2, start=watch.april + 14 * watch.day)["outcome"].to_numpy()
    week(watch, 2, BAD, wind=np.where(np.arange(700) % 9, knowing, np.nan))
    week(watch, 3, GOOD, days=3)
    (alert,) = evaluated(watch)
    assert alert.value < alert.limit == -0.01
    assert alert.message.startswith("lead -0.")
    window = watch.windows()[2]
    scores = watch.logs.predictions[2]
    naive = np.where(np.arange(700) % 9, knowing, 0.0)
    expected = roc_auc_score(knowing, scores["prediction"]) - roc_auc_score(knowing, naive)
    assert window.metrics["lead"] == pytest.approx(expected)
    assert window.metrics["lead_low"] < expected < window.metrics["lead_high"]


def test_a_lead_needs_something_to_lead(watch: Any) -> None:
    watch.rules["late"] = {"quality": [{"metric": "lead"}]}
    with pytest.raises(Invalid, match="`over` names the input"):
        watch.monitoring.rules("late")
