"""A backtest under unchanged rules says what really happened; planted changes are told of, or missed, by their size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from loopline.core.errors import Invalid, NotFound

pytestmark = pytest.mark.unit
GOOD, BAD = 3.0, 0.3


def week(watch: Any, number: int, quality: float, evaluate: bool = True, **shape: Any) -> None:
    start = watch.april + number * 7 * watch.day
    watch.traffic(500, start=start, seed=number, quality=quality, delay_hours=10, **shape)
    if evaluate:
        watch.monitoring.evaluate("late")


def history(watch: Any, qualities: Any, evaluate: bool = True) -> None:
    for number, quality in enumerate(qualities):
        week(watch, number, quality, evaluate)
    watch.monitoring.evaluate("late")


def opened(watch: Any) -> list[tuple[Any, ...]]:
    found = [(one.cause, one.first_window, one.last_window, one.version) for one in watch.monitoring.alerts()]
    return sorted(found, key=str)


def fired(found: Any) -> list[tuple[Any, ...]]:
    return sorted([(one.cause, one.first_window, one.last_window, one.version) for one in found.fired], key=str)


@pytest.mark.parametrize("seed", range(2))
def test_unchanged_rules_reproduce_the_alerts_that_were_opened(watch: Any, seed: int) -> None:
    """Evaluated while it went on, with late truth and corrections, and replayed when it was over."""
    rng = np.random.default_rng(seed)
    watch.rules["late"] = {"label_delay_hours": 12, "consecutive": 1 + seed % 2, "data_quality": {"missing_share": 0.1}}
    for number in range(6):
        shape: dict[str, Any] = {"version": 1 + (number >= 4)}
        if rng.random() < 0.4:
            shape["wind"] = np.where(rng.random(500) < 0.3, np.nan, 10.0)
        week(watch, number, BAD if rng.random() < 0.4 else GOOD, evaluate=number % 2 == seed % 2, **shape)
    watch.monitoring.evaluate("late")
    found = watch.monitoring.backtest("late")
    assert fired(found) == opened(watch)
    assert found.opened == len(found.fired)


def test_truth_that_came_too_late_is_not_known_to_a_replay(watch: Any) -> None:
    watch.rules["late"] = {"label_delay_hours": 12}
    history(watch, [GOOD, BAD, GOOD])
    before = opened(watch)
    assert len(before) == 1
    table = watch.logs.predictions[1]
    better = (table["prediction"].to_numpy() > 0.6).astype(float)
    watch.logs.tell(table["id"].to_pylist(), better, [watch.april + 60 * watch.day] * len(table))
    assert fired(watch.monitoring.backtest("late")) == before


def test_other_rules_and_what_is_written(watch: Any) -> None:
    watch.rules["late"] = {"label_delay_hours": 12}
    history(watch, [GOOD] * 4 + [BAD] * 2 + [GOOD], evaluate=False)
    facts, alerts = len(watch.facts.kept), opened(watch)
    assert len(fired(watch.monitoring.backtest("late"))) == 1
    assert watch.monitoring.backtest("late", rules={"lower_limit": 0.2}).fired == ()
    assert watch.monitoring.backtest("late", rules={"consecutive": 3}).fired == ()
    short = watch.monitoring.backtest("late", until="2013-04-22", keep=True, actor="rosa")
    assert (short.windows, short.fired) == (3, ())
    assert (len(watch.facts.kept), opened(watch)) == (facts, alerts)
    assert watch.monitoring.backtests("late") == [short]
    with pytest.raises(Invalid, match="no rule"):
        watch.monitoring.backtest("late", rules={"lowest": 1})
    with pytest.raises(Invalid, match="cannot be"):
        watch.monitoring.backtest("late", rules={"consecutive": "often"})
    with pytest.raises(NotFound):
        watch.monitoring.backtest("late", since="2015-01-01")


def test_planted_changes_are_told_of_or_missed(watch: Any) -> None:
    watch.rules["late"] = {"label_delay_hours": 12, "data_quality": {"missing_share": 0.1}}
    history(watch, [GOOD] * 6, evaluate=False)
    plants = ["missing:wind:0.3@2013-04-24", "missing:wind:0.02@2013-04-24", "noise:6@2013-04-24"]
    found = watch.monitoring.backtest("late", plants=plants)
    assert (found.false_alarms, found.missed) == (0, 1)
    large, small, noise = found.changes
    assert (large.kind, large.cause, large.window[:10], large.delay_windows) == (
        "planted",
        "data_quality",
        "2013-04-22",
        0,
    )
    assert large.delay_days == pytest.approx(5)
    assert (small.window, small.delay_days) == ("", None)
    assert (noise.cause, noise.delay_windows) == ("performance", 0)
    for wrong in (
        "missing:wind@2013-04-24",
        "wind:1@2013-04-24",
        "missing:wind:2@2013-04-24",
        "noise:wind:1@2013-04-24",
    ):
        with pytest.raises(Invalid):
            watch.monitoring.backtest("late", plants=[wrong])
    with pytest.raises(Invalid, match="no column"):
        watch.monitoring.backtest("late", plants=["shift:fog:1@2013-04-24"])
    with pytest.raises(Invalid, match="no numbers"):
        watch.monitoring.backtest("late", plants=["shift:carrier:1@2013-04-24"])


def test_judged_alerts_and_releases_have_their_delays(watch: Any) -> None:
    watch.rules["late"] = {"label_delay_hours": 12}
    for number in range(6):
        week(watch, number, BAD if number in (1, 4) else GOOD, evaluate=False, version=1 + (number >= 3))
    watch.monitoring.evaluate("late")
    first = next(one for one in watch.monitoring.alerts() if one.first_window.startswith("2013-04-08"))
    watch.monitoring.judge(first.id, "real", "rosa")
    found = watch.monitoring.backtest("late")
    assert [(one.because != "", one.first_window[:10]) for one in found.fired] == [
        (True, "2013-04-08"),
        (False, "2013-04-29"),
    ]
    assert found.false_alarms == 1
    assert found.false_low < found.false_per_quarter < found.false_high
    real, release = found.changes
    assert (real.kind, real.alert, real.delay_windows) == ("real", first.id, 0)
    assert (release.what, release.delay_windows) == ("version 2 goes live", 1)
    assert found.precision.share == 1.0
