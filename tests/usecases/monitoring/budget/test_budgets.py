"""A budget in the monitor's rules: limits that nobody wrote follow from history, and say why."""

from __future__ import annotations

from typing import Any

import pytest

from loopline.usecases.monitoring.store import budgets as store

pytestmark = pytest.mark.unit
GOOD, BAD = 2.0, 0.2


def weeks(watch: Any, qualities: Any, first: int = 0, evaluate: bool = True) -> None:
    for number, quality in enumerate(qualities, first):
        watch.traffic(700, start=watch.april + number * 7 * watch.day, seed=number, quality=quality)
        if evaluate:
            watch.monitoring.evaluate("late")


def rules(watch: Any, **more: Any) -> None:
    watch.rules["late"] = {"label_delay_hours": 12, "alarms": {"per_quarter": 0.5}, **more}


def test_with_too_little_history_the_baseline_stays(watch: Any) -> None:
    rules(watch)
    weeks(watch, [GOOD] * 4, evaluate=False)
    watch.monitoring.evaluate("late")
    assert watch.monitoring.summary("late").limits == {"auc": 0.8}
    told = watch.monitoring.budget("late")
    assert told.limits == {}
    assert "too few to set limits by" in told.note


def test_limits_follow_from_history_and_are_kept_with_their_reasons(watch: Any) -> None:
    rules(watch)
    weeks(watch, [GOOD] * 13, evaluate=False)
    watch.monitoring.evaluate("late")
    told = watch.monitoring.budget("late")
    limit = watch.monitoring.summary("late").limits["auc"]
    assert told.limits["auc"] == limit != 0.8
    assert 0.8 < limit < told.level["auc"]
    assert told.windows == 11
    assert 0 < told.expected <= 0.5
    assert told.drop["auc"] == pytest.approx(2 * told.spread["auc"])
    assert [one.consecutive for one in told.options] == sorted(
        [1, 2, 3], key=[o.consecutive for o in told.options].index
    )
    kept = watch.database.read(lambda tx: store.choices(tx, "late"))
    assert kept[-1] == told


def test_a_written_limit_is_not_touched(watch: Any) -> None:
    rules(watch, lower_limit=0.75)
    weeks(watch, [GOOD] * 12, evaluate=False)
    watch.monitoring.evaluate("late")
    assert watch.monitoring.summary("late").limits == {"auc": 0.75}
    assert watch.monitoring.budget("late").note.startswith("Every metric that is judged has a written limit")


def test_an_incident_does_not_loosen_its_own_limit(watch: Any) -> None:
    rules(watch)
    weeks(watch, [GOOD] * 12, evaluate=False)
    watch.monitoring.evaluate("late")
    before = watch.monitoring.summary("late").limits["auc"]
    weeks(watch, [BAD] * 2, first=12, evaluate=False)
    watch.monitoring.evaluate("late")
    assert len(watch.monitoring.alerts(state="open")) == 1
    weeks(watch, [BAD] * 2, first=14)
    assert watch.monitoring.summary("late").limits["auc"] == pytest.approx(before, abs=0.01)
    alert = watch.monitoring.alerts(state="open")[0]
    watch.monitoring.judge(alert.id, "real", "rosa")
    weeks(watch, [GOOD] * 2, first=16, evaluate=False)
    watch.monitoring.evaluate("late")
    watch.logs.log_mark = lambda endpoint: "looked at once more, now that the alert is over"
    watch.monitoring.evaluate("late")
    told = watch.monitoring.budget("late")
    assert told.left_out >= 2
    assert told.precision.share == 1.0
    assert watch.monitoring.summary("late").limits["auc"] == pytest.approx(before, abs=0.02)


def test_limits_are_chosen_once_a_window(watch: Any) -> None:
    rules(watch)
    weeks(watch, [GOOD] * 12, evaluate=False)
    watch.monitoring.evaluate("late")
    count = len(watch.database.read(lambda tx: store.choices(tx, "late")))
    watch.logs.log_mark = lambda endpoint: "other"
    watch.monitoring.evaluate("late")
    assert len(watch.database.read(lambda tx: store.choices(tx, "late"))) <= count + 1
    watch.logs.log_mark = lambda endpoint: "another"
    again = len(watch.database.read(lambda tx: store.choices(tx, "late")))
    watch.monitoring.evaluate("late")
    assert len(watch.database.read(lambda tx: store.choices(tx, "late"))) == again
